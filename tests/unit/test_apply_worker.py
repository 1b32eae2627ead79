"""What the applier's main loop says of itself."""

from __future__ import annotations

import itertools
import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from replicator.apply.batch import Planner
from replicator.apply.checkpoint import Checkpoint
from replicator.apply.plans import PlansByIndex
from replicator.apply.worker import Applier
from replicator.apply.writer import Batch
from replicator.context import PausePoints, Reporter, Waits, Worker, now_us
from replicator.control import Wish
from replicator.model import Role, State, StreamId
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


@pytest.mark.parametrize(
    ("shares", "behind", "sentence"),
    [
        ((80, 20, 0), 3, "limited by Kafka or the network to it (80 % of the time it was waited for)"),
        ((80, 20, 0), 0, "caught up (80 % of the time there was nothing to apply)"),
        ((50, 50, 50), 0, "caught up (50 % of the time there was nothing to apply)"),
        ((49, 49, 90), 3, "limited by its own processor time (waited 49 % for the database, 49 % for Kafka)"),
        ((10, 50, 49), 3, "limited by the target database (50 % of the time it was waited for)"),
        (
            (10, 85, 50),
            0,
            "limited by the target database (85 % of the time it was waited for); "
            "for 50 % a batch had to wait for one that changes the same rows or tables",
        ),
    ],
)
def test_the_status_says_what_limits_the_applier(shares: tuple[int, int, int], behind: int, sentence: str) -> None:
    """Shares of Kafka, the database and dependencies; whether more is there in Kafka tells a slow one from an idle one."""
    stream = streams_of({"default": "apply_origin"}, ("east", "west"), "one_way")["east", "west"]
    reporter = Reporter(Role.APPLIER, stream.id)
    applier: Any = Applier.__new__(Applier)
    applier._consumer = SimpleNamespace(behind=behind)
    waits: Any = Waits(reporter, "kafka", "database", "dependency")
    waits.shares = lambda: shares
    waits.tell(applier._limit)
    assert reporter.note == "starting", "only while it streams"
    reporter.set_state(State.STREAMING, "streaming")
    waits.tell(applier._limit)
    assert reporter.note == f"streaming, {sentence}"


def test_batches_grow_with_a_backlog_and_shrink_to_single_transactions() -> None:
    """More is gathered while the next poll brings more or another batch is on its way; what comes alone is written alone."""
    stream = streams_of({"default": "apply_origin"}, ("east", "west"), "one_way")["east", "west"]
    numbers = itertools.count(1)

    def record(transactions: int) -> tuple[int, list[Txn]]:
        return 0, [Txn(n, f"g:{n}", 1, "", (), b"", 1) for n in itertools.islice(numbers, transactions)]

    # What each poll brings, whether the pipeline is idle then, and how many records are behind it.
    polls = [
        ([record(2)], True, 3),
        ([record(2)], True, 2),
        ([record(2)], False, 0),
        ([], False, 0),
        ([record(1)], True, 0),
        ([record(1)], True, 0),
        ([record(1)], True, 0),
    ]
    sizes: list[int] = []
    waits: list[int] = []
    nothing = SimpleNamespace(look=lambda: None, add=lambda *_: None, tell=lambda _: None, flush=lambda: None)

    class Target:
        idle = has_room = True
        check = drain = pass_on = staticmethod(lambda *_: None)

        def wait_idle(self, timeout_s: float) -> None:
            waits.append(-round(1000 * timeout_s))

        def submit(self, batch: Batch) -> None:
            if batch.txns:
                sizes.append(len(batch.txns))

    class Consumer:
        behind, away = 0, None

        def poll(self, timeout_ms: int) -> list[tuple[int, list[Txn]]]:
            waits.append(timeout_ms)
            records, target.idle, self.behind = polls.pop(0)
            if not polls:
                applier._worker.stop.set()
            return records

    target = Target()
    applier: Any = Applier.__new__(Applier)
    applier._worker = Worker(Reporter(Role.APPLIER, stream.id), threading.Event(), PausePoints({}), structlog.get_logger())
    applier._reporter, applier._stream, applier._origin = applier._worker.reporter, stream, "east"
    applier._clocks = applier._retention = applier._waits = applier._acks = nothing
    applier._look_at, applier._watch = math.inf, SimpleNamespace(changed=lambda: False)
    applier._control = SimpleNamespace(poll=Wish)
    applier._pipeline, applier._consumer = target, Consumer()
    applier._reader = SimpleNamespace(feed=lambda offset, items: items, stream_id="s", source_id="o", flavor="mysql")
    plans: Any = None
    applier._plans = SimpleNamespace(of=lambda maps: PlansByIndex(plans, maps, 0))
    applier._writers = [SimpleNamespace(limits=None)]
    applier._checkpoint, applier._batch, applier._batch_rows = Checkpoint(), Batch(), 5000
    applier._fetched = applier._gathered = applier._large = applier._local = None
    applier._skip_gtid, applier._saved_us = "", now_us()
    applier.run()
    assert sizes == [7, 1, 1]
    assert waits == [200, 0, 0, -200, 0, -200, 0, 200, 200], "for records, else for the pipeline"


@pytest.mark.parametrize(
    ("idle", "has_room", "rows", "most", "expected"),
    [
        (True, True, 1, 5000, True),
        (False, True, 499, 5000, False),  # those before it commit first anyhow
        (False, True, 500, 5000, True),
        (False, True, 20, 20, True),
        (False, False, 5000, 5000, False),
    ],
)
def test_a_small_batch_waits_for_those_before_it(idle: bool, has_room: bool, rows: int, most: int, expected: bool) -> None:
    """What comes meanwhile shares its transaction; a larger one is written beside the others."""
    applier: Any = Applier.__new__(Applier)
    applier._pipeline = SimpleNamespace(idle=idle, has_room=has_room)
    applier._batch, applier._batch_rows = SimpleNamespace(planner=SimpleNamespace(rows=rows)), most
    assert applier._pays() is expected
