"""A simulated site: one table with a primary key and a unique key, its memory of writers, and an applier.

The applier is what the real one has to be towards ``conflict/``: changes that fit take the fast path without a call, the
others are decided by the real ``decide``. A transaction is atomic: it works on copies, and a crash forgets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conflict import (
    Action,
    Change,
    ColumnInfo,
    ColumnKind,
    ConflictType,
    Decision,
    LocalRow,
    Policies,
    Provenance,
    Row,
    TableInfo,
    decide,
    is_unseen,
    registers,
    supersedes,
)
from conflict.stamps import Register

ID, U, A, B, N, TS = range(6)
"""The columns: primary key, unique key, two plain values, a counter, and a timestamp that every write raises."""

TABLE = TableInfo(
    "shop",
    "item",
    tuple([ColumnInfo(name, ColumnKind.INTEGER, nullable=name == "u") for name in ("id", "u", "a", "b", "n", "ts")]),
    key=(ID,),
    unique_keys=((U,),),
)


class Crash(Exception):
    """The applier dies in the middle of a transaction."""


class Broken(Exception):
    """Something that must not happen: a decision that the database would refuse."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a site committed, with the sequences of the other sites that it had applied by then."""

    provenance: Provenance
    changes: tuple[Change, ...]
    seen: Mapping[str, int]


@dataclass
class Store:
    """The rows, by primary key and unique key, and who wrote each register last."""

    rows: dict[object, Row] = field(default_factory=dict)
    holders: dict[object, object] = field(default_factory=dict)
    writers: dict[Register, Provenance] = field(default_factory=dict)
    deleted: dict[object, Row] = field(default_factory=dict)

    def copy(self) -> Store:
        """An independent copy."""
        return Store(dict(self.rows), dict(self.holders), dict(self.writers), dict(self.deleted))

    def insert(self, row: Row) -> None:
        """Insert as the database would: a duplicate is refused."""
        if row[ID] in self.rows or (row[U] is not None and row[U] in self.holders):
            raise Broken(f"duplicate key on insert of {row}")
        self.rows[row[ID]] = row
        if row[U] is not None:
            self.holders[row[U]] = row[ID]

    def delete(self, identity: object) -> None:
        """Delete one row, which must be there."""
        row = self.rows.pop(identity)
        if row[U] is not None:
            del self.holders[row[U]]

    def update(self, identity: object, row: Row) -> None:
        """Make one row into another."""
        self.delete(identity)
        self.insert(row)


@dataclass
class Site:
    """One site: its store, what it committed itself, and up to where it applied the others."""

    name: str
    priority: int
    policies: Policies
    exact: bool = False
    """Whether the applier knows exactly which versions the origin had not seen."""
    forgetful: bool = False
    """Whether it remembers nothing of rows that are gone."""
    memory: bool = True
    """Whether it remembers writers at all."""
    only_local: bool = False
    """Whether it remembers its own writers alone, and takes every other version to be known to the origin."""
    check_fast_path: bool = False
    """Whether changes that fit are decided all the same, to see that it comes to the same."""
    store: Store = field(default_factory=Store)
    log: list[Transaction] = field(default_factory=list)
    applied: dict[str, int] = field(default_factory=dict)
    last_time_us: int = 0
    decisions: int = 0

    def commit(self, changes: tuple[Change, ...], time_us: int) -> None:
        """Commit local changes, which are already in the store."""
        self.last_time_us = max(self.last_time_us, time_us)
        provenance = Provenance(self.name, self.last_time_us, sequence=len(self.log) + 1, priority=self.priority)
        self.log.append(Transaction(provenance, changes, dict(self.applied)))
        for change in changes:
            for register in registers(change, TABLE):
                self.store.writers[register] = provenance
            if change.before is not None:
                self.store.deleted[change.before[ID]] = change.before

    def apply(self, transaction: Transaction, crash_after: int | None = None) -> None:
        """Apply another site's transaction, whole or not at all; one that was applied already does nothing."""
        origin = transaction.provenance
        if origin.sequence <= self.applied.get(origin.site, 0):
            return
        work = self.store.copy()
        for i, change in enumerate(transaction.changes):
            if i == crash_after:
                raise Crash
            self._apply_change(work, change, transaction)
        self.store = work
        self.applied[origin.site] = origin.sequence

    def _apply_change(self, work: Store, change: Change, transaction: Transaction) -> None:
        origin = transaction.provenance
        local, others = self._look(work, change, transaction)
        if self._fits(change, local, others, origin):
            action = Action.WRITE_INSERT if change.before is None else Action.WRITE_UPDATE
            decision = Decision(Action.WRITE_DELETE if change.after is None else action, change.after, provenance=origin)
            if self.check_fast_path and self._decide(change, local, others, origin) != decision:
                raise Broken(f"the fast path and decide() differ on {change} over {local} and {others}")
        else:
            self.decisions += 1
            decision = self._decide(change, local, others, origin)
        _carry_out(work, change, decision)
        if decision.provenance is not None and not self.only_local:
            self._remember(work, change, decision.provenance, transaction)

    def _decide(self, change: Change, local: LocalRow, others: list[LocalRow], origin: Provenance) -> Decision:
        return decide(
            change,
            local,
            others,
            policies=self.policies,
            table=TABLE,
            origin=origin,
            site=self.name,
            site_priority=self.priority,
            remembering=self.memory,
        )

    def _look(self, work: Store, change: Change, transaction: Transaction) -> tuple[LocalRow, list[LocalRow]]:
        image = change.before if change.before is not None else change.after
        assert image is not None
        local = self._at(work, ((ID,), (image[ID],)), transaction)
        others = []
        if change.after is not None:
            for key, values in registers(change, TABLE):
                if key == (U,) or values != (image[ID],):
                    others.append(self._at(work, (key, values), transaction))
        return local, others

    def _at(self, work: Store, register: Register, transaction: Transaction) -> LocalRow:
        key, (value,) = register
        row = work.rows.get(value) if key == (ID,) else work.rows.get(work.holders.get(value))
        writer = work.writers.get(register)
        if not self.memory or (self.forgetful and row is None):
            writer = None
        deleted = work.deleted.get(value) if key == (ID,) and writer is not None else None
        return LocalRow(row, writer, deleted, self._unseen(writer, transaction))

    def _unseen(self, writer: Provenance | None, transaction: Transaction) -> bool | None:
        """What nobody is remembered to have written was there before the sites began: every site knows it."""
        if not self.exact:
            return None
        return writer is not None and is_unseen(writer, transaction.provenance.site, transaction.seen)

    def _fits(self, change: Change, local: LocalRow, others: list[LocalRow], origin: Provenance) -> bool:
        """The fast path: what is there is what the change expects, and nothing that it touches was written later."""
        if local.row != change.before or any(o.row is not None and o.row != local.row for o in others):
            return False
        if self.exact:
            return not any(one.unseen for one in (local, *others))
        if self.policies.by_commit_time(TABLE.name):
            return all(supersedes(origin, one.provenance) for one in (local, *others))
        if change.before is None and self.policies.needs_provenance(TABLE.name):
            return not local.tombstone
        return True

    def _remember(self, work: Store, change: Change, provenance: Provenance, transaction: Transaction) -> None:
        for register in registers(change, TABLE):
            old = work.writers.get(register)
            unseen = self._unseen(old, transaction)
            if self.policies.remembers(TABLE.name, provenance, old, unseen=unseen):
                work.writers[register] = provenance
        if change.after is None and change.before is not None and change.before[ID] not in work.rows:
            held = work.deleted.get(change.before[ID])
            if held is None or _ts(change.before) > _ts(held):
                work.deleted[change.before[ID]] = change.before


def _ts(row: Row) -> int:
    value = row[TS]
    assert isinstance(value, int)
    return value


def _carry_out(work: Store, change: Change, decision: Decision) -> None:
    if decision.action in (Action.QUARANTINE, Action.HALT):
        conflict = decision.record.conflict if decision.record else ConflictType.UPDATE_DIFFERING
        raise Broken(f"{decision.action} on {conflict}: {decision.record}")
    for row in decision.delete_first:
        work.delete(row[ID])
    if decision.action is Action.WRITE_DELETE:
        assert change.before is not None or change.after is not None
        image = change.before if change.before is not None else change.after
        assert image is not None
        work.delete(image[ID])
    elif decision.action is Action.WRITE_INSERT:
        assert decision.row is not None
        work.insert(decision.row)
    elif decision.action is Action.WRITE_UPDATE:
        assert decision.row is not None
        image = change.before if change.before is not None else change.after
        assert image is not None
        work.update(image[ID], decision.row)
