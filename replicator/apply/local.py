"""What this site's own applications changed that the origin had not seen: needed to settle by time of commit.

A bidirectional pair has a stream back, which carries every local change with its sequence and commit time. A thread reads it and
remembers, for each key (identity and unique keys) of tables whose policies ask, the last local change that the origin has not
acknowledged by a change of its own. Each origin transaction says how far its site had applied the stream back (``seen``): a
local change up to there was known to it and is superseded; a later one is concurrent, and its commit time counts.

Whether the memory is complete is known exactly: it must cover what the target's binlog holds when the rows are locked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conflict.stamps import Register, registers
from conflict.types import Change as RowChange
from conflict.types import Decision, LocalRow, Provenance, Row

from ..errors import ApplyError, DatabaseError, ReplicatorError
from ..gtid import Position, parse_position
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL
from ..stream.consumer import RecordConsumer
from ..stream.reader import LargeBegin, LargePart, RecordEnd, StreamReader, Txn
from ..stream.seek import offset_behind
from ..stream.topics import ensure_topics
from ..stream.wire import QUERY, event_kinds, read_events, unpack_header
from .batch import KINDS
from .plan import TablePlan
from .plans import Plans
from .session import Session, text_row
from .shape import Shape, shape_of
from .target import Targets

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["LocalChanges", "OpenMemory", "local_changes"]

_POLL_MS = 50
_KEYS_MAX = 2_000_000
_FORGET_FROM = 100_000
_WAIT_S = 30.0
_OWNER = re.compile(r"#\d+")

Key = tuple[str, tuple[str, ...], Row]
"""Table, names of the key's columns, values."""


@dataclass(frozen=True, slots=True)
class _Entry:
    provenance: Provenance
    deleted: Row | None


def local_changes(stream: StreamConfig, seen: int, plans: Plans) -> LocalChanges | None:
    """The memory that the stream needs, where a policy asks who wrote a row last. ``plans`` are those that rows are written by.

    None where it cannot be had: the pair writes one way, or the stream back does not carry all that is written here.
    """
    back = stream.reverse
    if back is None or stream.unheard or not stream.policies.asks_who_wrote:
        return None
    return LocalChanges(stream, back, seen, plans)


class LocalChanges:
    """Follows the stream back, from behind the sequence ``seen`` on; makes ``written_by`` forget where a local statement ran."""

    def __init__(self, stream: StreamConfig, back: StreamConfig, seen: int, written_by: Plans) -> None:
        self._stream = stream
        self._back = back
        self._targets = Targets(stream.target.database.connect_args(), stream.target.name)
        self._plans = Plans(stream, self._targets)
        self._written_by = written_by
        self._seen = seen
        self._begins = 0
        """Local changes up to there are not known: the topic has lost them."""
        self._lock = threading.Condition()
        self._entries: dict[Key, _Entry] = {}
        self.remembers = stream.policies.remembers
        self._concerned: dict[tuple[str, str], bool] = {}
        self._position: Position | None = None
        self._last = 0
        """The last sequence of the stream back that was read."""
        self._error: BaseException | None = None
        self._closed = False
        self._large: LargeBegin | None = None
        self._forget_from = _FORGET_FROM
        ensure_topics(back)  # its source may never have run
        self._consumer = RecordConsumer(back)
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
        self._consumer.close()
        self._targets.close()

    @property
    def position(self) -> Position | None:
        """How far the stream back has been read."""
        return self._position

    def concerns(self, plan: TablePlan) -> bool:
        """Whether a table's policies ask who wrote a row last."""
        name = (plan.map.schema, plan.map.table)
        known = self._concerned.get(name)
        if known is None:
            known = self._concerned[name] = self._stream.policies.needs_provenance(name)
        return known

    def cover(self, session: Session) -> None:
        """Return once everything that the target has committed by now is remembered.

        Rows that the session's open transaction has locked, or written, are then known for certain. Raises DatabaseError
        where the source of this site does not come so far in time; trying again may help. Raises ApplyError where the origin has
        seen more than there is: it speaks of another stream.
        """
        seen = self._seen  # before the target is asked: it has committed that
        flavor = FLAVOR_MARIADB if session.mariadb else FLAVOR_MYSQL
        target = _committed(session)

        def covered() -> bool:
            if self._error is not None or self._closed:
                return True
            return self._position is not None and self._position.covers(target)

        with self._lock:
            done = self._lock.wait_for(covered, _WAIT_S)
            if self._error is not None:
                raise self._error
        if self._closed:
            raise ReplicatorError("rolled back: the applier ends")
        if not done:
            raise DatabaseError(
                "the stream back is behind: who wrote a row last cannot be known yet",
                where=f"stream {self._back.id}, position {self._position or 'none'}, {flavor} target",
                remedy=f"check the source of site {self._stream.target.name}; the applier goes on by itself",
            )
        if seen > self._last:
            raise ApplyError(
                f"who wrote a row last cannot be known: {self._stream.origin.name} has seen {seen} transactions of the "
                f"stream back, and it holds {self._last}: it was started anew",
                where=f"stream {self._back.id}",
                remedy="start both flows of the pair anew, together (docs/WHAT-IF.md)",
            )

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
                    if any(self._find(key, seen) is not None for key in keys):
                        return True
        return False

    def forget(self, seen: int) -> None:
        """The origin has seen everything up to ``seen``: only what is later still matters."""
        if seen > self._seen:
            self._seen = seen
            if len(self._entries) > self._forget_from:
                with self._lock:
                    self._prune(seen)
                self._forget_from = 2 * len(self._entries) + _FORGET_FROM

    def _prune(self, seen: int) -> None:
        self._entries = {k: e for k, e in self._entries.items() if e.provenance.sequence > seen}

    def entry(self, key: Key) -> _Entry | None:
        """The last local change at a key, if it is still remembered."""
        return self._entries.get(key)

    def _find(self, key: Key, seen: int) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.provenance.sequence > seen else None

    def drop(self, superseded: dict[Key, _Entry]) -> None:
        """Forget entries that a replicated change superseded, unless a later local change stands there by now."""
        with self._lock:
            for key, entry in superseded.items():
                if self._entries.get(key) is entry:
                    del self._entries[key]

    def _run(self) -> None:
        try:
            self._consumer.assign(offset_behind(self._consumer, self._seen))
            reader = StreamReader(stream=self._back.id.topic, anywhere=True)
            first = True
            while not self._closed:
                for at, value in self._consumer.poll(_POLL_MS):
                    if first:
                        self._begins, first = unpack_header(value)[0].first_sequence - 1, False
                    for item in reader.feed(at, value):
                        self._plans.flavor = reader.flavor
                        self._take(item, reader.flavor)
        except BaseException as error:  # noqa: BLE001  (raised again by ``cover`` in the applier's threads)
            with self._lock:
                self._error = error
                self._lock.notify_all()

    def _take(self, item: object, flavor: str) -> None:
        if isinstance(item, Txn):
            self._remember(item)
        elif isinstance(item, LargeBegin):
            self._large = item
        elif isinstance(item, LargePart) and self._large is not None:
            head = self._large
            self._remember(
                Txn(head.sequence, head.gtid, head.commit_time_us, head.site, item.table_maps, item.events, head.epoch)
            )
        elif isinstance(item, RecordEnd) and item.position:
            position = parse_position(flavor, item.position)
            with self._lock:
                self._position, self._last = position, item.state.sequence
                self._lock.notify_all()

    def _remember(self, txn: Txn) -> None:
        if QUERY in event_kinds(txn.events):
            self._written_by.forget()
        if txn.sequence <= self._seen:
            return
        site = txn.site or self._back.origin.name
        priority = self._stream.site_priorities.get(site, 0)
        provenance = Provenance(site, txn.commit_time_us, txn.gtid, txn.sequence, priority)
        fresh: dict[Key, _Entry] = {}
        for event in read_events(txn.events):
            if event.type == QUERY:
                self._plans.forget()
            elif event.type in KINDS:
                plan = self._plan(txn.table_maps[event.table])
                if plan is not None and self.concerns(plan):
                    for change, found, keys in _changes(plan, event.type, event.payload):
                        for register, key in zip(found, keys, strict=True):
                            gone = change.before if change.before is not None and _holds(change.before, register) else None
                            fresh[key] = _Entry(provenance, gone)
        with self._lock:
            self._entries.update(fresh)
            if len(self._entries) > _KEYS_MAX:
                self._prune(self._seen)
        if len(self._entries) > _KEYS_MAX:
            raise ApplyError(
                f"more than {_KEYS_MAX} local changes are not acknowledged by {self._stream.origin.name}",
                where=f"stream {self._back.id}",
                remedy="bring the flow back up first, then this one: both directions must not be down for so long",
            )

    def _plan(self, table_map: bytes) -> TablePlan | None:
        try:
            return self._plans.get(table_map)
        except ApplyError:
            return None  # the table is another one by now: so are its rows


class OpenMemory:
    """What one connection's open transaction knows of local changes, with what it superseded itself."""

    def __init__(self, local: LocalChanges) -> None:
        self._local = local
        self._superseded: dict[Key, _Entry] = {}
        self._absent: dict[Key, _Entry | None] = {}
        self.concerns = local.concerns
        self.any_unseen = local.any_unseen
        self._remembers = local.remembers

    def cover(self, session: Session) -> None:
        """See ``LocalChanges.cover``."""
        self._local.cover(session)

    def row(self, row: Row | None, shape: Shape, register: Register, seen: int) -> LocalRow:
        """What is, or was, at one key, with its last writer where that is not known to the origin."""
        self._local.reaches(seen)
        entry = self._standing(shape, register, seen)
        if row is None:
            key = _key(shape, register)
            self._absent.setdefault(key, self._local.entry(key))
        if entry is None:
            return LocalRow(row, unseen=False)
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
        return all(now is None or now is known for key, known in self._absent.items() for now in [self._local.entry(key)])

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

    def _standing(self, shape: Shape, register: Register, seen: int) -> _Entry | None:
        key = _key(shape, register)
        entry = self._local._find(key, seen)
        return None if entry is None or self._superseded.get(key) is entry else entry


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
