"""A batch that does not fit, settled as a whole: its rows are read and locked at once, every change is decided in the origin's
order against what the changes before it leave, and all of it is written at once.

What that makes is what ``resolve`` makes change by change, with a few round trips instead of a few for each change. Where the
outcome could differ (keys whose equality only the server knows, held rows, cascades, anything that the server refuses), nothing
is written and ``NotPlain`` says so; the caller then goes change by change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conflict.types import Action, Decision, LocalRow, Record, Row
from conflict.types import Change as RowChange

from ..row.decode import rows_flags
from ..stream.reader import Txn
from ..stream.wire import read_events
from .batch import ANYTHING, KINDS, UNCHECKED, Change, Expect, Statement, kind_of
from .known import KnownRows, NotPlain
from .session import Session, text_row
from .shape import Shape

if TYPE_CHECKING:
    from .plans import Plans
    from .resolve import Resolver

__all__ = ["Bulk"]

_ONE = Expect(affected=1)


@dataclass(slots=True)
class Bulk:
    """What was decided about some transactions, and not written yet."""

    resolver: Resolver
    plans: Plans
    packet_bytes: int
    tables: dict[str, KnownRows] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    records: list[tuple[Record, Shape]] = field(default_factory=list)
    _entries: list[bytes] = field(default_factory=list)

    def decide(self, session: Session, txns: Sequence[Txn]) -> None:
        """Read, lock and decide. Raises NotPlain where it must be done change by change."""
        version = self.plans.targets.version
        changes = [(txn, change) for txn in txns for change in self._changes(txn)]
        for _, change in changes:
            self._table(change).want(change)
        selects = [(known, number, sql) for known in self.tables.values() for number, sql in known.selects()]
        if sum(len(sql) + 1 for _, _, sql in selects) > self.packet_bytes:
            raise NotPlain
        outcomes = session.run(b";".join([sql for _, _, sql in selects])) if selects else []
        for (known, number, _), outcome in zip(selects, outcomes, strict=True):
            known.learn(number, [known.shape.values_of_row(text_row(packet)) for packet in outcome.rows or []])
        resolver = self.resolver
        memory = resolver.memory
        if memory is not None and any(memory.concerns(known.plan) for known in self.tables.values()):
            memory.cover(session)
            if self.plans.targets.version != version:
                raise NotPlain  # a local statement came in between
        for txn, change in changes:
            self._decide(txn, change)
        for sql in resolver.journal.entries(self._entries, self.packet_bytes):
            self.statements.append(Statement(sql, ANYTHING))
        if any(len(statement.sql) > self.packet_bytes for statement in self.statements):
            raise NotPlain

    def _changes(self, txn: Txn) -> Iterator[Change]:
        plans = self.plans.of(txn.table_maps)
        for event in read_events(txn.events):
            plan = plans[event.table] if event.type in KINDS else None
            if event.table in plans.missing and event.type in KINDS:
                raise NotPlain
            if plan is None:
                continue
            if rows_flags(event.payload) & UNCHECKED:
                raise NotPlain
            images = zip(plan.literals(event.type, event.payload), plan.texts(event.type, event.payload), strict=True)
            for (before, after), (before_texts, after_texts) in images:
                change = Change(plan, kind_of(before, after), before, after, before_texts, after_texts)
                if self.resolver.quarantine.holds(change):
                    raise NotPlain
                yield change

    def _table(self, change: Change) -> KnownRows:
        known = self.tables.get(change.plan.table)
        if known is None:
            if self.resolver.asks_functions(change.plan):
                raise NotPlain  # a function is asked once about each change, and this may be given up
            known = self.tables[change.plan.table] = KnownRows(change.plan)
        elif known.plan is not change.plan:
            raise NotPlain
        return known

    def _decide(self, txn: Txn, change: Change) -> None:
        known = self.tables[change.plan.table]
        shape, resolver = known.shape, self.resolver
        row_change = RowChange(shape.values(change.before_texts), shape.values(change.after_texts))
        local, others = self._meets(known, change, row_change, txn.seen)
        decision = resolver.decision(txn, change, shape, row_change, local, others)
        if decision.action in (Action.HALT, Action.QUARANTINE):
            raise NotPlain
        record = decision.record
        if record is not None:
            images = row_change.before, row_change.after
            self._entries.append(resolver.journal.row(txn, change.kind, *images, shape, local.row, decision))
            self.records.append((record, shape))
        self.statements += [_checked(sql) for sql in resolver.statements(change, shape, local, row_change, decision)]
        _keep_up(known, local.row, decision)
        memory = resolver.memory_of(change.plan)
        if memory is not None:
            memory.settled(decision, row_change, shape, txn.seen)

    def _meets(self, known: KnownRows, change: Change, row_change: RowChange, seen: int) -> tuple[LocalRow, list[LocalRow]]:
        """As ``Resolver.read`` would find them now."""
        plan, shape = known.plan, known.shape
        own = row_change.before if row_change.before is not None else row_change.after
        assert own is not None
        local = self.resolver.known(plan, shape, plan.identity, known.at(0, own), own, seen)
        others: list[LocalRow] = []
        after = row_change.after
        if after is not None and change.after is not None and change.after_texts is not None:
            keys = list(enumerate((plan.identity, *plan.uniques)))
            moves = change.before is not None and plan.key(change.before) != plan.key(change.after)
            for number, ordinals in keys if moves else keys[1:]:
                if all(change.after_texts[i] is not None for i in ordinals):
                    others.append(self.resolver.known(plan, shape, ordinals, known.at(number, after), after, seen))
        return local, [one for one in others if one.row is not None or one.provenance is not None]


def _keep_up(known: KnownRows, current: Row | None, decision: Decision) -> None:
    for row in decision.delete_first:
        known.drop(row)
    if decision.action in (Action.WRITE_DELETE, Action.WRITE_UPDATE) and current is not None:
        known.drop(current)
    if decision.action in (Action.WRITE_INSERT, Action.WRITE_UPDATE):
        assert decision.row is not None
        known.put(decision.row)


def _checked(sql: bytes) -> Statement:
    """An update may find its row as it should be; anything else must do what it says."""
    return Statement(sql, ANYTHING if sql.startswith(b"UPDATE ") else _ONE)
