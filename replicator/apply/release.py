"""What an operator does with held changes: list them, show one, decide them again, drop them. Used by `replicator quarantine`.

A change is decided again with the same knowledge as a live one: where its table's policies ask who wrote a row last, all that
this site's own applications changed since the origin made the change is read from the stream back.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .. import meta
from ..context import Reporter, now_us
from ..errors import ApplyError, DatabaseError, ReplicatorError, UsageError
from ..model import Role
from ..row.convert import literal_of_text
from ..stream.reader import Txn
from .batch import Change
from .clocks import Clocks
from .journal import sql_text
from .local import LocalChanges, OpenMemory, local_changes
from .plan import TablePlan
from .plans import Plans
from .quarantine import HeldChange, Quarantine, alike
from .resolve import Resolver
from .session import ServerError, Session, text_row
from .target import Targets

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Held", "QuarantineDesk"]

_ADMIN_SLOT = 65_535
"""A checkpoint row of its own marks what is written here as replicated, so that it does not echo. Its sequence stays 0."""

_COLUMNS = (
    "id, time_us, table_name, row_key, new_key, operation, conflict, reason, before_image, after_image, current_row, sequence,"
    " gtid, site, commit_time_us, state, audit"
)


class Held(msgspec.Struct, frozen=True):
    """One held change, for people. Images are JSON objects."""

    id: int
    time_us: int
    table: str
    key: str
    new_key: str
    """Where the change gives its row another key; else empty."""
    operation: str
    conflict: str
    reason: str
    before: str | None
    after: str | None
    current: str | None
    sequence: int
    gtid: str
    site: str
    commit_time_us: int
    state: str
    audit: str | None


class QuarantineDesk:
    """The quarantine of one stream, at its target."""

    def __init__(self, stream: StreamConfig) -> None:
        self._stream = stream
        settings = stream.target.database.connect_args()
        self._session = Session(settings, site=stream.target.name)
        self._targets = Targets(settings, stream.target.name)
        self._plans = Plans(stream, self._targets)
        self._local: LocalChanges | None = None
        self._clocks: Clocks | None = None
        self._resolver = self._new_resolver()

    def _new_resolver(self, memory: OpenMemory | None = None, clocks: Clocks | None = None) -> Resolver:
        reporter = Reporter(Role.APPLIER, self._stream.id)
        return Resolver(self._stream, self._plans, reporter, Quarantine(self._stream), memory, clocks)

    def close(self) -> None:
        """Close the connections."""
        if self._local is not None:
            self._local.close()
        if self._clocks is not None:
            self._clocks.close()
        self._session.close()
        self._targets.close()

    def changes(self, *, state: str = "held") -> list[Held]:
        """The changes in that state, oldest first; none where nothing was ever held."""
        return self._read(f"state={sql_text(state)}")

    def show(self, number: int) -> Held:
        """One change; raises UsageError where there is none of that number."""
        found = self._read(f"id={number}")
        if not found:
            raise UsageError(f"no change {number} is held of {self._stream.id}", remedy="see `replicator quarantine list`")
        return found[0]

    def retry(self, number: int, by: str) -> tuple[int, int]:
        """Decide a held change, and those queued behind it for the same row, again; returns how many, and how many of them
        are held again.

        Raises ConflictHalt or ApplyError where one still does not fit: it and all behind it are held as before. So are those
        before it, except where they were first committed at another site: they take a transaction of their own.
        """
        self._recall(self._waiting(number))
        done = self._settle(number, "retried", by, write=True)
        return done, self._resolver.quarantine.count

    def discard(self, number: int, by: str) -> int:
        """Drop a held change, and those queued behind it for the same row; returns how many."""
        return self._settle(number, "discarded", by, write=False)

    def _settle(self, number: int, state: str, by: str, *, write: bool) -> int:
        first = self._waiting(number)
        done = 0
        keys = _keys(first)
        queue = [first]
        while queue:
            first = queue[0]
            self._session.run(b"ROLLBACK;BEGIN")
            try:
                queue = self._queue(first, keys, write=write)
                self._mark(queue)
                # What is held again writes no row, so its site does not matter, and its order does: all of it at once.
                while queue and (queue[0].site == first.site or self._resolver.quarantine.holds_any):
                    one = queue.pop(0)
                    if write:
                        self._again(one)
                    audit = sql_text(f"{state} by {by} at {now_us()} µs")
                    self._session.run(f"UPDATE {meta.QUARANTINE} SET state='{state}', audit={audit} WHERE id={one.id}".encode())
                    done += 1
                self._commit()
            except BaseException as error:
                if isinstance(error, ReplicatorError) and not isinstance(error, UsageError):
                    error.set_remedy(_remedy(error, first.id))
                with contextlib.suppress(DatabaseError):  # gone with its connection
                    self._session.run(b"ROLLBACK")
                raise
        return done

    def _waiting(self, number: int) -> Held:
        found = self.show(number)
        if found.state != "held":
            raise UsageError(f"the change {number} is {found.state} already", remedy="see `replicator quarantine list`")
        return found

    def _recall(self, first: Held) -> None:
        """Learn what this site's own applications changed that the origin had not seen, where the table's policies ask."""
        data = self._data(first)
        table_map = self._plan(data, first).map
        if not self._stream.policies.needs_provenance((table_map.schema, table_map.table)):
            return
        self._local = local_changes(self._stream, data.seen, self._plans)
        if self._local is None:
            return
        self._clocks = Clocks(self._stream, Reporter(Role.APPLIER, self._stream.id))
        self._clocks.ask()
        self._resolver = self._new_resolver(OpenMemory(self._local), self._clocks)
        while True:  # before rows are locked: there may be much to read
            before = self._local.position
            try:
                self._local.cover(self._session)
                return
            except DatabaseError:
                if self._local.position == before:
                    raise

    def _commit(self) -> None:
        memory = self._resolver.memory
        if memory is not None and not memory.still_holds(self._session):
            raise DatabaseError("a row came and went at the target while its absence was being settled")
        self._session.run(b"COMMIT")
        if memory is not None:
            memory.committed()

    def _queue(self, first: Held, keys: set[str], *, write: bool) -> list[Held]:
        """The change and those that wait behind it: of its row, also where that moved to another key. Locks them.

        ``keys`` are those that the row is known to have had, as ``alike`` writes them; what is found is added.
        """
        held = self._read(f"state='held' AND table_name={sql_text(first.table)}", lock=True)
        while True:
            known, queue = len(keys), []
            for one in held:
                if (write or one.id >= first.id) and not keys.isdisjoint(_keys(one)):
                    queue.append(one)
                    keys |= _keys(one)
            if not write or len(keys) == known:
                break  # else again, as a later one may have joined two rows: all that are of one row in any way go in their order
        if queue and queue[0].id < first.id:
            raise UsageError(
                f"change {queue[0].id} of the same row was held before change {first.id}",
                remedy=f"retry or discard {queue[0].id} first: what is behind it follows",
            )
        if not queue or queue[0].id != first.id:
            raise UsageError(f"somebody else decided about change {first.id}", remedy="see `replicator quarantine list`")
        return queue

    def _data(self, one: Held) -> HeldChange:
        (outcome,) = self._session.run(f"SELECT change_data FROM {meta.QUARANTINE} WHERE id={one.id}".encode())
        (packet,) = outcome.rows or []
        return msgspec.msgpack.decode(text_row(packet)[0] or b"", type=HeldChange)

    def _plan(self, data: HeldChange, one: Held) -> TablePlan:
        self._plans.flavor = data.flavor
        try:
            plan = self._plans.get(data.table_map)
            if plan is None:
                raise ApplyError(f"the target has no table {one.table} to write the held change into", where=f"change {one.id}")
        except ApplyError as error:
            error.set_remedy(_remedy(error, one.id))
            raise
        return plan

    def _again(self, one: Held) -> None:
        data = self._data(one)
        plan = self._plan(data, one)
        columns = plan.map.columns  # fitted to the target: they know the character set that a literal must name

        def literals(texts: tuple[bytes | None, ...] | None) -> tuple[Any, ...] | None:
            if texts is None:
                return None
            return tuple([literal_of_text(c, text) for c, text in zip(columns, texts, strict=True)])

        change = Change(plan, data.kind, literals(data.before), literals(data.after), data.before, data.after)
        txn = Txn(one.sequence, one.gtid, one.commit_time_us, one.site, (), b"", 0, data.seen)
        self._resolver.retry(self._session, txn, change)
        missing = self._plans.look(data.table_map)[1]
        if missing is not None:  # columns that a policy leaves out
            for sql in self._resolver.journal.entries([missing.entry(txn, data.before, data.after)[1]], self._session.max_packet):
                self._session.run(sql)

    def _mark(self, queue: Sequence[Held]) -> None:
        """Say where, and when, the next changes of one site were first committed."""
        site = queue[0].site
        commit_time_us = max(one.commit_time_us for one in itertools.takewhile(lambda one: one.site == site, queue))
        flow, stream = sql_text(self._stream.id.flow), sql_text(self._stream.id.stream)
        name = sql_text(site or self._stream.origin.name)
        self._session.run(
            f"INSERT INTO {meta.CHECKPOINT} VALUES ({flow},{stream},{_ADMIN_SLOT},'','',0,'',0,'',{name},"
            f"{commit_time_us},'',0,{now_us()},0) ON DUPLICATE KEY UPDATE site=VALUES(site),"
            " commit_time_us=VALUES(commit_time_us), updated_us=VALUES(updated_us)".encode()
        )

    def _read(self, where: str, *, lock: bool = False) -> list[Held]:
        own = f"flow={sql_text(self._stream.id.flow)} AND stream={sql_text(self._stream.id.stream)}"
        sql = f"SELECT {_COLUMNS} FROM {meta.QUARANTINE} WHERE {own} AND {where} ORDER BY id{' FOR UPDATE' if lock else ''}"
        try:
            (outcome,) = self._session.run(sql.encode())
        except ServerError as error:
            if error.errno in meta.NOTHING_YET:
                return []
            raise
        return [_held(text_row(packet)) for packet in outcome.rows or []]


def _keys(one: Held) -> set[str]:
    return {alike(key) for key in (one.key, one.new_key) if key}


def _remedy(error: ReplicatorError, number: int) -> str:
    """What helps here; the error's own may be about a flow that stopped."""
    again = f"`replicator quarantine retry {number}` again"
    if isinstance(error, ApplyError):
        return (
            f"mend the row or the table at the target, or set another policy, then {again}; or drop the change with "
            f"`replicator quarantine discard {number}`"
        )
    return f"the change is held as before; once the target answers, {again}"


def _held(row: list[bytes | None]) -> Held:
    texts = [None if v is None else v.decode() for v in row]

    def number(at: int) -> int:
        return int(texts[at] or 0)

    def text(at: int) -> str:
        return texts[at] or ""

    return Held(
        number(0), number(1), text(2), text(3), text(4), text(5), text(6), text(7), texts[8], texts[9], texts[10],
        number(11), text(12), text(13), number(14), text(15), texts[16],
    )  # fmt: skip
