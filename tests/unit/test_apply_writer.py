"""What a writer does around the statements of a batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.apply.checkpoint import Checkpoint
from replicator.apply.pipeline import _BYTES_MAX, Pipeline
from replicator.apply.session import ServerError
from replicator.apply.writer import Batch, NotYet, Writer
from tests.harness import await_


class Refusing:
    """A session whose server refuses everything."""

    max_packet = 1 << 20

    def run(self, sql: bytes) -> Any:
        raise ServerError(1062, "duplicate", 0, "here")


class Disrupted(Exception):
    """Ends the attempt."""


def test_a_batch_looks_closer_before_it_disrupts_the_others() -> None:
    """Between the two no other batch may start: it would see neither."""
    nothing = SimpleNamespace(refresh=lambda session: None)
    resolver: Any = SimpleNamespace(quarantine=nothing, memory=None)
    fence: Any = SimpleNamespace(statement=lambda slot, checkpoint: b"UPDATE checkpoint")
    session: Any = Refusing()
    other: Any = None
    writer, batch = Writer(session, 0, fence, other, resolver, other), Batch()

    def disrupt() -> None:
        assert batch.looked_closer
        raise Disrupted

    with pytest.raises(Disrupted):
        writer.execute(batch, disrupt=disrupt)


def pipeline_of(slots: list[Any], order: list[Any]) -> Pipeline:
    """That notes the indexes of what it committed, and the sequences of what passed on."""
    return Pipeline(
        slots,
        committed=lambda batch: order.append(batch.index),
        passed=lambda checkpoint, origin_time_us: order.append((checkpoint.sequence, origin_time_us)),
        before_commit=lambda batch, others_written: None,
        retry_limit=0,
        retried=lambda: None,
        waited=lambda cause, seconds: None,
    )


class Held:
    """A writer that holds each batch until it may go on."""

    slot = 0
    session = SimpleNamespace(close=lambda: None)

    def __init__(self) -> None:
        self.go = threading.Event()

    def execute(self, batch: Batch, *, disrupt: Callable[[], None], turn: bool) -> None:
        assert self.go.wait(10)

    def commit(self) -> None:
        """Nothing is there to commit."""


def test_the_position_passes_on_behind_the_batches_and_takes_no_connection() -> None:
    """The newest wins, with the origin's time that was known; each record's end would else hold a connection in its turn."""
    order: list[Any] = []
    slot = Held()
    pipeline = pipeline_of([slot], order)
    try:
        pipeline.pass_on(Checkpoint(sequence=1), 7)
        pipeline.submit(Batch())
        pipeline.pass_on(Checkpoint(sequence=2), 8)
        pipeline.pass_on(Checkpoint(sequence=3), 0)
        assert order == [(1, 7)], "behind what is not committed"
        slot.go.set()
        pipeline.drain()
    finally:
        pipeline.close()
    assert order == [(1, 7), 0, (3, 8)]


def test_batches_are_bounded_by_their_bytes_together() -> None:
    """Six wide batches at once would be several times the memory that one takes."""
    slot, order = Held(), list[Any]()
    pipeline = pipeline_of([slot], order)
    try:
        pipeline.submit(Batch(bytes=_BYTES_MAX))
        await_("the batch is taken", lambda: not pipeline._queue)
        assert not pipeline.has_room
        slot.go.set()
        pipeline.drain()
        assert pipeline.has_room
    finally:
        pipeline.close()


def test_what_does_not_fit_before_its_turn_is_written_again_at_its_turn() -> None:
    """An earlier batch that is not committed may be why: nothing is decided, and no later batch is bothered."""
    first, second = Batch(txns=[]), Batch(txns=[])
    started = threading.Event()
    attempts: list[tuple[int, bool]] = []

    class Slot:
        """A writer; the second batch fits only behind the first."""

        slot = 0
        session = SimpleNamespace(close=lambda: None)

        def execute(self, batch: Batch, *, disrupt: Callable[[], None], turn: bool) -> None:
            attempts.append((batch.index, turn))
            if batch is second and not turn:
                started.set()
                raise NotYet
            if batch is first:
                assert started.wait(10)

        def commit(self) -> None:
            """Nothing is there to commit."""

    order: list[Any] = []
    pipeline = pipeline_of([Slot(), Slot()], order)
    try:
        pipeline.submit(first)
        pipeline.submit(second)
        pipeline.drain()
    finally:
        pipeline.close()
    assert order == [0, 1]
    assert sorted(attempts) == [(0, True), (1, False), (1, True)] and not first.disrupted


@pytest.mark.parametrize("turn", [True, False])
def test_a_writer_looks_closer_only_at_its_turn(turn: bool) -> None:
    """Before, it gives up what it wrote."""
    ran: list[bytes] = []

    class Duplicates(Refusing):
        """Refuses the batch, and takes a rollback."""

        def run(self, sql: bytes) -> Any:
            ran.append(sql)
            return [] if sql.startswith(b"ROLLBACK;SET") and b"BEGIN" not in sql else super().run(sql)

    nothing = SimpleNamespace(refresh=lambda session: None, rolled_back=lambda _: None)
    resolver: Any = SimpleNamespace(quarantine=nothing, memory=None)
    fence: Any = SimpleNamespace(statement=lambda slot, checkpoint: b"UPDATE checkpoint")
    session: Any = Duplicates()
    other: Any = None

    def disrupt() -> None:
        raise Disrupted

    with pytest.raises(Disrupted if turn else NotYet):
        Writer(session, 0, fence, other, resolver, other).execute(Batch(), disrupt=disrupt, turn=turn)
    assert len(ran) == (1 if turn else 2)
