"""What this site's own applications changed that the origin had not seen: needed to settle by time of commit.

A bidirectional pair has a stream back, which carries every local change with its sequence and commit time. A thread reads it and
remembers, for each key (identity and unique keys) of tables whose policies ask, the last local change that the origin has not
acknowledged by a change of its own. Each origin transaction says how far its site had applied the stream back (``seen``): a
local change up to there was known to it and is superseded; a later one is concurrent, and its commit time counts.

Whether the memory is complete is known exactly: it must cover what the target's binlog holds when the rows are locked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conflict.stamps import Register, registers
from conflict.types import Change as RowChange
from conflict.types import LocalRow, Provenance, Row

from ..errors import ApplyError, DatabaseError
from ..gtid import parse_position
from ..stream.consumer import RecordConsumer
from ..stream.reader import LargeBegin, LargePart, RecordEnd, StreamReader, Txn
from ..stream.seek import offset_behind
from .batch import Change, Segment
from .plan import TablePlan
from .shape import Shape, shape_of

if TYPE_CHECKING:
    from ..config import StreamConfig
    from .writer import Plans

__all__ = ["LocalChanges"]

_POLL_MS = 50
_KEYS_MAX = 2_000_000
_WAIT_S = 30.0

Key = tuple[str, Register]


@dataclass(frozen=True, slots=True)
class _Entry:
    provenance: Provenance
    deleted: Row | None


class LocalChanges:
    """Follows the stream back, from behind the sequence ``seen`` on."""

    def __init__(self, stream: StreamConfig, back: StreamConfig, plans: Plans, seen: int) -> None:
        self._stream = stream
        self._back = back
        self._plans = plans
        self._seen = seen
        self._lock = threading.Condition()
        self._entries: dict[Key, _Entry] = {}
        self._position = ""
        self._error: BaseException | None = None
        self._closed = False
        self._large: LargeBegin | None = None
        self._consumer = RecordConsumer(back)
        self._thread = threading.Thread(target=self._run, name="local-changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading; safe to call twice."""
        self._closed = True
        self._thread.join(timeout=5)
        self._consumer.close()

    def concerns(self, plan: TablePlan) -> bool:
        """Whether a table's policies ask who wrote a row last."""
        return bool(self._stream.policies.needs_provenance((plan.map.schema, plan.map.table)))

    def wait(self, position: str, flavor: str) -> None:
        """Return once every local change in ``position`` (of the target's binlog) is remembered.

        Raises DatabaseError where the source of this site does not come so far in time; trying again may help.
        """

        def covered() -> bool:
            return self._error is not None or parse_position(flavor, self._position).covers(position)

        with self._lock:
            done = self._lock.wait_for(covered, _WAIT_S)
            if self._error is not None:
                raise self._error
        if not done:
            raise DatabaseError(
                "the stream back is behind: who wrote a row last cannot be known yet",
                where=f"stream {self._back.id}, position {self._position or 'none'}",
                remedy=f"check the source of site {self._stream.target.name}; the applier goes on by itself",
            )

    def any_unseen(self, segment: Segment, seen: int) -> bool:
        """Whether a concurrent local change stands at any key of these changes."""
        if not self._entries:
            return False
        return any(
            self._find(key, seen) is not None
            for change in segment.changes()
            if self.concerns(change.plan)
            for key in _keys(shape_of(change.plan), change)
        )

    def local_row(self, row: Row | None, shape: Shape, register: Register, seen: int) -> LocalRow:
        """What is, or was, at one key, with its last writer where that is not known to the origin."""
        entry = self._find((shape.name, register), seen)
        if entry is None:
            return LocalRow(row, unseen=False)
        return LocalRow(row, entry.provenance, None if row is not None else entry.deleted, unseen=True)

    def forget(self, seen: int) -> None:
        """The origin has seen everything up to ``seen``: only what is later still matters."""
        if seen > self._seen:
            self._seen = seen
            if len(self._entries) > _KEYS_MAX // 8:
                with self._lock:
                    self._entries = {k: e for k, e in self._entries.items() if e.provenance.sequence > seen}

    def _find(self, key: Key, seen: int) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.provenance.sequence > seen else None

    def _run(self) -> None:
        try:
            offset = offset_behind(self._consumer, self._seen)
            self._consumer.assign(offset)
            reader = StreamReader(stream=self._back.id.topic, anywhere=True)
            while not self._closed:
                for at, value in self._consumer.poll(_POLL_MS):
                    for item in reader.feed(at, value):
                        self._plans.flavor = reader.flavor
                        self._take(item)
        except BaseException as error:  # noqa: BLE001  (raised again by ``wait`` in the applier's threads)
            with self._lock:
                self._error = error
                self._lock.notify_all()

    def _take(self, item: object) -> None:
        if isinstance(item, Txn):
            self._remember(item)
        elif isinstance(item, LargeBegin):
            self._large = item
        elif isinstance(item, LargePart) and self._large is not None:
            head = self._large
            self._remember(
                Txn(head.sequence, head.gtid, head.commit_time_us, head.site, item.table_maps, item.events, head.epoch)
            )
        elif isinstance(item, RecordEnd):
            with self._lock:
                self._position = item.position or self._position
                self._lock.notify_all()

    def _remember(self, txn: Txn) -> None:
        if txn.sequence <= self._seen:
            return
        site = txn.site or self._back.origin.name
        provenance = Provenance(
            site, txn.commit_time_us, txn.gtid, txn.sequence, self._stream.site_priorities.get(site, 0)
        )
        fresh: dict[Key, _Entry] = {}
        for plan, kind, payload in self._events(txn):
            shape = shape_of(plan)
            segment = Segment(foreign_key_checks=False)
            segment.collect(plan, kind, payload)
            for change in segment.changes():
                before, after = shape.values(change.before_texts), shape.values(change.after_texts)
                for register in registers(RowChange(before, after), shape.info):
                    gone = before if before is not None and _holds(before, register) else None
                    fresh[(shape.name, register)] = _Entry(provenance, gone)
        with self._lock:
            self._entries.update(fresh)
        if len(self._entries) > _KEYS_MAX:
            raise ApplyError(
                f"more than {_KEYS_MAX} local changes are not acknowledged by {self._stream.origin.name}",
                where=f"stream {self._back.id}",
                remedy="bring the flow back up first, then this one: both directions must not be down for so long",
            )

    def _events(self, txn: Txn) -> Iterable[tuple[TablePlan, int, bytes]]:
        plans = self._plans.of(txn.table_maps)
        for kind, table, payload in txn.rows():
            plan = plans[table]
            if plan is not None and self.concerns(plan):
                yield plan, kind, payload


def _keys(shape: Shape, change: Change) -> list[Key]:
    row_change = RowChange(shape.values(change.before_texts), shape.values(change.after_texts))
    return [(shape.name, register) for register in registers(row_change, shape.info)]


def _holds(row: Row, register: Register) -> bool:
    key, values = register
    return tuple([row[i] for i in key]) == values
