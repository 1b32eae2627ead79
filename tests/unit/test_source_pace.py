"""When the source waits: never while the origin has more for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from replicator.source.worker import Source


def source(pieces: int) -> tuple[Any, list[bytes]]:
    """One whose origin has so many small pieces, as TLS hands them out, and whose open record was sealed just now."""
    fed: list[bytes] = []
    left = [b"x" * 16384] * pieces
    made: Any = Source.__new__(Source)
    made._connection = SimpleNamespace(wait=lambda timeout_s: bool(left), receive=lambda: left.pop())
    records = SimpleNamespace(waiting=True, seal=lambda: None)
    made._assembler = SimpleNamespace(records=records, feed=fed.append, in_transaction=False)
    made._stream = SimpleNamespace(source=SimpleNamespace(linger_ms=1000, read_timeout_s=60))
    made._waits = SimpleNamespace(add=lambda cause, seconds: None)
    made._note_progress = lambda: None
    made._heard_at = made._sealed_at = 100.0
    made._waiting_since, made._more = 0.0, False
    return made, fed


def test_a_backlog_is_read_without_pausing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes in pieces of 16 KiB over TLS: they do not mean that the source is not behind."""
    now, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("replicator.source.worker.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    made, fed = source(pieces=20)
    for _ in range(20):
        made._read()
    assert len(fed) == 20
    assert len(slept) == 1, "before the first piece nothing was known to be there"


@pytest.mark.parametrize(
    ("binlog", "kafka", "sentence"),
    [
        (40, 50, "limited by Kafka (50 % of the time it was waited for)"),
        (50, 49, "caught up (50 % of the time the origin sent nothing)"),
        (49, 49, "limited by its own processor time (waited 49 % for the origin, 49 % for Kafka)"),
        (60, 50, "limited by Kafka (50 % of the time it was waited for)"),
    ],
)
def test_the_status_says_what_limits_the_source(binlog: int, kafka: int, sentence: str) -> None:
    """Shares of the time; Kafka counts first: while it does not take more, nothing is read."""
    assert Source._limit(binlog, kafka) == sentence
