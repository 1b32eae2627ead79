"""What this site's own applications changed that the origin had not seen: needed to settle by time of commit.

A bidirectional pair has a stream back, which carries every local change with its sequence and commit time. A thread reads it and
remembers, for each key (identity and unique keys) of tables whose policies ask, the last local change that the origin has not
acknowledged by a change of its own. Each origin transaction says how far its site had applied the stream back (``seen``): a
local change up to there was known to it and is superseded; a later one is concurrent, and its commit time counts.

In a one-way pair the target's own binlog tells the local changes. The origin never sees one, so each counts until what it
commits is later; ``seen`` is 0.

Whether the memory is complete is known exactly: it must cover what the target's binlog holds when the rows are locked.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from conflict.stamps import Register, registers
from conflict.types import Change as RowChange
from conflict.types import Decision, LocalRow, Provenance, Row

from ..context import now_us
from ..errors import ApplyError, DatabaseError, ReplicatorError
from ..gtid import Position, parse_position
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL
from ..stream.consumer import RecordConsumer
from ..stream.reader import Item, LargeAbort, LargeBegin, LargeEnd, LargePart, RecordEnd, StreamReader, Txn
from ..stream.seek import offset_behind
from ..stream.topics import ensure_topics
from ..stream.wire import QUERY, event_kinds, read_events, unpack_header
from .batch import KINDS
from .plan import TablePlan
from .plans import Plans
from .remembered import Entry, Key, Remembered
from .session import Session, text_row
from .shape import Shape, shape_of
from .target import Targets

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["LocalChanges", "LocalLog", "OpenMemory", "ReadLog", "local_changes"]

_POLL_MS = 50
_FORGET_FROM = 100_000
_WAIT_S = 30.0
_READ_AHEAD_S = 2.0
_OWNER = re.compile(r"#\d+")


class LocalLog(Protocol):
    """Where the local changes are read."""

    flavor: str
    begins: int
    """Changes up to that sequence are gone from it."""

    def poll(self, timeout_ms: int) -> list[Item]:
        """What came since; waits so long where nothing did."""

    def settled(self, passed_us: int) -> None:
        """The origin's changes before that time are all applied."""

    def close(self) -> None:
        """Stop reading; safe to call twice."""


ReadLog = Callable[["StreamConfig"], LocalLog]
"""Opens the binlog of a target, given the way back."""


class StreamBack:
    """The stream back as a log, from behind the sequence ``seen`` on."""

    def __init__(self, back: StreamConfig, seen: int) -> None:
        ensure_topics(back)  # its source may never have run
        self._consumer = RecordConsumer(back)
        self._reader = StreamReader(stream=back.id.topic, anywhere=True)
        self._seen = seen
        self._assigned = self._read = False
        self.begins = 0
        self.flavor = ""

    def poll(self, timeout_ms: int) -> list[Item]:
        """See LocalLog."""
        if not self._assigned:
            self._consumer.assign(offset_behind(self._consumer, self._seen))
            self._assigned = True
        found: list[Item] = []
        for at, value in self._consumer.poll(timeout_ms):
            if not self._read:
                self.begins, self._read = unpack_header(value)[0].first_sequence - 1, True
            found += self._reader.feed(at, value)
        self.flavor = self._reader.flavor
        return found

    def settled(self, passed_us: int) -> None:
        """The stream tells itself what the origin has seen."""

    def close(self) -> None:
        """See LocalLog."""
        self._consumer.close()


def local_changes(
    stream: StreamConfig, seen: int, plans: Plans, read_log: ReadLog | None = None
) -> LocalChanges | None:
    """The memory that the stream needs, where a policy asks who wrote a row last. ``plans`` are those that rows are written by;
    ``read_log`` opens the target's binlog for a pair that writes one way.

    None where it cannot be had: nobody sends, or may read, all that is written here.
    """
    if stream.target_log is not None and read_log is not None:
        return LocalChanges(stream, stream.target_log, seen, plans, read_log(stream.target_log), by_time=True)
    back = stream.reverse
    if back is None or stream.unheard or not stream.policies.asks_who_wrote:
        return None
    return LocalChanges(stream, back, seen, plans, StreamBack(back, seen))


class LocalChanges:
    """Follows ``log``, which is the stream ``back``, or what would be in it; makes ``written_by`` forget where a local statement
    ran. ``seen``: what the origin has seen of it. ``by_time``: it never sees any of it, and commit times decide.
    """

    by_time = False

    def __init__(
        self, stream: StreamConfig, back: StreamConfig, seen: int, written_by: Plans, log: LocalLog, *, by_time: bool = False
    ) -> None:
        self._stream = stream
        self._back = back
        self._targets = Targets(stream.target.database.connect_args(), stream.target.name)
        self._plans = Plans(stream, self._targets)
        self._written_by = written_by
        self._seen = 0 if by_time else seen
        self._passed_us = 0
        """The origin's changes that are still to come were committed at that time or later."""
        self.by_time = by_time
        self._log = log
        self._begins = 0
        """Local changes up to there are not known: the topic has lost them."""
        self._lock = threading.Condition()
        self._entries = Remembered()
        self.remembers = stream.policies.remembers
        self._concerned: dict[tuple[str, str], bool] = {}
        self._position: Position | None = None
        self._last = 0
        """The last sequence of the stream back that was read."""
        self._error: BaseException | None = None
        self._closed = False
        self._large: LargeBegin | None = None
        self._staged = Remembered()
        """What it changed so far."""
        self._taken = 0
        self._forget_from = _FORGET_FROM
        self._thread = threading.Thread(target=self._run, name="local-changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading; safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._lock.notify_all()
        self._thread.join(timeout=5)
        self._log.close()
        self._targets.close()

    @property
    def position(self) -> Position | None:
        """How far the log has been read."""
        return self._position

    def concerns(self, plan: TablePlan) -> bool:
        """Whether a table's policies ask who wrote a row last."""
        name = (plan.map.schema, plan.map.table)
        known = self._concerned.get(name)
        if known is None:
            policies = self._stream.policies
            known = self._concerned[name] = policies.by_commit_time(name) if self.by_time else policies.needs_provenance(name)
        return known

    def cover(self, session: Session) -> None:
        """Return once everything that the target has committed by now is remembered; waits as long as there is something to read.

        Rows that the session's open transaction has locked, or written, are then known for certain. Raises DatabaseError
        where the source of this site does not come so far in time; trying again may help. Raises ApplyError where the origin has
        seen more than there is: it speaks of another stream.
        """
        seen = self._seen  # before the target is asked: it has committed that
        flavor = FLAVOR_MARIADB if session.mariadb else FLAVOR_MYSQL
        target = _committed(session)

        with self._lock:
            done = self._await(target, _WAIT_S)
            if self._error is not None:
                raise self._error
        if self._closed:
            raise ReplicatorError("rolled back: the applier ends")
        if not done:
            raise DatabaseError(
                f"{'the binlog is read' if self.by_time else 'the stream back is'} too late: who wrote a row last cannot be "
                "known yet",
                where=f"stream {self._back.id}, position {self._position or 'none'}, {flavor} target",
                remedy=f"check the {'database' if self.by_time else 'source'} of site {self._stream.target.name}; the applier "
                "goes on by itself",
            )
        if seen > self._last:
            raise ApplyError(
                f"who wrote a row last cannot be known: {self._stream.origin.name} has seen {seen} transactions of the "
                f"stream back, and it holds {self._last}: it was started anew",
                where=f"stream {self._back.id}",
                remedy="start both flows of the pair anew, together (docs/WHAT-IF.md)",
            )

    def _await(self, target: str, patience_s: float, keep_on: Callable[[], bool] = lambda: True) -> bool:
        """Wait until the log was read up to there; False where nothing was read for so long. To be called with the lock."""

        def covered() -> bool:
            if self._error is not None or self._closed:
                return True
            return self._position is not None and self._position.covers(target)

        taken = -1
        while taken != self._taken and keep_on():
            taken = self._taken
            if self._lock.wait_for(covered, patience_s):
                return True
        return False

    def read_ahead(self, session: Session, keep_on: Callable[[], bool]) -> None:
        """Read what there is before the first batch, which would hold its locks for as long; not longer than something comes."""
        target = _committed(session)
        with self._lock:
            self._await(target, _READ_AHEAD_S, keep_on)

    def reaches(self, seen: int) -> None:
        """Raise ApplyError where local changes that the origin had not seen then are not known any more."""
        if seen < self._begins:
            raise ApplyError(
                f"who wrote a row last cannot be known: changes {seen + 1} to {self._begins} are gone from the topic",
                where=f"stream {self._back.id}",
                remedy="Kafka's retention deleted them before they were acknowledged (keep topics for longer than a flow may "
                "be down): give the table policies other than latest_timestamp and site_priority, then `replicator resume`",
            )

    def forget_tables(self) -> None:
        """The target's tables may have changed: ask again."""
        self._plans.forget()

    def any_unseen(self, events: Iterable[tuple[TablePlan, int, bytes]], seen: int) -> bool:
        """Whether a concurrent local change stands at any key of these rows events."""
        self.reaches(seen)
        if not self._entries:
            return False
        for plan, kind, payload in events:
            if self.concerns(plan):
                for _, _, keys in _changes(plan, kind, payload):
                    if any(self.find(key, seen) is not None for key in keys):
                        return True
        return False

    def forget(self, seen: int) -> None:
        """The origin has seen everything up to ``seen``: only what is later still matters."""
        if seen > self._seen and not self.by_time:
            self._seen = seen
            self._tidy()

    def passed(self, time_us: int) -> None:
        """A heartbeat of the origin came by: whatever it commits later has a later time. What a clock says that is ahead of ours
        is believed up to now: of a transaction's time even that may be wrong, so only heartbeats count."""
        if self.by_time:
            self._passed_us = max(self._passed_us, min(time_us, now_us()))
            self._tidy()

    def _tidy(self) -> None:
        if len(self._entries) > self._forget_from:
            self._prune()
            self._forget_from = 2 * len(self._entries) + _FORGET_FROM

    def _prune(self) -> None:
        self._entries.forget(self._seen, self._passed_us)

    def entry(self, key: Key) -> Entry | None:
        """The last local change at a key, if it is still remembered."""
        return self._entries.get(key)

    def find(self, key: Key, seen: int) -> Entry | None:
        """The last local change at a key, if a change whose origin had seen so much may be older."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        made = entry.provenance
        matters = made.commit_time_us >= self._passed_us if self.by_time else made.sequence > seen
        return entry if matters else None

    def drop(self, superseded: dict[Key, Entry]) -> None:
        """Forget entries that a replicated change superseded, unless a later local change stands there by now."""
        self._entries.drop(superseded)

    def _run(self) -> None:
        try:
            while not self._closed:
                for item in self._log.poll(_POLL_MS):
                    self._plans.flavor = self._log.flavor
                    self._begins = self._log.begins
                    self._take(item, self._log.flavor)
                self._log.settled(self._passed_us)
        except BaseException as error:  # noqa: BLE001  (raised again by ``cover`` in the applier's threads)
            with self._lock:
                self._error = error
                self._lock.notify_all()

    def _take(self, item: object, flavor: str) -> None:
        self._taken += 1
        if isinstance(item, Txn):
            self._remember(item, self._entries)
        elif isinstance(item, LargeBegin):
            self._large, self._staged = item, Remembered()
        elif isinstance(item, LargePart) and self._large is not None:
            head = self._large
            self._remember(
                Txn(head.sequence, head.gtid, head.commit_time_us, head.site, item.table_maps, item.events, head.epoch),
                self._staged,
            )
        elif isinstance(item, LargeEnd | LargeAbort):  # it may have been rolled back: then none of it ever was
            if isinstance(item, LargeEnd):
                with self._kept():
                    self._entries.take(self._staged)
            self._large, self._staged = None, Remembered()
        elif isinstance(item, RecordEnd) and item.position:
            position = parse_position(flavor, item.position)
            with self._lock:
                self._position, self._last = position, item.state.sequence
                self._lock.notify_all()

    def _remember(self, txn: Txn, entries: Remembered) -> None:
        if QUERY in event_kinds(txn.events):
            self._written_by.forget()
        if txn.sequence <= self._seen:
            return
        site = txn.site or self._back.origin.name
        priority = self._stream.site_priorities.get(site, 0)
        provenance = Provenance(site, txn.commit_time_us, txn.gtid, txn.sequence, priority)
        fresh: dict[Key, Entry] = {}
        for event in read_events(txn.events):
            if event.type == QUERY:
                self._plans.forget()
            elif event.type in KINDS:
                plan = self._plan(txn.table_maps[event.table])
                if plan is not None and self.concerns(plan):
                    for change, found, keys in _changes(plan, event.type, event.payload):
                        for register, key in zip(found, keys, strict=True):
                            gone = change.before if change.before is not None and _holds(change.before, register) else None
                            fresh[key] = Entry(provenance, gone)
        with self._kept():
            entries.update(fresh)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ApplyError(
                f"local changes that {self._back.target.name} has not acknowledged cannot be kept in a temporary file: {error}",
                where=f"stream {self._back.id}",
                remedy="make room in the directory for temporary files (TMPDIR), then `replicator resume`",
            ) from error

    def _plan(self, table_map: bytes) -> TablePlan | None:
        try:
            return self._plans.get(table_map)
        except ApplyError:
            return None  # the table is another one by now: so are its rows


class OpenMemory:
    """What one connection's open transaction knows of local changes, with what it superseded itself."""

    def __init__(self, local: LocalChanges) -> None:
        self._local = local
        self._superseded: dict[Key, Entry] = {}
        self._absent: dict[Key, Entry | None] = {}
        self.concerns = local.concerns
        self.any_unseen = local.any_unseen
        self._remembers = local.remembers

    def cover(self, session: Session) -> None:
        """See ``LocalChanges.cover``."""
        self._local.cover(session)

    def row(self, row: Row | None, shape: Shape, register: Register, seen: int) -> LocalRow:
        """What is, or was, at one key, with its last writer where that is not known to the origin."""
        self._local.reaches(seen)
        if row is None:  # first: what comes between the two is then found to be later
            key = _key(shape, register)
            self._absent.setdefault(key, self._local.entry(key))
        entry = self._standing(shape, register, seen)
        if entry is None:  # by commit times: there is nothing that is later than all that is still to come
            return LocalRow(row, unseen=None if self._local.by_time else False)
        return LocalRow(row, entry.provenance, None if row is not None else entry.deleted, unseen=True)

    def settled(self, decision: Decision, change: RowChange, shape: Shape, seen: int) -> None:
        """A change was decided: where its writer supersedes a local one, that one no longer stands there."""
        if decision.provenance is None:
            return
        for register in registers(change, shape.info):
            entry = self._standing(shape, register, seen)
            if entry is not None and self._remembers(shape.info.name, decision.provenance, entry.provenance, unseen=True):
                self._superseded[_key(shape, register)] = entry

    def still_holds(self, session: Session) -> bool:
        """Whether nothing was written since at a key where no row was found: what is not there cannot be locked."""
        if not self._absent:
            return True
        self.cover(session)
        return all(now is None or now == known for key, known in self._absent.items() for now in [self._local.entry(key)])

    def committed(self) -> None:
        """The transaction is durable."""
        self._absent = {}
        if self._superseded:
            self._local.drop(self._superseded)
            self._superseded = {}

    def rolled_back(self) -> None:
        """The transaction never was."""
        self._superseded = {}
        self._absent = {}

    def _standing(self, shape: Shape, register: Register, seen: int) -> Entry | None:
        key = _key(shape, register)
        entry = self._local.find(key, seen)
        return None if entry is None or self._superseded.get(key) == entry else entry


def _committed(session: Session) -> str:
    """All that the target has committed, as a position.

    MySQL frees a transaction's locks a moment before it counts as executed; until then it is owned by its connection.
    """
    if session.mariadb:
        (outcome,) = session.run(b"SELECT @@global.gtid_binlog_pos")
        return (text_row((outcome.rows or [])[0])[0] or b"").decode()
    (outcome,) = session.run(b"SELECT @@global.gtid_owned, @@global.gtid_executed")
    owned, executed = [(text or b"").decode() for text in text_row((outcome.rows or [])[0])]
    return ",".join([part for part in (_OWNER.sub("", owned), executed) if part])


def _changes(plan: TablePlan, kind: int, payload: bytes) -> Iterator[tuple[RowChange, tuple[Register, ...], list[Key]]]:
    """The changes of a rows event with the registers that each touches."""
    shape = shape_of(plan)
    for before, after in plan.texts(kind, payload):
        change = RowChange(shape.values(before), shape.values(after))
        found = registers(change, shape.info)
        yield change, found, [_key(shape, register) for register in found]


def _key(shape: Shape, register: Register) -> Key:
    ordinals, _ = register
    names = shape.info.columns
    return (shape.name, tuple([names[i].name.lower() for i in ordinals]), shape.folded(register))


def _holds(row: Row, register: Register) -> bool:
    key, values = register
    return tuple([row[i] for i in key]) == values
