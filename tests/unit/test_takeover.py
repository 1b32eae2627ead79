"""Taking a stream over: what the headers behind the remembered place tell."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from replicator.errors import HistoryLostError
from replicator.source.takeover import _Scan
from replicator.stream.wire import Kind, RecordHeader

FIRST = RecordHeader(Kind.DATA, "a" * 32, 1, "b" * 32, 1, 10, "0-1-10", "mariadb", 1)


def test_a_record_behind_a_gap_is_not_taken_for_the_tail() -> None:
    """What is between was never written: to go on behind it would leave it out for good."""
    scan = _Scan(None)
    scan.take(0, FIRST, "here")
    scan.take(1, replace(FIRST, first_sequence=11, last_sequence=12, resume="0-1-12"), "here")
    with pytest.raises(HistoryLostError, match="sequence 15 comes behind 12"):
        scan.take(2, replace(FIRST, first_sequence=15, last_sequence=15, resume="0-1-15"), "here")
    assert scan.tail is not None and (scan.tail.sequence, scan.tail.resume) == (12, "0-1-12")
