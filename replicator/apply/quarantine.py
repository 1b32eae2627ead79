"""Changes that may not be decided now, kept whole in ``replicator.quarantine`` at the target until somebody decides.

Later changes of a held row queue behind it, in order; other rows go on. Everything is written in the transaction of the batch.
"""

from __future__ import annotations

import itertools
import threading
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from conflict.types import Row

from .. import meta
from ..context import now_us
from ..errors import ApplyError
from ..stream.reader import Txn
from .batch import Change
from .journal import OPERATIONS, row_json, row_key, sql_text
from .session import Session, text_row
from .shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config import StreamConfig

__all__ = ["HeldChange", "Quarantine", "alike"]


class HeldChange(msgspec.Struct, frozen=True, array_like=True):
    """A held change, complete: it can be decided again without the stream. Images are texts of the table map's columns."""

    flavor: str
    table_map: bytes
    kind: int
    before: tuple[bytes | None, ...] | None
    after: tuple[bytes | None, ...] | None
    seen: int = 0
    """How far its origin had applied the stream back when it made the change; 0 where that was not kept."""


class Quarantine:
    """What one stream holds. Keys are remembered, so that the fast path only asks memory."""

    def __init__(self, stream: StreamConfig) -> None:
        self._flow, self._stream = stream.id.flow, stream.id.stream
        own = f"flow={sql_text(self._flow)} AND stream={sql_text(self._stream)}"
        self._from_held = f"FROM {meta.QUARANTINE} WHERE {own} AND state='held'"
        self._max_rows = stream.policies.quarantine_max_rows
        self._keys: dict[tuple[str, str], tuple[str, ...]] = {}
        """Table and key as ``alike`` writes it, to the spellings of the key that are held. Read without the lock."""
        self._open: dict[Session, list[list[tuple[str, str]]]] = {}
        """What each session's open transaction holds, as the names of each change: in ``_keys`` too, and unseen by others yet."""
        self._stale = True
        self._count = 0
        self._lock = threading.Lock()

    def rolled_back(self, session: Session) -> None:
        """What the session's transaction held is not held: read again before the next use."""
        with self._lock:
            if self._open.pop(session, None):
                self._stale = True

    def committed(self, session: Session) -> None:
        """What the session's transaction held is there for everybody."""
        if session in self._open:
            with self._lock:
                del self._open[session]

    def refresh(self, session: Session) -> None:
        """Read what is held, if that is not known.

        Behind the lock, so that no older reading takes back what another session committed meanwhile: what it holds goes from
        ``_open`` after its commit. Reading waits for no row.
        """
        if not self._stale:
            return
        with self._lock:
            if not self._stale:
                return
            (outcome,) = session.run(f"SELECT table_name, row_key, new_key {self._from_held}".encode())
            rows = [text_row(packet) for packet in outcome.rows or []]
            unseen = list(itertools.chain.from_iterable(self._open.values()))
            read = [((table or b"").decode(), key.decode()) for table, *keys in rows for key in keys if key]
            self._keys = _spelled({}, itertools.chain(read, *unseen))
            self._count = len(rows) + len(unseen)
            self._stale = False

    @property
    def holds_any(self) -> bool:
        """Whether any held row is known here."""
        return bool(self._keys)

    @property
    def count(self) -> int:
        """How many changes are known to be held."""
        return self._count

    def touched_by(self, changes: Iterable[Change]) -> bool:
        """Whether any of these changes is of a held row."""
        return bool(self._keys) and any(self.holds(change) for change in changes)

    def holds(self, change: Change) -> bool:
        """Whether the change's row, before or after, is held."""
        return bool(self._keys) and any((table, alike(key)) in self._keys for table, key in _names(change))

    def confirms(self, session: Session, change: Change) -> bool:
        """Whether the change's row is still held: an operator may have released it since the keys were read."""
        asked = {(table, key) for table, name in _names(change) for key in (name, *self._keys.get((table, alike(name)), ()))}
        names = " OR ".join([f"(table_name={sql_text(t)} AND {sql_text(k)} IN (row_key, new_key))" for t, k in sorted(asked)])
        (outcome,) = session.run(f"SELECT 1 {self._from_held} AND ({names}) LIMIT 1 FOR UPDATE".encode())
        if not outcome.rows:
            self._stale = True
        return bool(outcome.rows)

    def hold(
        self, session: Session, txn: Txn, change: Change, reason: str, conflict: str | None, current: Row | None
    ) -> None:
        """Keep a change. Raises ApplyError where the quarantine is full."""
        if self._count >= self._max_rows:
            self._count = self._ask_count(session)  # operators may have decided about some
        if self._count >= self._max_rows:
            raise ApplyError(
                f"the quarantine holds {self._count} changes, its limit (conflicts.quarantine.max_rows)",
                where=f"flow {self._flow}, GTID {txn.gtid}",
                remedy="decide about them with `replicator quarantine list|retry|discard`, then `replicator resume`",
            )
        shape = shape_of(change.plan)
        before, after = _whole(change, change.before_texts), _whole(change, change.after_texts)
        held = HeldChange(change.plan.flavor, change.plan.body, change.kind, before, after, txn.seen)
        names = _names(change)
        values = {
            "flow": self._flow,
            "stream": self._stream,
            "time_us": now_us(),
            "table_name": shape.name,
            "row_key": names[0][1],
            "new_key": names[-1][1] if len(names) > 1 and names[-1] != names[0] else "",
            "operation": OPERATIONS[change.kind],
            "reason": reason,
            "conflict": str(conflict or ""),
            "before_image": row_json(shape, shape.values(change.before_texts)),
            "after_image": row_json(shape, shape.values(change.after_texts)),
            "current_row": row_json(shape, current),
            "sequence": txn.sequence,
            "gtid": txn.gtid,
            "site": txn.site,
            "commit_time_us": txn.commit_time_us,
        }
        literals = ",".join([*map(sql_text, values.values()), "x'" + msgspec.msgpack.encode(held).hex() + "'"])
        session.run(f"INSERT INTO {meta.QUARANTINE} ({','.join(values)}, change_data) VALUES ({literals})".encode())
        with self._lock:
            _spelled(self._keys, names)
            self._open.setdefault(session, []).append(names)
            self._count += 1

    def _ask_count(self, session: Session) -> int:
        (outcome,) = session.run(f"SELECT COUNT(*) {self._from_held}".encode())
        (packet,) = outcome.rows or []
        return int(text_row(packet)[0] or 0)


def alike(key: str) -> str:
    """A row's key as the log writes it, so that spellings which a collation may take for one key are one.

    Two keys that are not one may be alike: their rows then wait for one another.
    """
    plain = key if key.isascii() else "".join([c for c in unicodedata.normalize("NFD", key) if not unicodedata.combining(c)])
    return plain.replace(" ", "").casefold()


def _spelled(
    keys: dict[tuple[str, str], tuple[str, ...]], names: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """``keys`` with these tables and keys added."""
    for table, key in names:
        known = keys.get((table, alike(key)), ())
        if key not in known:
            keys[(table, alike(key))] = (*known, key)
    return keys


def _names(change: Change) -> list[tuple[str, str]]:
    shape = shape_of(change.plan)
    rows = [shape.values(texts) for texts in (change.before_texts, change.after_texts) if texts is not None]
    return [(shape.name, row_key(shape, row)) for row in rows if row is not None]


def _whole(change: Change, texts: tuple[bytes | None, ...] | None) -> tuple[bytes | None, ...] | None:
    return None if texts is None else tuple(texts)
