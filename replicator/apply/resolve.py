"""Change by change: what the fast path could not write as planned is looked at closely, decided by policy, and recorded.

For each change the present rows are read and locked: the one at its old key, and those that hold a unique key of its after image.
``conflict.decide`` says what to write. The decision's record goes into ``replicator.conflict_log`` in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from conflict.engine import decide, decide_structural
from conflict.rules import PolicyName
from conflict.types import Action, ConflictType, Decision, LocalRow, Provenance, Record, Row, key_of
from conflict.types import Change as RowChange

from ..context import now_us
from ..errors import ApplyError, ConflictHalt, DecodeError, ReplicatorError
from ..row.decode import rows_flags
from ..stream.reader import Txn
from ..stream.wire import read_events
from .batch import INSERT, KINDS, LENIENT, UNCHECKED, Change, checks, kind_of
from .collide import colliding
from .journal import Journal
from .plan import TablePlan
from .session import STRICT, ServerError, Session, text_row
from .shape import Shape, shape_of
from .writer import PASSING

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Reporter
    from .clocks import Clocks
    from .local import OpenMemory
    from .missing import Missing
    from .plans import Plans
    from .quarantine import Quarantine

__all__ = ["Resolver"]

_TRIES = 3
_LABEL = re.compile("[|,=]")  # what separates labels in a counter's name
_DUPLICATE, _NO_PARENT, _HAS_CHILDREN = (1062, 1586), (1452, 1216), (1451, 1217)
_CONSTRAINTS = (*_DUPLICATE, *_NO_PARENT, *_HAS_CHILDREN)


class Resolver:
    """Resolves whole transactions on a session whose transaction is open and holds the checkpoint."""

    def __init__(
        self,
        stream: StreamConfig,
        plans: Plans,
        reporter: Reporter,
        quarantine: Quarantine,
        memory: OpenMemory | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self._stream = stream
        self._plans = plans
        self._reporter = reporter
        self.quarantine = quarantine
        self.journal = Journal(stream)
        self.memory = memory
        self._clocks = clocks

    def resolve(self, session: Session, txn: Txn) -> None:
        """Write every change of the transaction, in order.

        Raises ConflictHalt where a policy says so, ApplyError where the target cannot take a change; the caller rolls back.
        """
        self._cover(session, txn, self._plans.of(txn.table_maps))
        plans = self._plans.of(txn.table_maps)  # a local statement may have come in between
        unchecked = 0
        for event in read_events(txn.events):
            kind, payload = event.type, event.payload
            if kind not in KINDS:
                continue
            plan = plans[event.table]
            missing = plans.missing.get(event.table)
            if missing is not None:
                self._left_out(session, txn, missing, kind, payload)
            if plan is None:
                continue
            wanted = rows_flags(payload) & UNCHECKED
            if wanted != unchecked:
                session.run(checks(wanted))
                unchecked = wanted
            texts = plan.texts(kind, payload)
            for (before, after), (before_texts, after_texts) in zip(plan.literals(kind, payload), texts, strict=True):
                self._change(session, txn, Change(plan, kind_of(before, after), before, after, before_texts, after_texts))
        if unchecked:
            session.run(checks(0))

    def _left_out(self, session: Session, txn: Txn, missing: Missing, kind: int, payload: bytes) -> None:
        """Record what the target has no place for."""
        found = list(missing.entries(txn, kind, payload))
        for sql in self.journal.entries([entry for _, entry in found], session.max_packet):
            session.run(sql)
        for record, _ in found:
            self.count(record, missing.name)

    def _cover(self, session: Session, txn: Txn, plans: Mapping[int, TablePlan | None]) -> None:
        """Lock the rows of tables where commit times decide, and wait until what was changed there by then is remembered."""
        memory = self.memory
        if memory is None:
            return
        locked = False
        for event in read_events(txn.events):
            plan = plans[event.table] if event.type in KINDS else None
            if plan is not None and memory.concerns(plan):
                locked = True
                texts = plan.texts(event.type, event.payload)
                for (before, after), (old, new) in zip(plan.literals(event.type, event.payload), texts, strict=True):
                    self._read(session, Change(plan, kind_of(before, after), before, after, old, new), shape_of(plan), txn.seen)
        if locked:
            memory.cover(session)

    def retry(self, session: Session, txn: Txn, change: Change) -> None:
        """Decide one change that was held, as if it came now; it waits on where one before it in its row's queue does.

        Raises ApplyError where another row would have to go for it: that may be the work of a later change, which only the
        row's own queue waits for.
        """
        if self.quarantine.holds(change):
            self.quarantine.hold(session, txn, change, "an earlier change of this row is held", None, None)
            return
        memory = self.memory_of(change.plan)
        if memory is not None:
            self._read(session, change, shape_of(change.plan), txn.seen)  # locks its rows
            memory.cover(session)
        self._decide(session, txn, change, releasing=True)

    def _change(self, session: Session, txn: Txn, change: Change) -> None:
        if self.quarantine.holds(change) and self.quarantine.confirms(session, change):
            self.quarantine.hold(session, txn, change, "an earlier change of this row is held", None, None)
            return
        self._decide(session, txn, change)

    def _decide(self, session: Session, txn: Txn, change: Change, tries: int = 0, *, releasing: bool = False) -> None:
        shape = shape_of(change.plan)
        row_change = RowChange(shape.values(change.before_texts), shape.values(change.after_texts))
        memory = self.memory_of(change.plan)
        local, others = self._read(session, change, shape, txn.seen)
        if tries and change.plan.opaque:  # the server found a duplicate where none was seen
            others += self._colliding(session, change, shape, [local, *others], txn.seen)
        decision = self.decision(txn, change, shape, row_change, local, others)
        if releasing and decision.delete_first:
            raise ApplyError(
                "another row of the target holds a unique key of the change, and may be the work of a later one",
                where=f"table {shape.name}, {shape.key_names}, GTID {txn.gtid}, sequence {txn.sequence}",
                remedy="give that row another value, or delete it",
            )
        last_try, by_function = tries >= _TRIES, _by_function(decision)
        if by_function:
            session.run(b"SAVEPOINT f")
        try:
            done = self._carry_out(session, txn, change, shape, local, row_change, decision, last_try=last_try)
        except (ApplyError, DecodeError) as error:
            if not by_function or isinstance(error, ConflictHalt):
                raise
            session.run(b"ROLLBACK TO SAVEPOINT f;" + STRICT)
            decision = _put_aside(decision, error)
            done = self._carry_out(session, txn, change, shape, local, row_change, decision, last_try=last_try)
        if not done:
            if memory is not None:
                memory.cover(session)
            self._decide(session, txn, change, tries + 1, releasing=releasing)
        elif memory is not None:
            memory.settled(decision, row_change, shape, txn.seen)

    def decision(
        self, txn: Txn, change: Change, shape: Shape, row_change: RowChange, local: LocalRow, others: Sequence[LocalRow]
    ) -> Decision:
        """What to do about one change, given the rows that it meets."""
        return decide(
            row_change,
            local,
            others,
            policies=self._stream.policies,
            table=shape.info,
            origin=self._provenance(txn),
            site=self._stream.target.name,
            site_priority=self._stream.site_priorities.get(self._stream.target.name, 0),
            full=change.plan.full or not change.plan.identity,
            remembering=self.memory_of(change.plan) is not None,
            now_us=now_us(),
            clock_offset_us=self._clock_offset,
        )

    def _clock_offset(self) -> int | None:
        """How far the clocks are certainly apart. A dry run, which settles nothing, does not wait for that."""
        if self._clocks is None or self._stream.policies.observe:
            return None if self._clocks is None else self._clocks.at_least_us
        return self._clocks.offset_us()

    def memory_of(self, plan: TablePlan) -> OpenMemory | None:
        """What is known of local changes, where the table's policies ask for it."""
        return self.memory if self.memory is not None and self.memory.concerns(plan) else None

    def asks_functions(self, plan: TablePlan) -> bool:
        """Whether a conflict of the table may be settled by a user's function."""
        policies = self._stream.policies.in_use(shape_of(plan).info.name)
        return any(policy.name is PolicyName.PYTHON for policy in policies.values())

    def _provenance(self, txn: Txn) -> Provenance:
        site = txn.site or self._stream.origin.name
        priority = self._stream.site_priorities.get(site, 0)
        return Provenance(site, txn.commit_time_us, txn.gtid, txn.sequence, priority)

    def _read(self, session: Session, change: Change, shape: Shape, seen: int) -> tuple[LocalRow, list[LocalRow]]:
        """What is at the change's old key, and at the other keys it wants; all locked."""
        plan = change.plan
        own = change.before if change.before is not None else change.after
        own_texts = change.before_texts if change.before is not None else change.after_texts
        assert own is not None and own_texts is not None
        if not plan.identity:
            # Without a key an insert never meets a row; others are found by all of their values.
            found = [] if change.kind == INSERT else self._select(session, plan, plan.where_row(own_texts) + b" LIMIT 1", shape)
            return LocalRow(found[0] if found else None), []
        found = self._select(session, plan, plan.where_keys([plan.key(own)]), shape)
        local = self.known(plan, shape, plan.identity, found[0] if found else None, shape.values(own_texts), seen)
        after = shape.values(change.after_texts)
        others: list[LocalRow] = []
        if change.after is not None and change.after_texts is not None:
            wanted = list(plan.uniques)
            if change.before is not None and plan.key(change.before) != plan.key(change.after):
                wanted.insert(0, plan.identity)
            for ordinals in wanted:
                if all(change.after_texts[i] is not None for i in ordinals):
                    rows = self._select(session, plan, plan.where_ordinals(ordinals, change.after), shape)
                    others.append(self.known(plan, shape, ordinals, rows[0] if rows else None, after, seen))
        return local, [one for one in others if one.row is not None or one.provenance is not None]

    def _colliding(
        self, session: Session, change: Change, shape: Shape, known: Sequence[LocalRow], seen: int
    ) -> list[LocalRow]:
        """The rows that are in the change's way and not known yet; all locked."""
        plan = change.plan
        if change.after is None or not plan.identity:
            return []
        identities = [key_of(one.row, shape.info.key) for one in known if one.row is not None]
        rows = [row for row in colliding(session, plan, shape, change.after) if key_of(row, shape.info.key) not in identities]
        memory = self.memory_of(plan)
        if rows and memory is not None:
            memory.cover(session)
        # Of such a key nothing is remembered, but of the row that has it.
        return [self.known(plan, shape, plan.identity, row, row, seen) for row in rows]

    def known(
        self, plan: TablePlan, shape: Shape, ordinals: Sequence[int], row: Row | None, image: Row | None, seen: int
    ) -> LocalRow:
        """What is at a key that ``image`` has, with what is remembered of it."""
        memory = self.memory_of(plan)
        if memory is None or image is None:
            return LocalRow(row)
        if not set(ordinals) <= set(plan.written):  # a generated key: nothing is remembered at it, but of the row that has it
            if row is None:
                return LocalRow(row)
            ordinals, image = plan.identity, row
        return memory.row(row, shape, shape.register(ordinals, image), seen)

    def _select(self, session: Session, plan: TablePlan, where: bytes, shape: Shape) -> list[Row]:
        (outcome,) = session.run(plan.select_head + where + b" FOR UPDATE")
        return [shape.values_of_row(text_row(packet)) for packet in outcome.rows or []]

    def _carry_out(
        self,
        session: Session,
        txn: Txn,
        change: Change,
        shape: Shape,
        local: LocalRow,
        row_change: RowChange,
        decision: Decision,
        *,
        last_try: bool,
    ) -> bool:
        """Write what was decided and its record; False, with nothing done, where a row came to a key since it was read."""
        record = decision.record
        entry = b""
        if record is not None:
            entry = self.journal.entry(txn, change, shape, local.row, decision)
            if decision.action is Action.HALT:
                self.count(record, shape.name)
                raise ConflictHalt(
                    f"{record.conflict}: {record.reason}",
                    where=f"table {shape.name}, {shape.key_names}, GTID {txn.gtid}, sequence {txn.sequence}",
                    remedy="see the row with `replicator conflicts list`; mend it at the target or set a policy for "
                    f"{record.conflict}, then `replicator resume`; or leave the transaction out with `replicator skip`",
                    entry=entry,
                )
        if decision.action is Action.QUARANTINE:
            assert record is not None
            self.quarantine.hold(session, txn, change, record.reason, record.conflict, local.row)
        else:
            try:
                self._write(session, change, shape, local, row_change, decision)
            except ServerError as error:
                if error.errno in PASSING:
                    raise
                session.run(b"ROLLBACK TO SAVEPOINT w;" + STRICT)
                if error.errno in _DUPLICATE and not last_try:
                    return False
                if error.errno in _CONSTRAINTS or not self._write_lenient(
                    session, change, shape, local, row_change, decision
                ):
                    self._refused(session, txn, change, shape, local.row, error)
                    return True
        if record is not None:
            self.count(record, shape.name)
            session.run(entry)
        return True

    def count(self, record: Record, name: str) -> None:
        """Count a decision by type, policy and table."""
        policy, table = record.policy.partition("(")[0], _LABEL.sub("_", name)
        self._reporter.count(f"conflicts|type={record.conflict},policy={policy},table={table}")

    def _write_lenient(
        self, session: Session, change: Change, shape: Shape, local: LocalRow, row_change: RowChange, decision: Decision
    ) -> bool:
        """Do what was decided in a session that is not strict; False, with nothing done, where it is refused there too.

        What strictness refused may be what a generated column, a check or an index makes of the row, which the origin's session
        let pass.
        """
        try:
            self._write(session, change, shape, local, row_change, decision, lenient=True)
        except ServerError as error:
            if error.errno in PASSING:
                raise
            session.run(b"ROLLBACK TO SAVEPOINT w;" + STRICT)
            return False
        return True

    def _write(
        self,
        session: Session,
        change: Change,
        shape: Shape,
        local: LocalRow,
        row_change: RowChange,
        decision: Decision,
        *,
        lenient: bool = False,
    ) -> None:
        """Do what was decided; every statement must hit exactly the row that was read.

        ``lenient``: in a session that is not strict. What was written in such a one, for whatever reason, is read back and must
        be there as written.
        """
        statements = self.statements(change, shape, local, row_change, decision)
        if lenient:
            statements = [LENIENT, *statements, STRICT]
        if statements:
            session.run(b";".join([b"SAVEPOINT w", *statements]))
        if LENIENT in statements and decision.action in (Action.WRITE_INSERT, Action.WRITE_UPDATE):
            assert decision.row is not None
            where = shape.where_row(decision.row)
            (outcome,) = session.run(b"SELECT 1 FROM %b WHERE %b LIMIT 1" % (change.plan.table.encode(), where))
            if not outcome.rows:
                raise ApplyError(
                    "the target takes a row only without strict mode, and then stores other values than were written",
                    where=f"table {shape.name}, {shape.key_names}",
                    remedy="make the target's columns as they are at the origin, then `replicator resume`; or leave the "
                    "transaction out with `replicator skip`",
                )

    def statements(
        self, change: Change, shape: Shape, local: LocalRow, row_change: RowChange, decision: Decision
    ) -> list[bytes]:
        """What writes a decision."""
        plan = change.plan
        statements = [plan.delete_head + shape.where_row_key(row) + b" LIMIT 1" for row in decision.delete_first]
        if decision.action is Action.WRITE_DELETE:
            statements.append(plan.delete_head + self._where(change, shape, local.row))
        elif decision.action in (Action.WRITE_INSERT, Action.WRITE_UPDATE):
            assert decision.row is not None
            current = local.row if decision.action is Action.WRITE_UPDATE else None
            literals = shape.literals(change, row_change, decision.row, current)
            if decision.action is Action.WRITE_INSERT:
                statements.append(plan.insert_head + plan.row(literals))
            else:
                where = self._where(change, shape, local.row)
                statements.append(b"UPDATE %b SET %b WHERE %b" % (plan.table.encode(), plan.set_row(literals), where))
            if plan.is_lenient(literals):
                statements = [LENIENT, *statements, STRICT]
        return statements

    def _where(self, change: Change, shape: Shape, row: Row | None) -> bytes:
        if change.plan.identity:
            assert row is not None
            return shape.where_row_key(row)
        assert change.before_texts is not None
        return change.plan.where_row(change.before_texts) + b" LIMIT 1"

    def _refused(
        self, session: Session, txn: Txn, change: Change, shape: Shape, current: Row | None, error: ServerError
    ) -> None:
        """The server did not take what was decided: what a foreign key is in the way of is a conflict, anything else stops."""
        where = f"table {shape.name}, {shape.key_names}, GTID {txn.gtid}, sequence {txn.sequence}"
        if error.errno in (*_NO_PARENT, *_HAS_CHILDREN):
            orphan = error.errno in _NO_PARENT
            decision = decide_structural(
                ConflictType.FOREIGN_KEY_MISSING,
                policies=self._stream.policies,
                table=shape.info.name,
                detail="the parent row of a foreign key is missing" if orphan else "rows of child tables are in the way",
                origin=self._provenance(txn),
            )
            record = decision.record
            assert record is not None
            self.count(record, shape.name)
            entry = self.journal.entry(txn, change, shape, current, decision)
            if decision.action is Action.HALT:
                raise ConflictHalt(
                    f"{record.conflict}: {record.reason}",
                    where=where,
                    remedy="bring the parent row to the target, or take the child rows away there, or set a policy for "
                    "foreign_key_missing; then `replicator resume`",
                    entry=entry,
                ) from error
            session.run(entry)
            if decision.action is Action.QUARANTINE:
                self.quarantine.hold(session, txn, change, record.reason, record.conflict, current)
            return
        what = f"the target refuses the change: {error.message} (error {error.errno})"
        duplicate = error.errno in _DUPLICATE
        if duplicate:
            what = "another row of the target holds a unique key of the change"
        if duplicate and self._stream.policies.observe:  # what was only observed before may be what stands in the way
            conflict, policy = ConflictType.MULTIPLE_UNIQUE_CONFLICTS, str(PolicyName.HALT)
            record = Record(conflict, policy, Action.HALT, f"would be stopped: {what}", observed=True)
            self.count(record, shape.name)
            session.run(self.journal.entry(txn, change, shape, current, Decision(Action.SKIP, record=record)))
            return
        raise ApplyError(
            what,
            where=where,
            remedy="make the target's table and rows fit, then `replicator resume`; or leave the transaction out with "
            "`replicator skip`",
        ) from error


def _by_function(decision: Decision) -> bool:
    """Whether a user's function decided what to write."""
    record = decision.record
    written = decision.action not in (Action.HALT, Action.QUARANTINE)
    return record is not None and written and record.policy.startswith(f"{PolicyName.PYTHON}:")


def _put_aside(decision: Decision, error: ReplicatorError) -> Decision:
    """What becomes of a function's decision that cannot be carried out. The server's words may hold values, its number not."""
    assert decision.record is not None
    cause = error.__cause__
    why = f"error {cause.errno} of the target" if isinstance(cause, ServerError) else error.what
    record = replace(decision.record, decision=Action.QUARANTINE, reason=f"put aside: the hook's answer cannot be written: {why}")
    return Decision(Action.QUARANTINE, record=record)
