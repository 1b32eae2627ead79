"""What a simulated site remembers of who wrote what, behind the interface that the applier's writer and resolver use.

``Followed`` is the applier's own memory of local changes, which reads the simulated stream back when it is asked. ``Everyone`` is
the memory of all writers, local and replicated, which no applier has yet: docs/CONFLICTS.md says what it would settle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from conflict import Change, Decision, LocalRow, Policies, Provenance, Row, TableInfo, is_unseen, registers, supersedes
from conflict.stamps import Register
from replicator.apply.local import LocalChanges
from replicator.apply.plan import TablePlan
from replicator.apply.remembered import Remembered
from replicator.apply.session import Session
from replicator.apply.shape import Shape, shape_of
from replicator.config import StreamConfig
from replicator.stream.reader import StreamReader
from tests.property.database import ID, TS, Store
from tests.property.streams import FLAVOR, plans_of, sequence_of

__all__ = ["Everyone", "Followed"]

_FORGET_FROM = 8
"""So many entries are kept before those are looked for that the origin has seen; the applier's own limit is far higher."""


class Followed(LocalChanges):
    """Reads the stream back from a list of records, as far as it goes, whenever it must be complete."""

    def __init__(self, stream: StreamConfig, records: list[bytes], seen: int) -> None:
        assert stream.reverse is not None
        self._stream = stream
        self._back = stream.reverse
        self._plans = plans_of(stream)
        self._records = records
        self._next = 0
        self._reader = StreamReader(stream=str(self._back.id), anywhere=True)
        self._seen = seen
        self._begins = 0
        self._lock = threading.Condition()
        self._entries = Remembered(in_memory=4)
        self._passed_us = 0
        self._taken = 0
        self.remembers = stream.policies.remembers
        self._concerned = {}
        self._position = None
        self._last = 0
        self._error = None
        self._closed = False
        self._large = None
        self._forget_from = _FORGET_FROM

    def cover(self, session: Session) -> None:
        """Take what came since, and then be complete, or time out."""
        while self._next < len(self._records):
            for item in self._reader.feed(self._next, self._records[self._next]):
                self._take(item, FLAVOR)
            self._next += 1
        super().cover(session)


@dataclass
class _Known:
    writers: dict[Register, Provenance] = field(default_factory=dict)
    deleted: dict[object, Row] = field(default_factory=dict)


@dataclass
class Everyone:
    """Who wrote each register last, and the rows that were deleted. One for a site, shared by its appliers."""

    policies: Policies
    exact: bool
    """Whether it is known what the origin had not seen; of two sites only."""
    forgetful: bool
    """Whether nothing is remembered of what is gone."""
    store: Callable[[], Store]
    """The site's rows."""
    origin: str = ""
    """Whose transactions are being applied."""
    versions: Mapping[int, Provenance] = field(default_factory=dict)
    """Their provenances by sequence."""
    _kept: _Known = field(default_factory=_Known)
    _open: _Known | None = None
    _concerned: bool | None = None

    def wrote(self, changes: Iterable[Change], table: TableInfo, provenance: Provenance) -> None:
        """The site's own applications committed something."""
        for change in changes:
            for register in registers(change, table):
                self._kept.writers[register] = provenance
            if change.before is not None:
                self._kept.deleted[change.before[ID]] = change.before

    def concerns(self, plan: TablePlan) -> bool:
        """As of ``OpenMemory``, as all below."""
        if self._concerned is None:
            self._concerned = self.policies.needs_provenance((plan.map.schema, plan.map.table))
        return self._concerned

    def cover(self, session: Session) -> None:
        """It always is complete."""

    def any_unseen(self, events: Iterable[tuple[TablePlan, int, bytes]], seen: int) -> bool:
        """Whether something later stands in the way of changes that are written; where not, they are remembered."""
        found = list(self._versions(events))
        for change, shape, provenance in found:
            if self._in_the_way(change, shape, provenance, seen):
                return True
        for change, shape, provenance in found:
            self._remember(change, shape, provenance, seen)
        return False

    def _versions(self, events: Iterable[tuple[TablePlan, int, bytes]]) -> Iterator[tuple[Change, Shape, Provenance]]:
        for plan, kind, payload in events:
            shape = shape_of(plan)
            for before, after in plan.texts(kind, payload):
                yield Change(shape.values(before), shape.values(after)), shape, self.versions[sequence_of(payload)]

    def _in_the_way(self, change: Change, shape: Shape, provenance: Provenance, seen: int) -> bool:
        touched = [(register, self._writer(register)) for register in registers(change, shape.info)]
        if self.exact:
            return any(self._unseen(writer, seen) for _, writer in touched)
        if self.policies.by_commit_time(shape.info.name):
            return not all(supersedes(provenance, writer) for _, writer in touched)
        if change.before is None:  # what was at this key may be gone
            return touched[0][1] is not None
        return False

    def row(self, row: Row | None, shape: Shape, register: Register, seen: int) -> LocalRow:
        """What is, or was, at one key, with its last writer."""
        writer = None if self.forgetful and row is None else self._known.writers.get(register)
        key, values = register
        deleted = self._known.deleted.get(values[0]) if key == (ID,) and writer is not None else None
        return LocalRow(row, writer, deleted, self._unseen(writer, seen) if self.exact else None)

    def settled(self, decision: Decision, change: Change, shape: Shape, seen: int) -> None:
        """A change was decided."""
        if decision.provenance is not None:
            self._remember(change, shape, decision.provenance, seen)

    def still_holds(self, session: Session) -> bool:
        """Nobody else writes meanwhile."""
        return True

    def committed(self) -> None:
        """The transaction is durable."""
        if self._open is not None:
            self._kept, self._open = self._open, None

    def rolled_back(self) -> None:
        """The transaction never was."""
        self._open = None

    @property
    def _known(self) -> _Known:
        return self._open if self._open is not None else self._kept

    def _writer(self, register: Register) -> Provenance | None:
        (key,), (value,) = register
        store = self.store()
        if self.forgetful and (value if key == ID else store.holders.get(value)) not in store.rows:
            return None
        return self._known.writers.get(register)

    def _unseen(self, writer: Provenance | None, seen: int) -> bool:
        """What nobody is remembered to have written was there before the sites began: every site knows it."""
        return writer is not None and is_unseen(writer, self.origin, {writer.site: seen})

    def _remember(self, change: Change, shape: Shape, provenance: Provenance, seen: int) -> None:
        if self._open is None:
            self._open = _Known(dict(self._kept.writers), dict(self._kept.deleted))
        known = self._open
        for register in registers(change, shape.info):
            old = known.writers.get(register)
            unseen = self._unseen(old, seen) if self.exact else None
            if self.policies.remembers(shape.info.name, provenance, old, unseen=unseen):
                known.writers[register] = provenance
        if change.after is None and change.before is not None:
            held = known.deleted.get(change.before[ID])
            if held is None or _ts(change.before) > _ts(held):
                known.deleted[change.before[ID]] = change.before


def _ts(row: Row) -> int:
    value = row[TS]
    assert isinstance(value, int)
    return value
