"""Plans a batch: consecutive transactions as few statements, in an order in which keys may swap. Pure.

Fast form, for each segment (a run of changes under the same checks): changes of one row are merged into their net
effect, and each table gets multi-row statements: deletes (children first), updates, inserts (parents first). An update that
gives its row another place in a unique key becomes a delete and an insert. Every statement carries what must come of it; where
that does not come, the target was not as the origin expects, and the caller rolls back and looks closer.

Ordered form: single-row statements in the order of the origin, where merging could change what happens: cascades, references that
move, tables without a key beside foreign keys, values that only a lenient session may write.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from conflict.types import Record

from ..errors import StreamError
from ..row.decode import rows_flags
from ..stream.wire import EVENT
from .footprint import Footprint
from .net import TableNet, parents_first, split
from .plan import Image, TablePlan
from .session import STRICT, pack_text_row

__all__ = ["LENIENT", "Change", "Expect", "Planner", "Segment", "Statement", "StatementLimits", "kind_of"]

LENIENT = b"SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"
"""Makes a session take what a strict one refuses; what is written then must be read back."""
_NO_FOREIGN_KEYS, _NO_CONSTRAINTS = 0x02, 0x80
UNCHECKED = _NO_FOREIGN_KEYS | _NO_CONSTRAINTS
"""Flags of rows that the origin's session wrote without looking at foreign keys, or at CHECK constraints (MariaDB only)."""
INSERT, UPDATE, DELETE = 0, 1, 2
KINDS = {23: INSERT, 30: INSERT, 24: UPDATE, 31: UPDATE, 39: UPDATE, 25: DELETE, 32: DELETE}


@dataclass(frozen=True, slots=True)
class Expect:
    """What must come of a statement: so many affected rows, exactly these result rows, or (both None) anything."""

    affected: int | None = None
    rows: frozenset[bytes] | None = None


ANYTHING = Expect()


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and what must come of it."""

    sql: bytes
    expect: Expect
    rows: int = 0


@dataclass(frozen=True, slots=True)
class StatementLimits:
    """How large a statement may become; a single row may exceed ``bytes``, up to the server's packet."""

    rows: int = 500
    bytes: int = 1 << 20


def checks(unchecked: int) -> bytes:
    """Makes a session check what the origin's did. A MySQL cannot write against a CHECK, and takes the second for a comment."""
    return b"SET foreign_key_checks=%d/*M!, check_constraint_checks=%d*/" % (
        not unchecked & _NO_FOREIGN_KEYS,
        not unchecked & _NO_CONSTRAINTS,
    )


class Change(msgspec.Struct, frozen=True, gc=False):
    """One row change: literal images, and the texts of both images."""

    plan: TablePlan
    kind: int
    before: Image | None
    after: Image | None
    before_texts: Image | None
    after_texts: Image | None

    @property
    def lenient(self) -> bool:
        """Whether it writes a value that a strict session refuses."""
        return bool(self.plan.lenient) and self.after is not None and self.plan.is_lenient(self.after)


def kind_of(before: Image | None, after: Image | None) -> int:
    """What a change is; its event may say otherwise (see ``versioned``)."""
    if before is None:
        return INSERT
    return DELETE if after is None else UPDATE


class Segment:
    """A run of changes in any number of tables; ``unchecked`` are those of the flags ``UNCHECKED`` that all have."""

    def __init__(self, unchecked: int) -> None:
        self.unchecked = unchecked
        self._events: list[tuple[TablePlan, int, bytes]] = []
        self._nets: dict[str, TableNet] = {}  # by the target table's quoted name
        self._ordered = False

    @property
    def events(self) -> Sequence[tuple[TablePlan, int, bytes]]:
        """Its rows events."""
        return self._events

    def add(self, plan: TablePlan, kind: int, payload: bytes) -> int:
        """Take the changes of one rows event; returns how many. -1, with nothing taken, where the same target table is here under
        another plan (its columns changed in between)."""
        net = self._nets.get(plan.table)
        if net is None:
            net = self._nets[plan.table] = TableNet(plan)
        elif net.plan is not plan:
            return -1
        self._events.append((plan, kind, payload))
        images = plan.literals(kind, payload)
        if self._ordered or not plan.identity:
            self._ordered |= not plan.identity and self._links(plan)
            return len(images)
        if not plan.plain and self._needs_order(plan, images):
            self._ordered = True
        else:
            net.add(images, plan.texts(kind, payload) if plan.full and KINDS[kind] != INSERT else None)
        self._ordered |= net.unmergeable
        return len(images)

    def _needs_order(self, plan: TablePlan, images: Sequence[tuple[Image | None, Image | None]]) -> bool:
        if plan.lenient and any(i is not None and plan.is_lenient(i) for pair in images for i in pair):
            return True
        return (plan.extra or self._links(plan)) and any(plan.needs_order(before, after) for before, after in images)

    def _links(self, plan: TablePlan) -> bool:
        return not self.unchecked & _NO_FOREIGN_KEYS and bool(plan.target.children or plan.target.parents)

    def changes(self, *, keyless: bool = False) -> Iterator[Change]:
        """Its changes one by one in the origin's order; with ``keyless`` only those of tables without a key."""
        for plan, kind, payload in self._events:
            if keyless and plan.identity:
                continue
            images = zip(plan.literals(kind, payload), plan.texts(kind, payload), strict=True)
            for (before, after), (before_texts, after_texts) in images:
                yield Change(plan, kind_of(before, after), before, after, before_texts, after_texts)

    def statements(self, limits: StatementLimits) -> list[Statement]:
        """The SQL of the segment."""
        body = _ordered(list(self.changes()), limits) if self._ordered else self._fast(limits)
        if not self.unchecked or not body:
            return body
        return [Statement(checks(self.unchecked), ANYTHING), *body, Statement(checks(0), ANYTHING)]

    def let_go(self) -> None:
        """Give up the images: there are the statements by now. The events stay."""
        self._nets.clear()

    def _keyless(self) -> bool:
        return any(not net.plan.identity for net in self._nets.values())

    def mark(self, footprint: Footprint) -> None:
        """Count the rows of the segment into a footprint."""
        for net in self._nets.values():
            if self._ordered or not net.plan.identity:
                footprint.whole(net.plan)
                continue
            if footprint.rows(net.plan, itertools.chain(net.rows, net.vanished)):
                continue
            images = [image for entry in net.rows.values() for image in (entry[0], entry[1]) if image is not None]
            footprint.add(net.plan, [*images, *net.vanished.values(), *net.passed])

    def _fast(self, limits: StatementLimits) -> list[Statement]:
        checks: list[Statement] = []
        deletes: list[Statement] = []
        updates: list[Statement] = []
        inserts: list[Statement] = []
        for net in parents_first([n for n in self._nets.values() if n.plan.identity]):
            gone, moved, changed, same, fresh = split(net)
            checks += _check_statements(net.plan, [*gone, *moved, *changed], limits)
            checks += _presence_statements(net.plan, same, limits)
            checks += _passing_statements(net, limits)
            deletes[:0] = _delete_statements(net.plan, [*gone, *moved], limits)
            updates += _update_statements(net.plan, changed, limits)
            updates += _update_statements(net.plan, same, limits, checked=True)
            inserts += _insert_statements(net.plan, [*[e[1] for e in moved], *fresh], limits)
        keyless = _ordered(list(self.changes(keyless=True)), limits) if self._keyless() else []
        return [*checks, *deletes, *updates, *inserts, *keyless]


class Planner:
    """Collects the segments of a batch, transaction by transaction."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.rows = 0
        self.extra: list[Statement] = []
        """What is written besides rows, behind them."""
        self.left_out: list[tuple[Record, str]] = []
        """What ``extra`` records, each with its table."""
        self.version: int | None = None
        """The oldest ``Targets.version`` that it was planned for."""

    def made_for(self, version: int) -> None:
        """Remember that what is added next is planned for this version of the target's tables."""
        self.version = version if self.version is None else min(self.version, version)

    def add(self, plans: Mapping[int, TablePlan | None], events: bytes) -> int:
        """Take the rows events of a packed run; ``plans`` has one for each table map. Returns the number of row changes.

        A plan of None leaves that table's changes out. Other events than rows are the caller's business.
        """
        count = at = 0
        end = len(events)
        segment = self.segments[-1] if self.segments else None
        while at < end:  # ``read_events`` without its objects: this is the hot path
            kind, table, length = EVENT.unpack_from(events, at)
            at += EVENT.size
            payload = events[at : at + length]
            at += length
            if kind not in KINDS:
                continue
            plan = plans[table]
            if plan is None:
                continue
            unchecked = payload[6] & UNCHECKED if length > 7 else rows_flags(payload)
            if segment is None or segment.unchecked != unchecked:
                segment = self._segment(unchecked)
            added = segment.add(plan, kind, payload)
            if added < 0:
                segment = self._segment(unchecked)
                added = segment.add(plan, kind, payload)
            count += added
        if at != end:
            raise StreamError("an event of a transaction is cut short")
        self.rows += count
        return count

    def _segment(self, unchecked: int) -> Segment:
        self.segments.append(Segment(unchecked))
        return self.segments[-1]

    def footprint(self) -> Footprint:
        """The rows that the batch touches."""
        footprint = Footprint()
        for segment in self.segments:
            segment.mark(footprint)
        return footprint

    def statements(self, limits: StatementLimits) -> list[Statement]:
        """The SQL of all segments in order."""
        return [*[s for segment in self.segments for s in segment.statements(limits)], *self.extra]

    def let_go(self) -> None:
        """Give up what only statements and footprint are made from: a batch waits for its commit with less memory."""
        for segment in self.segments:
            segment.let_go()


def _check_statements(plan: TablePlan, entries: list[Any], limits: StatementLimits) -> Iterable[Statement]:
    """Lock the rows to be changed and read them back where the plan compares, or where an upsert could hit another row."""
    if plan.full:
        for part in _parts(entries, limits, plan.key_bytes):
            expected = frozenset([pack_text_row(plan.compared(e[2])) for e in part])
            where = plan.where_keys([plan.key(e[0]) for e in part])
            yield Statement(plan.select_head + where + b" FOR UPDATE", Expect(rows=expected))
    elif plan.uniques or plan.opaque:
        yield from _presence_statements(plan, [e for e in entries if e[1] is not None], limits)


def _presence_statements(plan: TablePlan, entries: list[Any], limits: StatementLimits) -> Iterable[Statement]:
    """Lock rows that must be there."""
    for part in _parts(entries, limits, plan.key_bytes):
        where = plan.where_keys([plan.key(e[0]) for e in part])
        sql = b"SELECT 1 FROM %b WHERE %b FOR UPDATE" % (plan.table.encode(), where)
        yield Statement(sql, Expect(affected=len(part)))


def _passing_statements(net: TableNet, limits: StatementLimits) -> Iterable[Statement]:
    """See that no row is in the way of what was only there in between, but one that the net effect takes away."""
    plan = net.plan
    sql = b"SELECT 1 FROM %b WHERE %b FOR UPDATE"
    for keys in _parts(list(net.vanished), limits, plan.key_bytes):
        yield Statement(sql % (plan.table.encode(), plan.where_keys(keys)), Expect(affected=0))
    wheres: dict[int, list[bytes]] = {}  # by unique key, so that each statement needs one index
    for (number, _), (image, holder) in (net.passing() if net.passed else {}).items():
        where = plan.where_ordinals(plan.uniques[number], image)
        if holder is not None:
            where += b" AND NOT (%b)" % plan.where_ordinals(plan.identity, holder)
        wheres.setdefault(number, []).append(b"(%b)" % where)
    for conditions in wheres.values():
        for part in _parts(conditions, limits, max(map(len, conditions))):
            yield Statement(sql % (plan.table.encode(), b" OR ".join(part)), Expect(affected=0))


def _delete_statements(plan: TablePlan, entries: list[Any], limits: StatementLimits) -> list[Statement]:
    return [
        Statement(plan.delete_head + plan.where_keys([plan.key(e[0]) for e in part]), Expect(affected=len(part)), len(part))
        for part in _parts(entries, limits, plan.key_bytes)
    ]


def _update_statements(
    plan: TablePlan, entries: list[Any], limits: StatementLimits, *, checked: bool = False
) -> Iterable[Statement]:
    """Upserts of whole after images. Two affected rows for each: it was there, and changed; or ``checked`` before."""
    if not plan.update_tail:
        return
    checked = checked or plan.full or bool(plan.uniques) or plan.opaque
    for part, rows in _row_parts(plan, [e[1] for e in entries], limits):
        expect = ANYTHING if checked else Expect(affected=2 * len(rows))
        yield Statement(plan.insert_head + part + plan.update_tail, expect, len(rows))


def _insert_statements(plan: TablePlan, images: list[Any], limits: StatementLimits) -> Iterable[Statement]:
    for part, rows in _row_parts(plan, images, limits):
        yield Statement(plan.insert_head + part, Expect(affected=len(rows)), len(rows))


def _row_parts(plan: TablePlan, images: Sequence[Image], limits: StatementLimits) -> Iterable[tuple[bytes, list[bytes]]]:
    """Rows as SQL, in parts within the limits."""
    rows: list[bytes] = []
    size = 0
    for image in images:
        row = plan.row(image)
        if rows and (len(rows) >= limits.rows or size + len(row) > limits.bytes):
            yield b",".join(rows), rows
            rows, size = [], 0
        rows.append(row)
        size += len(row)
    if rows:
        yield b",".join(rows), rows


def _parts(entries: list[Any], limits: StatementLimits, each: int) -> list[list[Any]]:
    """In parts within the limits, where every entry takes at most ``each`` bytes."""
    count = max(1, min(limits.rows, limits.bytes // each))
    return [entries[at : at + count] for at in range(0, len(entries), count)]


def _ordered(changes: Sequence[Change], limits: StatementLimits) -> list[Statement]:
    """Single-row statements in the order of the origin; adjacent inserts into one table go together."""
    statements: list[Statement] = []
    at = 0
    while at < len(changes):
        change = changes[at]
        run = at + 1
        if change.kind == INSERT and not change.lenient:
            while run < len(changes) and changes[run].kind == INSERT and changes[run].plan is change.plan:
                if changes[run].lenient:
                    break
                run += 1
            statements += _insert_statements(change.plan, [c.after for c in changes[at:run]], limits)
        else:
            statements += single(change)
        at = run
    return statements


def single(change: Change) -> list[Statement]:
    """One change as it is: an update or delete must hit exactly one row, and the very row where the plan compares."""
    plan = change.plan
    sql = _single_sql(change)
    statement = Statement(sql, Expect(affected=1), 1)
    if not change.lenient:
        return [statement]
    assert change.after_texts is not None
    # An ENUM's index 0 needs a session that is not strict; what then was written is read back and compared.
    check = plan.select_head + plan.where_row(change.after_texts) + b" LIMIT 1"
    return [
        Statement(LENIENT, ANYTHING),
        statement,
        Statement(STRICT, ANYTHING),
        Statement(check, Expect(rows=frozenset([pack_text_row(plan.compared(change.after_texts))]))),
    ]


def _single_sql(change: Change) -> bytes:
    plan = change.plan
    if change.kind == INSERT:
        assert change.after is not None
        return plan.insert_head + plan.row(change.after)
    assert change.before is not None
    conditions = []
    if plan.identity:
        conditions.append(plan.where_keys([plan.key(change.before)]))
    if change.before_texts is not None and (plan.full or not plan.identity):
        conditions.append(plan.where_row(change.before_texts))
    where = b" AND ".join(conditions) + b" LIMIT 1"
    if change.kind == DELETE:
        return plan.delete_head + where
    assert change.after is not None
    return b"UPDATE %b SET %b WHERE %b" % (plan.table.encode(), plan.set_row(change.after), where)
