"""DDL as a barrier: an intent row first, then the statement as the origin ran it, then the checkpoint.

DDL commits by itself, so the checkpoint cannot be in its transaction. The intent row, committed before, makes up for it: after a
crash in between, only that very statement is in doubt, and its stored fingerprint tells whether it ran (``sql.rerun``). The
intent also tells this site's own source that the statement came by replication (connection id and timestamp).

Nor can the checkpoint's row be its fence: a named lock of the connection that runs it is, from before the intent to behind it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pymysql

from .. import meta
from ..context import now_us
from ..errors import DatabaseError, DdlError
from ..sql import rerun
from ..sql.classify import Statement, StatementClass, classify_with
from ..sql.rewrite import (
    disable_event,
    drop_if_exists,
    expand_comments,
    guard_trigger,
    rename_objects,
    strip_start_transaction,
)
from ..stream.query import Query, parse_query
from ..stream.reader import Txn
from ..stream.wire import QUERY, pack_event, read_events
from .checkpoint import Checkpoint, Fence
from .ddl_session import DdlSession
from .journal import sql_text
from .plans import Plans
from .writer import RetryBatch, Writer

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Worker

__all__ = ["DdlApplier"]

_TAKES_ROWS = frozenset({StatementClass.DROP, StatementClass.TRUNCATE, StatementClass.RENAME})
_TAKES_PARTITION = frozenset({"EXCHANGE PARTITION", "CONVERT PARTITION"})
_STRICTEST = ("halt", "ignore", "apply")
_KEEP_INTENTS_US = 14 * 86_400 * 1_000_000
_CLEAN_INTENTS_US = 3_600 * 1_000_000
_LEFTOVER_WAIT_S = 600.0
_RETRIES = 20


class DdlApplier:
    """Applies transactions that hold statements; the pipeline is drained before."""

    def __init__(self, stream: StreamConfig, fence: Fence, plans: Plans, writer: Writer, worker: Worker) -> None:
        self._stream = stream
        self._fence = fence
        self._plans = plans
        self._writer = writer
        self._worker = worker
        self._session: DdlSession | None = None
        self._cleaned_us = 0

    def apply(self, txn: Txn, checkpoint: Checkpoint) -> None:
        """Run the transaction's statements, then write its rows (CREATE TABLE … SELECT) with the checkpoint."""
        events = list(read_events(txn.events))
        statements = [index for index, event in enumerate(events) if event.type == QUERY]
        rows = [pack_event(event.type, event.table, event.payload) for event in events if event.type != QUERY]
        for index in statements[:-1]:
            self.statement(txn, index, events[index].payload)
        with self._ran(txn, statements[-1], events[statements[-1]].payload) as done:
            self._commit(txn, checkpoint, rows, done)
        self._worker.pauses.hit("applier:after-commit")
        self._worker.reporter.count("transactions_applied")

    def _commit(self, txn: Txn, checkpoint: Checkpoint, rows: list[bytes], done: bytes) -> None:
        """Write the checkpoint, with the rows and what says that the last statement is done."""
        rest = Txn(txn.sequence, txn.gtid, txn.commit_time_us, txn.site, txn.table_maps, b"".join(rows), txn.epoch, txn.seen)
        for attempt in range(1, _RETRIES + 1):
            try:
                self._writer.begin(checkpoint)
                if done:
                    self._writer.note(done)
                written = self._writer.part(rest) if rows else 0
                self._writer.finish_part()
                break
            except RetryBatch as error:
                if attempt == _RETRIES:
                    raise DatabaseError(f"gave up after {attempt} tries: {error.what}", where=f"GTID {txn.gtid}") from error
                time.sleep(0.02 * attempt)
        self._worker.pauses.hit("applier:before-commit")
        self._writer.commit()
        self._worker.reporter.count("rows_applied", written)

    def statement(self, txn: Txn, index: int, payload: bytes) -> None:
        """Run one statement, once in effect, as the policy for its class says, ahead of others or of rows of its transaction.

        Raises DdlError where the policy halts or the target refuses it; the position stays before it.
        """
        with self._ran(txn, index, payload) as done:
            if done:
                self._connect().ask(done.decode(), ())

    @contextmanager
    def _ran(self, txn: Txn, index: int, payload: bytes) -> Iterator[bytes]:
        """Inside, the statement has run, and no other applier is at one. Gives the SQL that says so, if it is not said."""
        query = parse_query(payload, self._plans.flavor)
        session = self._connect()
        # The origin's names are read as this server reads them; `check` refuses a pair of sites that differ.
        syntax = replace(query.syntax(), lower_names=session.lower_names)
        statement = classify_with(query.statement, syntax, query.schema)
        where = f"GTID {txn.gtid}, sequence {txn.sequence}, {statement.kind or 'statement'}"
        if not self._is_wanted(statement, where):
            self._worker.log.info("statement ignored by policy", gtid=txn.gtid, kind=statement.kind)
            self._worker.reporter.count("statements_ignored")
            self._plans.forget()  # somebody may do by hand what it did
            yield b""
            return
        text = self._as_here(statement, session)
        default, here = self._plans.target_schema(query.schema), statement
        if (text, default) != (statement.text, query.schema):
            here = classify_with(text, statement.syntax, default)
        session = self._in_schema(session, here.default_schema)
        try:
            self._hold(session, where)
            done = self._once(session, txn, index, query, here, where)
            self._plans.forget()
            yield done
        finally:
            session.unlock(self._fence.statements)

    def _hold(self, session: DdlSession, where: str) -> None:
        """Until ``unlock``, no other applier is at a statement of the stream: what the fence is for rows, in their transaction.

        The lock is the connection's that runs the statement, so it lasts as long as the server works on it, whatever became of
        the applier. One that lost the stream finds another owner here: raises FencedError.
        """
        lock = self._fence.statements
        deadline = time.monotonic() + _LEFTOVER_WAIT_S
        while not session.lock(lock):
            if time.monotonic() > deadline or self._worker.stop.is_set():
                ((holder,),) = session.ask("SELECT IS_USED_LOCK(%s)", (lock,))
                raise DatabaseError(
                    "a statement of an earlier run is still running at the target, or its applier stands still",
                    where=f"{where}, connection {holder}",
                    remedy="the applier goes on when that ends; if nothing is behind that connection any more, KILL it",
                )
            self._worker.reporter.tick()
        if not session.ask(
            f"SELECT 1 FROM {meta.CHECKPOINT} WHERE flow=%s AND stream=%s AND owner=%s LIMIT 1",
            (self._stream.id.flow, self._stream.id.stream, self._fence.owner),
        ):
            raise self._fence.lost()

    def _once(self, session: DdlSession, txn: Txn, index: int, query: Query, here: Statement, where: str) -> bytes:
        """Run it, unless an earlier run did. Returns the SQL that says that it is done, empty where that is said."""
        doubt = self._doubt(session, txn, index)
        accept: frozenset[int] = frozenset()
        if doubt is None:
            self._keep_held(session, here, where)
            before: str | None = self._intend(session, txn, index, query, here)
        else:
            state, before = doubt
            if state == "done":
                return b""
            verdict = self._judge(session, here, before, where)
            if verdict.verdict is rerun.Verdict.RAN:
                return self._done(txn, index)
            accept = verdict.accept
            self._renew(session, txn, index, query)
        self._worker.pauses.hit("applier:ddl-intent")
        session.execute(here, query, accept=accept, where=where)
        self._worker.log.info("statement applied", gtid=txn.gtid, kind=here.kind)
        self._worker.reporter.count("statements_applied")
        self._worker.pauses.hit("applier:ddl-done")
        done = self._done(txn, index)
        unclear = before is None or rerun.decide(here, before, before).verdict is rerun.Verdict.UNCLEAR
        if unclear or here.destructive:  # what local applications write from now on is not for a second run to take away
            session.ask(done.decode(), ())  # at once: nothing but this may tell that it ran
            return b""
        return done

    def disown(self) -> bytes:
        """The SQL by which no intent of before is taken for one of this stream's. They stay: the source of this site knows
        by them what in its binlog is not its own."""
        way = self._stream.id  # names need no quoting
        return f"UPDATE {meta.DDL_INTENT} SET gtid='' WHERE flow='{way.flow}' AND stream='{way.stream}'".encode()

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _is_wanted(self, statement: Statement, where: str) -> bool:
        """What the policy says; the strictest of the statement's classes counts."""
        if statement.cls is StatementClass.UNKNOWN:
            raise DdlError(
                f"a statement that cannot be classified: {statement.reason}",
                where=where,
                remedy="run what it needs at the target by hand, then `replicator skip`",
            )
        actions = {cls: self._stream.ddl.action(str(cls)) for cls in statement.classes}
        action = min(actions.values(), key=_STRICTEST.index)
        if action == "halt":
            gates = ", ".join(sorted(f"ddl.{cls}" for cls, a in actions.items() if a == "halt"))
            raise DdlError(
                f"a {statement.kind} is held by the policy {gates}: halt",
                where=where,
                remedy="look at it with `replicator inspect`; then set the policy to apply and `replicator resume`, or run what "
                "you want of it by hand and `replicator skip`",
            )
        if action == "apply" and statement.unrepeatable:
            raise DdlError(
                f"a {statement.kind} cannot be repeated at the target: {statement.unrepeatable}",
                where=where,
                remedy="do by hand at the target what it did at the origin, then `replicator skip`",
            )
        return action == "apply"

    def _keep_held(self, session: DdlSession, here: Statement, where: str) -> None:
        """Raise DdlError where the statement takes away rows, or the name, of a table with changes in quarantine.

        They came before it. Released behind it, they would bring rows back that the origin has not.
        """
        if here.classes.isdisjoint(_TAKES_ROWS) and _TAKES_PARTITION.isdisjoint(here.actions):
            return
        tables = {f"{schema}.{table}" for schema, table in here.named("target", "new_name")}
        schemas = tuple([f"{schema}." for schema in here.schemas])
        held = session.ask(
            f"SELECT table_name, COUNT(*), MIN(id) FROM {meta.QUARANTINE}"
            " WHERE flow=%s AND stream=%s AND state='held' GROUP BY table_name",
            (self._stream.id.flow, self._stream.id.stream),
        )
        for name, count, first in held:
            if name in tables or name.startswith(schemas):
                raise DdlError(
                    f"a {here.kind} of {name}, of which {count} earlier changes are in quarantine",
                    where=where,
                    remedy="decide about each that `replicator quarantine list` shows of it, with `replicator quarantine retry "
                    f"{first}` or `replicator quarantine discard {first}` to begin with; then `replicator resume`",
                )

    def _as_here(self, statement: Statement, session: DdlSession) -> bytes:
        """The text that means at the target what it meant at the origin."""

        def again(text: bytes) -> Statement:
            return statement if text == statement.text else classify_with(text, statement.syntax, statement.default_schema)

        # Always: what the origin ran of /*!80023 … */, an older target or one of the other flavor would pass over.
        statement = again(expand_comments(statement))
        statement = again(drop_if_exists(statement))
        statement = again(strip_start_transaction(statement))
        if not self._stream.mapping.empty:
            statement = again(rename_objects(statement, self._plans.target_name, self._plans.target_schema))
        if statement.cls is StatementClass.TRIGGER and statement.body >= 0:
            statement = again(guard_trigger(statement))
        if statement.cls is StatementClass.EVENT and statement.kind != "DROP EVENT":
            return disable_event(statement)
        return statement.text

    def _connect(self) -> DdlSession:
        if self._session is None or not self._session.alive():
            self._session = DdlSession(self._stream.target)
        return self._session

    def _in_schema(self, session: DdlSession, schema: str) -> DdlSession:
        """The session, with that default schema or none: never one of an earlier statement, where names would mean its tables."""
        if session.use(schema):
            return session
        session.close()
        fresh = self._session = DdlSession(self._stream.target)
        fresh.use(schema)
        return fresh

    # --- the intent row ---

    def _key(self, txn: Txn, index: int) -> tuple[Any, ...]:
        return (self._stream.id.flow, self._stream.id.stream, txn.sequence, index)

    def _doubt(self, session: DdlSession, txn: Txn, index: int) -> tuple[str, str | None] | None:
        """None: not begun. Else its state ("done": it ran), and the fingerprint from before."""
        rows = session.ask(
            f"SELECT state, fingerprint FROM {meta.DDL_INTENT}"
            " WHERE flow=%s AND stream=%s AND sequence=%s AND event_index=%s AND gtid=%s",
            (*self._key(txn, index), txn.gtid),
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def _intend(self, session: DdlSession, txn: Txn, index: int, query: Query, here: Statement) -> str:
        """Say what is going to run; returns the fingerprint of what it touches."""
        fingerprint = self._fingerprint(session, here)
        now = now_us()
        if now - self._cleaned_us > _CLEAN_INTENTS_US:
            self._cleaned_us = now
            session.ask(
                f"DELETE FROM {meta.DDL_INTENT} WHERE flow=%s AND stream=%s AND state='done' AND started_us<%s",
                (self._stream.id.flow, self._stream.id.stream, now - _KEEP_INTENTS_US),
            )
        session.ask(
            f"REPLACE INTO {meta.DDL_INTENT} (flow, stream, sequence, event_index, gtid, site, connection_id, statement_time,"
            " state, fingerprint, statement, started_us) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,'started',%s,%s,%s)",
            (
                *self._key(txn, index),
                txn.gtid,
                txn.site or self._stream.origin.name,
                session.connection_id,
                query.timestamp,
                fingerprint,
                here.text,
                now,
            ),
        )
        return fingerprint

    def _renew(self, session: DdlSession, txn: Txn, index: int, query: Query) -> None:
        """The statement runs again, on another connection: its own site's source must know that one."""
        session.ask(
            f"UPDATE {meta.DDL_INTENT} SET connection_id=%s, statement_time=%s"
            " WHERE flow=%s AND stream=%s AND sequence=%s AND event_index=%s",
            (session.connection_id, query.timestamp, *self._key(txn, index)),
        )

    def _done(self, txn: Txn, index: int) -> bytes:
        flow, stream = sql_text(self._stream.id.flow), sql_text(self._stream.id.stream)
        key = f"flow={flow} AND stream={stream} AND sequence={txn.sequence} AND event_index={index}"
        return f"UPDATE {meta.DDL_INTENT} SET state='done' WHERE {key}".encode()

    def _judge(self, session: DdlSession, here: Statement, before: str | None, where: str) -> rerun.Decision:
        """An earlier run began the statement, and nobody knows whether it took effect: find out."""
        decision = rerun.decide(here, before, self._fingerprint(session, here))
        self._worker.log.warning(
            "a statement was interrupted", where=where, verdict=str(decision.verdict), reason=decision.reason
        )
        if decision.verdict is rerun.Verdict.UNCLEAR:
            raise DdlError(
                f"a {here.kind} was interrupted by a crash, and whether it took effect cannot be told: {decision.reason}",
                where=where,
                remedy="look at the target: if it took effect, `replicator skip` it; if not, delete its row from "
                f"{meta.DDL_INTENT} and `replicator resume`",
            )
        return decision

    def _fingerprint(self, session: DdlSession, here: Statement) -> str:
        queries = rerun.fingerprint_queries(here, session.flavor)
        answers: list[list[tuple[Any, ...]] | None] = []
        absent = set()
        for query in queries:
            if query.object in absent and query.part == "structure":
                answers.append([])
                continue
            try:
                answers.append(session.ask(query.sql.decode(), ()))
                if query.part == "exists" and not answers[-1]:
                    absent.add(query.object)
            except pymysql.MySQLError as error:
                if not (query.refusable and error.args and error.args[0] == 1227):
                    raise DatabaseError(f"cannot describe what a statement changes: {error}", where=here.kind) from error
                answers.append(None)
        return rerun.fingerprint(queries, answers)
