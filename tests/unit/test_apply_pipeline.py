"""What batches on several connections wait for, and which of them ran side by side."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.apply.footprint import Footprint
from replicator.apply.pipeline import Pipeline
from replicator.apply.writer import Batch
from tests.harness import await_
from tests.unit.plan_samples import plan


class Clock:
    """Stands still until a test moves it, and counts how often it was read."""

    def __init__(self) -> None:
        self.now = 100.0
        self.readings = 0

    def monotonic(self) -> float:
        self.readings += 1
        return self.now


class Slot:
    """A writer that takes as long as the test wants for each batch."""

    session = SimpleNamespace(close=lambda: None)

    def __init__(self, number: int, stage: Stage) -> None:
        self.slot = number
        self._stage = stage

    def execute(self, batch: Batch, *, disrupt: Callable[[], None], turn: bool) -> None:
        self._stage.begun[batch.index].set()
        assert self._stage.go[batch.index].wait(10)

    def commit(self) -> None:
        """Nothing is there to commit."""


class Stage:
    """A pipeline on such writers; ``waited`` by cause."""

    def __init__(self, slots: int, clock: Clock) -> None:
        self.clock = clock
        self.begun = [threading.Event() for _ in range(9)]
        self.go = [threading.Event() for _ in range(9)]
        self.waited: Counter[str] = Counter()
        self.committed: list[Batch] = []
        self.others_written: list[bool] = []
        writers: list[Any] = [Slot(number, self) for number in range(slots)]
        self.pipeline = Pipeline(
            writers,
            committed=self.committed.append,
            passed=lambda checkpoint, origin_time_us: None,
            before_commit=lambda batch, others_written: self.others_written.append(others_written),
            retry_limit=0,
            retried=lambda: None,
            waited=lambda cause, seconds: self.waited.update({cause: seconds}),  # type: ignore[dict-item]
        )

    def submit(self, *keys: bytes) -> Batch:
        """A batch of rows with these keys."""
        batch = Batch(footprint=Footprint())
        batch.footprint.add(plan(uniques=()), [(key, b"1", b"1") for key in keys])
        self.pipeline.submit(batch)
        return batch

    def finish(self, *indexes: int) -> None:
        """Let these batches be written."""
        for index in indexes:
            self.go[index].set()

    def after_reading(self, readings: int, seconds: float) -> None:
        """Let time pass once somebody has looked at the clock since."""
        await_("somebody waits", lambda: self.clock.readings > readings)
        self.clock.now += seconds

    def told(self) -> dict[str, float]:
        """Causes that were waited for at all."""
        return {cause: seconds for cause, seconds in self.waited.items() if seconds}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Stage]]:
    """Makes a stage of so many slots."""
    made: list[Stage] = []

    def make(slots: int) -> Stage:
        clock = Clock()
        monkeypatch.setattr("replicator.apply.pipeline.time", clock)
        made.append(Stage(slots, clock))
        return made[-1]

    yield make
    for one in made:
        one.finish(*range(9))
        one.pipeline.close()


def test_all_connections_busy_is_a_wait_for_the_database(stage: Callable[[int], Stage]) -> None:
    """One writes, two batches queue: the next one has to wait until the first is committed."""
    one = stage(1)
    one.submit(b"1")
    assert one.begun[0].wait(10)
    one.submit(b"2")
    one.submit(b"3")
    before = one.clock.readings
    fourth = threading.Thread(target=one.submit, args=(b"4",))
    fourth.start()
    one.after_reading(before, 7)
    one.finish(0, 1, 2, 3)
    fourth.join(10)
    one.pipeline.drain()
    assert one.told() == {"database": 7}


def test_a_batch_that_changes_rows_of_one_that_runs_waits_for_it(stage: Callable[[int], Stage]) -> None:
    """A connection is free meanwhile, whichever of them takes the batch in the end."""
    one = stage(2)
    one.submit(b"1", b"2")
    assert one.begun[0].wait(10)
    one.submit(b"2", b"3")
    await_("the other connection has looked at it", lambda: one.pipeline._kept_since is not None)
    assert not one.begun[1].is_set()
    one.clock.now += 5
    one.finish(0, 1)
    one.pipeline.drain()
    assert one.told() == {"dependency": 5}
    assert [batch.side_by_side for batch in one.committed] == [False, False]


def test_a_batch_with_rows_of_its_own_waits_only_to_commit(stage: Callable[[int], Stage]) -> None:
    """It is written beside the first, which is told so before it commits, and commits behind it."""
    one = stage(2)
    one.submit(b"1", b"2")
    assert one.begun[0].wait(10)
    one.submit(b"3")
    assert one.begun[1].wait(10)
    before = one.clock.readings
    one.finish(1)
    one.after_reading(before, 3)
    assert one.committed == []
    one.finish(0)
    one.pipeline.drain()
    assert one.told() == {"commit_order": 3}
    assert [(batch.index, batch.side_by_side) for batch in one.committed] == [(0, False), (1, True)]
    assert one.others_written == [True, False]


def test_one_connection_depends_on_nothing(stage: Callable[[int], Stage]) -> None:
    """Batches of one row behind each other: it is the connection that is busy."""
    one = stage(1)
    one.submit(b"1")
    assert one.begun[0].wait(10)
    one.submit(b"1")
    one.clock.now += 5
    one.finish(0, 1)
    one.pipeline.drain()
    assert one.told() == {}
    assert [batch.side_by_side for batch in one.committed] == [False, False]
