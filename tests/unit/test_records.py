"""What the record builder does with commit times."""

from __future__ import annotations

import pytest

from replicator.source import records
from replicator.source.records import RecordBuilder

NOW = 1_700_000_000_000_000
SECOND = 1_000_000


def builder(monkeypatch: pytest.MonkeyPatch) -> RecordBuilder:
    """Of a pair that writes at both sites, at a source whose clock stands still."""
    monkeypatch.setattr(records, "now_us", lambda: NOW)
    made = RecordBuilder(record_bytes=4096, sequence=0, emit=lambda sealed: None, positions=lambda: ("", ""))
    made.keeps_time = True
    return made


def shipped_time(made: RecordBuilder, time_us: int, site: bytes = b"") -> int:
    """The commit time with which a transaction is shipped."""
    made.time_us = time_us
    made.open_transaction()
    made.site = site
    made.append(30, 0, b"x")
    made.close_transaction()
    return made.last_time_us


def test_commit_times_do_not_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other sites are their own."""
    made = builder(monkeypatch)
    assert [shipped_time(made, NOW + n) for n in (-5, -9, -3)] == [NOW - 5, NOW - 5, NOW - 3]
    assert shipped_time(made, NOW - 9, b"north") == NOW - 9


def test_a_clock_that_was_wrong_for_a_moment_does_not_date_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one transaction has its time; later ones are raised by a second at most, or by what the policies take."""
    made = builder(monkeypatch)
    assert shipped_time(made, NOW + 9_000 * SECOND) == NOW + 9_000 * SECOND
    assert shipped_time(made, NOW) == NOW + SECOND
    made.ahead_us = 5 * SECOND
    assert shipped_time(made, NOW + 4 * SECOND) == NOW + 4 * SECOND
    assert shipped_time(made, NOW) == NOW + 4 * SECOND


def test_a_time_in_the_topics_tail_counts_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart goes on with what stands there."""
    made = builder(monkeypatch)
    made.carry_time(NOW - 5)
    assert shipped_time(made, NOW - 9) == NOW - 5
    made.carry_time(NOW + 9_000 * SECOND)
    assert shipped_time(made, NOW) == NOW + SECOND
