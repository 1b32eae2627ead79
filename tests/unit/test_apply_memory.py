"""What is remembered of local changes: of each key the last one, until the origin has seen it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from conflict.stamps import Register
from conflict.types import Provenance
from replicator.apply import local
from replicator.apply.local import LocalChanges, OpenMemory
from replicator.apply.remembered import Entry
from replicator.apply.remembered import Remembered as Entries
from replicator.apply.resolve import Resolver
from replicator.apply.session import Outcome, pack_text_row
from replicator.apply.shape import Shape, shape_of
from replicator.context import now_us
from replicator.errors import ApplyError
from replicator.gtid import parse_position
from replicator.stream.reader import LargeAbort, LargeBegin, LargeEnd, LargePart, Txn
from replicator.stream.wire import QUERY, pack_event
from tests.unit.plan_samples import plan

SESSION: Any = None


class Remembered(LocalChanges):
    """A memory that is always complete, filled by the test."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._entries = Entries()
        self._seen = 0
        self._begins = 0
        self._passed_us = 0
        self._taken = 0
        self._forget_from = 0
        self.forgot = 0
        self._written_by = SimpleNamespace(forget=self._forget)  # type: ignore[assignment]
        self.asked = 0

    def _forget(self) -> None:
        self.forgot += 1

    def cover(self, session: Any) -> None:
        """Nothing is on its way."""
        self.asked += 1

    remembers = staticmethod(lambda *_, **__: True)  # type: ignore[assignment]

    def changed(self, shape: Shape, register: Register, sequence: int, deleted: Any = None) -> None:
        """A local transaction wrote there."""
        entry = Entry(Provenance("west", 1000 + sequence, f"g:{sequence}", sequence), deleted)
        self._entries.update({local._key(shape, register): entry})


@pytest.fixture
def shape() -> Shape:
    """Of a table with an integer key."""
    return shape_of(plan())


def test_a_row_that_comes_and_goes_while_its_absence_is_settled_is_noticed(shape: Shape) -> None:
    """What is not there cannot be locked: its memory is asked again before the commit."""
    known = Remembered()
    memory = OpenMemory(known)
    key = shape.register((0,), (7, None, None))
    assert memory.still_holds(SESSION) and known.asked == 0, "nothing was missing"
    memory.row((7, 1, 1), shape, key, 0)
    assert memory.still_holds(SESSION) and known.asked == 0, "it was locked"
    assert memory.row(None, shape, key, 0).unseen is False
    assert memory.still_holds(SESSION)
    known.changed(shape, key, 5, deleted=(7, 1, 1))
    assert not memory.still_holds(SESSION)
    memory.rolled_back()
    assert memory.row(None, shape, key, 0).deleted == (7, 1, 1)
    assert memory.still_holds(SESSION), "now it is known"


def test_what_comes_while_absence_is_asked_for_is_noticed(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that reads the stream back goes on meanwhile."""
    known = Remembered()
    memory = OpenMemory(known)
    key = shape.register((0,), (7, None, None))
    ask = known.find

    def find(wanted: Any, seen: int) -> Entry | None:
        found = ask(wanted, seen)
        known.changed(shape, key, 5, deleted=(7, 1, 1))
        return found

    monkeypatch.setattr(known, "find", find)
    assert memory.row(None, shape, key, 0).tombstone is False
    assert not memory.still_holds(SESSION)


@pytest.mark.parametrize("in_memory", [2, 1000])
def test_a_large_transaction_counts_once_it_is_whole(shape: Shape, in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is rolled back in its middle never was: what was known before it still is."""
    monkeypatch.setattr(local, "Remembered", lambda: Entries(in_memory))
    known = Remembered()
    known._entries, known._large, known._staged = Entries(in_memory), None, Entries(in_memory)
    keys = [local._key(shape, shape.register((0,), (i, None, None))) for i in range(9)]

    def remember(txn: Txn, entries: Entries) -> None:
        for key in keys[:5]:
            entries.update({key: Entry(Provenance("west", txn.commit_time_us, txn.gtid, txn.sequence), None)})

    monkeypatch.setattr(known, "_remember", remember)

    def sequences() -> list[int]:
        return [entry.provenance.sequence if entry else 0 for entry in map(known.entry, keys)]

    for key in keys[:8]:
        known._entries.update({key: Entry(Provenance("west", 1000, "g:1", 1), None)})
    for end, sequence in ((LargeAbort(), 2), (LargeEnd(2), 2)):
        known._take(LargeBegin(sequence, "g:2", 2000, "", 0, 1), "mysql")
        known._take(LargePart((), b""), "mysql")
        known._take(LargePart((), b""), "mysql")
        assert sequences() == [1] * 8 + [0]
        known._take(end, "mysql")
        assert sequences() == ([1] * 8 if isinstance(end, LargeAbort) else [2] * 5 + [1] * 3) + [0]
    known._entries.update({keys[0]: Entry(Provenance("west", 3000, "g:3", 3), None)})
    assert sequences()[:2] == [3, 2]


def test_a_tombstone_lives_until_the_origin_has_seen_it(shape: Shape) -> None:
    """A deleted row is remembered as long as a change made without knowledge of the delete may come, and no longer."""
    known = Remembered()
    memory = OpenMemory(known)
    keys = [shape.register((0,), (i, None, None)) for i in (1, 2)]
    for sequence, key in enumerate(keys, 1):
        known.changed(shape, key, sequence, deleted=(sequence, None, 0))
    known.forget(1)
    assert memory.row(None, shape, keys[0], 1).tombstone is False
    assert memory.row(None, shape, keys[1], 1).deleted == (2, None, 0)
    assert len(known._entries) == 1
    known.forget(2)
    assert memory.row(None, shape, keys[1], 2).tombstone is False
    # While there are few, what the origin has seen is only passed over.
    assert len(known._entries) == 1


def test_no_number_of_local_changes_is_too_much(shape: Shape) -> None:
    """What does not fit into memory goes into a file, and is found there, overwritten, dropped and forgotten like the rest."""
    known = Remembered()
    known._entries = Entries(in_memory=10)
    memory = OpenMemory(known)
    keys = [shape.register((0,), (i, None, None)) for i in range(100)]
    for sequence, key in enumerate(keys, 1):
        known.changed(shape, key, sequence, deleted=(sequence, None, 0))
    assert len(known._entries) == 100 and len(known._entries._new) <= 10
    found = [memory.row(None, shape, key, 0) for key in keys]
    assert [row.deleted for row in found] == [(sequence, None, 0) for sequence in range(1, 101)]
    known.changed(shape, keys[3], 200)
    row = memory.row(None, shape, keys[3], 0)
    assert row.provenance is not None and row.provenance.sequence == 200 and row.deleted is None
    entry = known.entry(local._key(shape, keys[5]))
    assert entry is not None
    known.drop({local._key(shape, keys[5]): entry, local._key(shape, keys[3]): entry})
    assert known.entry(local._key(shape, keys[5])) is None
    assert known.entry(local._key(shape, keys[3])) is not None, "changed again since"
    now = known.entry(local._key(shape, keys[3]))
    assert now is not None
    known.drop({local._key(shape, keys[3]): now})
    assert known.entry(local._key(shape, keys[3])) is None, "nor does what it had replaced come back"
    known._entries.forget(90, 0)
    left = [i for i, key in enumerate(keys) if known.entry(local._key(shape, key)) is not None]
    assert left == [*range(90, 100)]


def test_a_change_that_nothing_later_will_come_before_is_forgotten(shape: Shape) -> None:
    """In a one-way pair nobody sees the local changes: the commit times that passed tell which can matter no more."""
    known = Remembered()
    known.by_time = True
    memory = OpenMemory(known)
    early, late = (shape.register((0,), (i, None, None)) for i in (1, 2))
    known.changed(shape, early, 1)  # committed at 1001
    known.changed(shape, late, 5)
    known.passed(1001)
    assert memory.row((1, 1, 1), shape, early, 0).provenance is not None, "another change may have the very same time"
    known.passed(1002)
    known.passed(900)
    row = memory.row((1, 1, 1), shape, early, 0)
    assert row.provenance is None and row.unseen is None
    # What a pair that once wrote both ways left as seen means nothing here.
    known.forget(9)
    assert memory.row((2, 1, 1), shape, late, 9).unseen is True


def test_a_clock_that_is_ahead_does_not_make_later_changes_old(shape: Shape) -> None:
    """The origin's heartbeats of one hour ahead pass what was changed here by now, and nothing of what will be."""
    known = Remembered()
    known.by_time = True
    known.passed(now_us() + 3_600_000_000)
    key = shape.register((0,), (1, None, None))
    known._entries.update({local._key(shape, key): Entry(Provenance("west", now_us(), "g:1", 1), None)})
    assert OpenMemory(known).row((1, 1, 1), shape, key, 0).unseen is True


@pytest.mark.parametrize("seen", [0, 9])
def test_a_local_statement_makes_the_plans_stale(seen: int) -> None:
    """Also one that the origin has seen by now: rows may have been planned before."""
    known = Remembered()
    known._seen = seen
    known._back = SimpleNamespace(origin=SimpleNamespace(name="west"))  # type: ignore[assignment]
    known._stream = SimpleNamespace(site_priorities={})  # type: ignore[assignment]
    known._plans = known._written_by
    known._remember(Txn(5, "g:5", 1000, "", (), pack_event(QUERY, 0, b""), 1), Entries())
    assert known.forgot >= 1


def test_an_origin_that_has_seen_more_than_there_is_speaks_of_another_stream() -> None:
    """The stream back was started anew alone: none of its changes may count as seen. What comes while it is asked does not."""
    known = Remembered()
    known._stream = known._back = SimpleNamespace(origin=SimpleNamespace(name="east"), id="p.0")  # type: ignore[assignment]
    known._error, known._closed = None, False
    uuid = "00000000-0000-0000-0000-000000000001"
    known._position, known._last = parse_position("mysql", f"{uuid}:1-10"), 10
    later = 10

    def run(_: bytes) -> list[Outcome]:
        known.forget(later)
        return [Outcome(1, [pack_text_row([b"", f"{uuid}:1-10".encode()])])]

    session: Any = SimpleNamespace(mariadb=False, run=run)
    LocalChanges.cover(known, session)
    later = 11
    LocalChanges.cover(known, session)
    with pytest.raises(ApplyError, match="has seen 11 transactions of the stream back, and it holds 10") as caught:
        LocalChanges.cover(known, session)
    assert "both flows of the pair anew" in caught.value.remedy


def test_two_spellings_of_a_key_are_one() -> None:
    """As far as the target's collation says so."""
    shape = shape_of(plan(text_key=True))
    known = Remembered()
    known.changed(shape, shape.register((0,), (b"Ann", None, None)), 3)
    memory = OpenMemory(known)
    assert memory.row((b"Ann", 1, 1), shape, shape.register((0,), (b"ann ", None, None)), 0).unseen is True
    assert memory.row(None, shape, shape.register((0,), (b"Anna", None, None)), 0).unseen is False


def test_a_generated_key_is_remembered_by_the_row_that_has_it() -> None:
    """The origin's image cannot tell its value here, so nothing is remembered at it."""
    made = plan(generated=["u"])
    shape, known = shape_of(made), Remembered()
    known.changed(shape, shape.register((0,), (8, 1)), 5)
    resolver = Resolver(*[SimpleNamespace()] * 4, OpenMemory(known))  # type: ignore[arg-type]
    resolver.memory_of = lambda _: resolver.memory  # type: ignore[method-assign]
    found = resolver.known(made, shape, made.uniques[0], (8, 1), (7, 1), 3)
    assert found.row == (8, 1) and found.unseen and found.provenance is not None and found.provenance.sequence == 5
    assert resolver.known(made, shape, made.uniques[0], None, (7, 1), 3).provenance is None
    assert known.asked == 0 and OpenMemory(known).still_holds(SESSION)
