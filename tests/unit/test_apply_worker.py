"""What the applier's main loop says of itself."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from replicator.apply.batch import Planner
from replicator.apply.checkpoint import Checkpoint
from replicator.apply.worker import Applier
from replicator.apply.writer import Batch
from replicator.context import PausePoints, Reporter, Waits, Worker
from replicator.model import Role, StreamId
from replicator.stream.acks import Ack
from replicator.stream.reader import Txn
from tests.property.streams import streams_of


def test_what_waits_for_the_target_was_fetched() -> None:
    """A record may hold more than the pipeline takes: while it waits in the middle of one, its transactions count as lag."""
    stream = streams_of({"default": "apply_origin"}, ("east", "west"), "one_way")["east", "west"]
    waiting: list[int] = []

    class Full:
        def submit(self, batch: Batch) -> None:
            waiting.append(reporter.stages["fetched"].sequence)

    applier: Any = Applier.__new__(Applier)
    applier._reporter = reporter = Reporter(Role.APPLIER, stream.id)
    applier._writers, applier._pipeline = [type("Writer", (), {"limits": None})()], Full()
    txn = Txn(7, "g:7", 1_000_000, "", (), b"", 1)
    applier._fetched, applier._batch = txn, Batch(txns=[txn], planner=Planner())
    applier._flush()
    assert waiting == [7]


def test_what_the_checkpoint_says_is_acknowledged_at_the_start() -> None:
    """A target that was restored has less than it acknowledged before, and may not come to anything new: a gap stops it."""
    stream = streams_of({"default": "apply_origin"}, ("east", "west"), "one_way")["east", "west"]
    told: list[Ack] = []

    class Acks:
        def publish(self, ack: Ack) -> None:
            told.append(ack)

    def start(checkpoint: Checkpoint) -> None:
        applier: Any = Applier.__new__(Applier)
        applier._worker = Worker(Reporter(Role.APPLIER, stream.id), threading.Event(), PausePoints({}), structlog.get_logger())
        applier._reporter, applier._acks, applier._local = applier._worker.reporter, Acks(), None
        applier._checkpoint = checkpoint
        applier._report_start()

    start(Checkpoint())
    assert told == []
    start(Checkpoint(stream_id="s", epoch=3, sequence=7, gtid="g:7", position="g:1-7", commit_time_us=9))
    assert [(ack.stream_id, ack.epoch, ack.sequence, ack.position, ack.origin_time_us) for ack in told] == [
        ("s", 3, 7, "g:1-7", 9)
    ]


def test_what_is_waited_for_is_told_as_shares_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the time since it was told last, every few seconds."""
    now = [100.0]
    monkeypatch.setattr("replicator.context.time", SimpleNamespace(monotonic=lambda: now[0]))
    reporter = Reporter(Role.APPLIER, StreamId("p", "a", "b"))
    waits = Waits(reporter, "kafka", "database")
    waits.add("kafka", 2.5)
    now[0] += 4
    assert waits.shares() is None
    now[0] += 1
    assert waits.shares() == [50, 0]
    waits.add("database", 10)
    now[0] += 10
    assert waits.shares() == [0, 100]
    assert reporter.counters == {"wait_seconds|cause=kafka": 2.5, "wait_seconds|cause=database": 10}
