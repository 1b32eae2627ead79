"""Writes one batch on one connection: the fence and checkpoint first, then the rows, each statement's outcome checked.

Where a statement fails or does not do what must come of it, the batch is rolled back, its rows are read, and it is settled as
a whole (``bulk``). Where that cannot be done, it is written again in halves, down to single transactions; one that does not fit
even alone is resolved change by change (``resolve``). All of it happens in one target transaction, which only ``commit`` makes
visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import ApplyError, ConflictHalt, ReplicatorError
from ..stream.reader import Txn
from .batch import ANYTHING, Expect, Planner, Statement, StatementLimits
from .bulk import Bulk
from .checkpoint import Checkpoint, Fence
from .footprint import Footprint
from .known import NotPlain
from .plans import Plans, plan_transaction
from .session import RESET, Outcome, ServerError, Session

if TYPE_CHECKING:
    from ..context import Reporter
    from .resolve import Resolver

__all__ = ["Batch", "NotYet", "RetryBatch", "Writer"]

_PACKET_BYTES = 4 << 20
_TRY_AGAIN = frozenset({1205, 1213, 1020, 3101, 3572})
"""Lock wait timeout, deadlock, changed since read (MariaDB), group replication rollback, nowait."""
_CONNECTION = frozenset({1040, 1053, 1152, 1158, 1159, 1160, 1161, 1290, 1317, 1836, 1927, 2006, 2013, 3024, 1021, 1041})
"""The server is going down, read-only, full, or dropped the connection or statement: nothing wrong with the data."""
_NOT_TRANSACTIONAL = 1785  # MySQL's refusal of a non-transactional table in a GTID transaction
_STALE = frozenset({1054, 1136, 1146, 1051, 1049, 1110, 1072})
"""The target's table is not as we remember it."""
PASSING = _TRY_AGAIN | _CONNECTION | {_NOT_TRANSACTIONAL}
"""Errors of the server that say nothing about a row."""


_FENCE = Expect(affected=1)
_FRESH = (Statement(b"ROLLBACK", ANYTHING), Statement(RESET, ANYTHING))


class RetryBatch(ReplicatorError):
    """The batch met a deadlock or a lock timeout; it was rolled back and may be written again."""

    retry = True


class NotYet(Exception):
    """The batch does not fit, and earlier ones are not committed: nothing is decided on rows as the origin never had them."""


class _Mismatch(Exception):
    """A statement did not do what must come of it."""


@dataclass(slots=True)
class Batch:
    """Consecutive transactions that become one transaction of the target.

    ``checkpoint`` is the state after the last of them. ``statements`` are planned ahead; they can be planned again from ``txns``.
    """

    index: int = 0
    txns: list[Txn] = field(default_factory=list)
    planner: Planner = field(default_factory=Planner)
    statements: list[Statement] = field(default_factory=list)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    origin_time_us: int = 0
    bytes: int = 0
    behind: tuple[Checkpoint, int] | None = None
    """Where the position has moved on to behind it, without anything to write, and the origin's time that came with that."""
    footprint: Footprint = field(default_factory=Footprint)
    disrupted: bool = False
    looked_closer: bool = False
    """It did not fit as planned."""
    side_by_side: bool = False
    """Another one was on its way when its writing began."""
    written: bool = False
    """Nothing of it is missing but the commit."""
    slowly: bool = False
    """It was written in smaller parts, down to single changes."""

    def depends_on(self, other: Batch) -> bool:
        """Whether this batch must not start before the other is committed."""
        return self.footprint.meets(other.footprint)


class Writer:
    """One slot: a session in a transaction, between ``execute`` and ``commit`` or ``rollback``."""

    def __init__(
        self, session: Session, slot: int, fence: Fence, plans: Plans, resolver: Resolver, reporter: Reporter
    ) -> None:
        self.session = session
        self.slot = slot
        self._fence = fence
        self._plans = plans
        self._resolver = resolver
        self._quarantine = resolver.quarantine
        self._memory = resolver.memory
        self._reporter = reporter
        self._depth = 0
        self._pending: tuple[Txn, list[Statement], Planner] | None = None
        self.packet_bytes = min(_PACKET_BYTES, session.max_packet // 2)

    @property
    def limits(self) -> StatementLimits:
        """How large statements may be."""
        return StatementLimits(bytes=min(1 << 20, self.packet_bytes))

    def execute(self, batch: Batch, *, disrupt: Callable[[], None], turn: bool = True) -> None:
        """Write the batch, leaving the transaction open; ``disrupt`` is called before anything unforeseen is written.

        ``turn``: whether all earlier ones are committed. Raises NotYet (rolled back) where they must be first, RetryBatch (rolled
        back), FencedError, ConflictHalt, ApplyError, DatabaseError.
        """
        self._forget_open()
        self._quarantine.refresh(self.session)
        held = self._touches_held(batch.planner)
        if held and not turn:
            raise NotYet
        try:
            self._run([*self._opening(batch.checkpoint), *([] if held else batch.statements)])
            if not held:
                self._count(batch.statements)
                self._verify(batch.planner, batch.txns)
                self._tell_left_out(batch.planner)
        except (_Mismatch, ServerError) as error:
            self._judge(error)
            if not turn:
                self.rollback()
                raise NotYet from error
            batch.looked_closer = True  # first: no batch may start unseen between the two
            disrupt()
            self._reporter.count("fallbacks")
            self._run([*self._opening(batch.checkpoint), Statement(b"SAVEPOINT k", ANYTHING)])
            if not self._resolve_all(batch.txns):
                batch.slowly = True
                self._reporter.count("fallbacks_by_row")
                self._split(batch.txns)
        if held:
            batch.looked_closer = True
            disrupt()
            for txn in batch.txns:
                self._resolve(txn)
        if batch.looked_closer:
            self._confirm()

    def _count(self, statements: Sequence[Statement]) -> None:
        """So that rows a statement can be told."""
        rows = [statement.rows for statement in statements if statement.rows]
        self._reporter.count("statements", len(rows))
        self._reporter.count("statement_rows", sum(rows))

    def begin(self, checkpoint: Checkpoint) -> None:
        """Open a transaction that holds only the checkpoint yet; ``part`` adds to it."""
        self._quarantine.refresh(self.session)
        try:
            self._run(self._opening(checkpoint))
        except ServerError as error:
            self._judge(error)
            raise

    def note(self, sql: bytes) -> None:
        """Add one of our own statements to the open transaction."""
        self._run_sql(sql)

    def _opening(self, checkpoint: Checkpoint) -> list[Statement]:
        fence = Statement(self._fence.statement(self.slot, checkpoint), _FENCE)
        return [*_FRESH, Statement(b"BEGIN", ANYTHING), fence]

    def part(self, txn: Txn) -> int:
        """Write a part of a large transaction into the open one; the next call, or ``finish``, awaits its end. Returns its number
        of row changes."""
        planner = self._plan([txn])  # while the server works on the part before
        statements = planner.statements(self.limits)
        self.finish_part()
        if self._touches_held(planner):  # perhaps of one of the part before
            self._resolve(txn)
            return planner.rows
        packets = list(self._packets([Statement(b"SAVEPOINT b", ANYTHING), *statements]))
        try:
            for sql, sent in packets[:-1]:
                self._check(sent, self.session.run(sql))
            sql, sent = packets[-1]
            self.session.send(sql)
        except (_Mismatch, ServerError) as error:
            self._mend_part(txn, error)
            return planner.rows
        self._pending = (txn, sent, planner)
        return planner.rows

    def finish_part(self) -> None:
        """Wait for the part on its way, and look closer where it did not fit."""
        if self._pending is None:
            return
        (txn, sent, planner), self._pending = self._pending, None
        try:
            self._check(sent, self.session.receive())
            self._count(sent)
            self._verify(planner, [txn])
            self._tell_left_out(planner)
        except (_Mismatch, ServerError) as error:
            self._mend_part(txn, error)

    def finish(self) -> None:
        """All parts are there: await the last one, and that what was decided about absent rows still holds."""
        self.finish_part()
        self._confirm()

    def _mend_part(self, txn: Txn, error: Exception) -> None:
        self._judge(error)
        self._reporter.count("fallbacks")
        self._run_sql(b"ROLLBACK TO SAVEPOINT b;" + RESET)
        self._resolve(txn)

    def commit(self) -> None:
        """Make it visible. Raises DatabaseError where the outcome is not known."""
        self.session.run(b"COMMIT")
        self._quarantine.committed(self.session)
        if self._memory is not None:
            self._memory.committed()

    def rollback(self) -> None:
        """Give everything up since ``execute``."""
        self._quarantine.rolled_back(self.session)
        self._forget_open()
        if self._pending is not None:
            self._pending = None
            try:
                self.session.receive()
            except ServerError:
                pass  # it is rolled back anyhow
        self.session.run(b"ROLLBACK;" + RESET)

    def _forget_open(self) -> None:
        if self._memory is not None:
            self._memory.rolled_back()

    def _verify(self, planner: Planner, txns: Sequence[Txn]) -> None:
        """Where policies ask who wrote a row last: raise _Mismatch if a local change that the origin had not seen is in the way.

        So it is where a local statement ran since the batch was planned: the tables may be others now.

        The rows are written, so locked: what was changed here before is remembered when ``cover`` returns.
        """
        memory = self._memory
        if memory is None or not txns:
            return
        events = [event for segment in planner.segments for event in segment.events if memory.concerns(event[0])]
        if events:
            memory.cover(self.session)
            if planner.version != self._plans.targets.version or memory.any_unseen(events, min(txn.seen for txn in txns)):
                raise _Mismatch

    def _confirm(self) -> None:
        """Raise RetryBatch where a row that was not there, so not locked, came and went after its memory was asked."""
        if self._memory is not None and not self._memory.still_holds(self.session):
            self.rollback()
            raise RetryBatch("a row came and went at the target while its absence was being settled", where=f"slot {self.slot}")

    def _touches_held(self, planner: Planner) -> bool:
        """Whether a change of a held row is among these: it has to queue behind."""
        return any(self._quarantine.touched_by(segment.changes()) for segment in planner.segments)

    def _tell_left_out(self, planner: Planner) -> None:
        for record, table in planner.left_out:
            self._resolver.count(record, table)

    def _plan(self, txns: Sequence[Txn]) -> Planner:
        planner = Planner()
        for txn in txns:
            plan_transaction(planner, self._plans.of(txn.table_maps), txn)
        return planner

    def _resolve_all(self, txns: list[Txn]) -> bool:
        """Settle the batch as a whole, behind the savepoint ``k``; False, with nothing written, where that cannot be done."""
        bulk = Bulk(self._resolver, self._plans, self.packet_bytes)
        try:
            bulk.decide(self.session, txns)
            if bulk.statements:
                self._run(bulk.statements)
        except NotPlain:
            self._forget_open()
            return False
        except (_Mismatch, ServerError) as error:
            self._judge(error)
            self._forget_open()
            self._run_sql(b"ROLLBACK TO SAVEPOINT k;" + RESET)
            return False
        for record, shape in bulk.records:
            self._resolver.count(record, shape.name)
        return True

    def _split(self, txns: list[Txn]) -> None:
        """Write what did not fit as a whole in halves."""
        if len(txns) == 1:
            self._resolve(txns[0])
            return
        middle = len(txns) // 2
        for half in (txns[:middle], txns[middle:]):
            planner = self._plan(half)
            if self._touches_held(planner):  # perhaps of one that was decided just now
                self._split(half)
                continue
            self._depth += 1
            name = b"s%d" % self._depth
            try:
                self._run([Statement(b"SAVEPOINT " + name, ANYTHING), *planner.statements(self.limits)])
                self._verify(planner, half)
                self._tell_left_out(planner)
            except (_Mismatch, ServerError) as error:
                self._judge(error)
                self._run_sql(b"ROLLBACK TO SAVEPOINT " + name + b";" + RESET)
                self._split(half)
            finally:
                self._depth -= 1

    def _resolve(self, txn: Txn) -> None:
        try:
            self._resolver.resolve(self.session, txn)
        except ServerError as error:
            self._judge(error)
            raise
        except ConflictHalt as halt:
            self.rollback()
            if halt.entry:
                self.session.run(halt.entry + b";COMMIT")
            raise

    def _run(self, statements: Sequence[Statement]) -> None:
        """Send statements in packets of bounded size, and check what came of each."""
        for sql, sent in self._packets(statements):
            self._check(sent, self.session.run(sql))

    def _packets(self, statements: Sequence[Statement]) -> Iterator[tuple[bytes, list[Statement]]]:
        """The statements as packets of bounded size, with each packet what must come of it."""
        sent: list[Statement] = []
        size = 0
        for statement in statements:
            if sent and size + len(statement.sql) > self.packet_bytes:
                yield self._packet(sent), sent
                sent, size = [], 0
            sent.append(statement)
            size += len(statement.sql)
        yield self._packet(sent), sent

    def _packet(self, statements: list[Statement]) -> bytes:
        packet = b";".join([statement.sql for statement in statements])
        if len(packet) >= self.session.max_packet:
            raise ApplyError(
                f"a row needs a statement of {len(packet)} bytes, and the target takes {self.session.max_packet}",
                where=f"slot {self.slot}",
                remedy="raise max_allowed_packet at the target to at least twice the origin's, then `replicator resume`",
            )
        return packet

    def _check(self, sent: Sequence[Statement], outcomes: Sequence[Outcome]) -> None:
        """Raise _Mismatch where a statement did not do what must come of it, FencedError where the stream is not ours."""
        for statement, outcome in zip(sent, outcomes, strict=True):
            expect = statement.expect
            if expect.affected is not None and outcome.affected != expect.affected:
                if expect is _FENCE:
                    self.session.run(b"ROLLBACK")
                    raise self._fence.lost()
                raise _Mismatch
            if expect.rows is not None and (outcome.rows is None or frozenset(outcome.rows) != expect.rows):
                raise _Mismatch

    def _run_sql(self, sql: bytes) -> None:
        try:
            self.session.run(sql)
        except ServerError as error:
            self._judge(error)
            raise

    def _judge(self, error: Exception) -> None:
        """Raise what has nothing to do with the data; return where a closer look may mend it."""
        if not isinstance(error, ServerError):
            return
        if error.errno in _TRY_AGAIN or (error.errno == 1305 and "SAVEPOINT" in error.message):
            self.rollback()
            raise RetryBatch(f"a batch met a lock: {error.message}", where=error.where) from error
        if error.errno in _CONNECTION:
            raise error
        if error.errno == _NOT_TRANSACTIONAL:
            raise ApplyError(
                "a table of the target is not transactional, so its rows cannot be written together with the checkpoint",
                where=error.where,
                remedy="ALTER TABLE … ENGINE=InnoDB at the target, or exclude the table; then `replicator resume`",
            ) from error
        if error.errno in _STALE:
            self._plans.forget()


