"""Entries of ``replicator.conflict_log``: what was met, by which policy it was settled, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from conflict.types import Action, Decision, Row

from .. import meta
from ..context import now_us
from ..stream.reader import Txn
from .batch import Change
from .shape import Shape

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["OPERATIONS", "Journal", "key_text", "row_json", "row_key", "sql_text"]

_VALUE_BYTES_MAX = (64 << 10, 1 << 10, 64)
"""How large a value is still written out: the first with which its row fits."""
_ROW_CHARS_MAX = 1 << 20
_KEY_CHARS_MAX = 700
OPERATIONS = ("insert", "update", "delete")
_COLUMNS = (
    "flow, stream, time_us, conflict, policy, decision, reason, table_name, row_key, operation, before_image, after_image,"
    " current_row, written_row, sequence, gtid, site, commit_time_us"
)
_INSERT = f"INSERT INTO {meta.CONFLICT_LOG} ({_COLUMNS})"
_VALUES = _INSERT.encode() + b" VALUES "
_ROWS = 50


class Named(Protocol):
    """What tells a table's rows in the log."""

    @property
    def name(self) -> str:
        """The table, as ``schema.table``."""

    @property
    def column_names(self) -> list[str]:
        """Of a row's values."""

    def key_values(self, row: Row) -> list[object]:
        """The values of a row's key, or of the whole row where the table has none."""


class Journal:
    """Makes the INSERT statements; they run in the transaction of the decision's effect."""

    def __init__(self, stream: StreamConfig) -> None:
        self._stream = stream

    def entry(self, txn: Txn, change: Change, shape: Shape, current: Row | None, decision: Decision) -> bytes:
        """The statement that records a decision; a repeated halt of the same change is recorded once."""
        assert decision.record is not None
        before, after = shape.values(change.before_texts), shape.values(change.after_texts)
        if decision.record.decision is Action.HALT and not decision.record.observed:
            return self.once(txn, change.kind, before, after, shape, current, decision)
        values = self._values(txn, change.kind, before, after, shape, current, decision)
        return f"{_INSERT} VALUES ({','.join([sql_text(v) for v in values.values()])})".encode()

    def once(
        self, txn: Txn, kind: int, before: Row | None, after: Row | None, shape: Named, current: Row | None, decision: Decision
    ) -> bytes:
        """The statement that records a halt, which is met again at every try until somebody mends it. Few rows are of one table
        and key, so looking for it is cheap."""
        values = self._values(txn, kind, before, after, shape, current, decision)
        literals = ",".join([sql_text(v) for v in values.values()])
        names = ("table_name", "row_key", "flow", "stream", "sequence", "decision")
        same = " AND ".join([f"{name}={sql_text(values[name])}" for name in names])
        once = f"NOT EXISTS (SELECT 1 FROM {meta.CONFLICT_LOG} WHERE {same})"
        return f"{_INSERT} SELECT {literals} FROM DUAL WHERE {once}".encode()

    def row(
        self, txn: Txn, kind: int, before: Row | None, after: Row | None, shape: Named, current: Row | None, decision: Decision
    ) -> bytes:
        """One row of a statement of several; see ``entries``. Not for a halt."""
        values = self._values(txn, kind, before, after, shape, current, decision)
        return f"({','.join([sql_text(v) for v in values.values()])})".encode()

    @staticmethod
    def entries(rows: Sequence[bytes], packet_bytes: int) -> Iterator[bytes]:
        """The statements that record these rows; one is larger than a quarter of ``packet_bytes`` only for a single row."""
        part: list[bytes] = []
        size = 0
        for row in rows:
            if part and (len(part) == _ROWS or size + len(row) > packet_bytes // 4):
                yield _VALUES + b",".join(part)
                part, size = [], 0
            part.append(row)
            size += len(row)
        if part:
            yield _VALUES + b",".join(part)

    def _values(
        self, txn: Txn, kind: int, before: Row | None, after: Row | None, shape: Named, current: Row | None, decision: Decision
    ) -> dict[str, str | int | None]:
        record = decision.record
        assert record is not None
        own = before if before is not None else after
        assert own is not None
        return {
            "flow": self._stream.id.flow,
            "stream": self._stream.id.stream,
            "time_us": now_us(),
            "conflict": str(record.conflict),
            "policy": record.policy[:200],
            "decision": ("would be " if record.observed else "") + str(record.decision),
            "reason": record.reason,
            "table_name": shape.name,
            "row_key": row_key(shape, own),
            "operation": OPERATIONS[kind],
            "before_image": row_json(shape, before),
            "after_image": row_json(shape, after),
            "current_row": row_json(shape, current),
            "written_row": row_json(shape, decision.row),
            "sequence": txn.sequence,
            "gtid": txn.gtid,
            "site": txn.site or self._stream.origin.name,
            "commit_time_us": txn.commit_time_us,
        }


def row_key(shape: Named, row: Row) -> str:
    """The key of a row as JSON text, cut to what the log's column takes."""
    return key_text(shape.key_values(row))


def key_text(values: Sequence[object]) -> str:
    """The values of a key as JSON text, cut to what the log's column takes."""
    text = json.dumps([_plain(v) for v in values], ensure_ascii=False)
    if len(text) <= _KEY_CHARS_MAX:
        return text
    return text[: _KEY_CHARS_MAX - 70] + "…" + hashlib.sha256(text.encode()).hexdigest()


def row_json(shape: Named, row: Row | None) -> str | None:
    """A row as a JSON object; bytes that are no text as ``{"hex": …}``, what is too large as size and hash."""
    if row is None:
        return None
    text = ""
    for limit in _VALUE_BYTES_MAX:
        text = json.dumps(dict(zip(shape.column_names, [_plain(v, limit) for v in row], strict=True)), ensure_ascii=False)
        if len(text) <= _ROW_CHARS_MAX:
            break
    return text


def sql_text(value: object) -> str:
    """An SQL literal of a string or number for a session with ``SET NAMES binary``."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    text = str(value).encode()
    return "_utf8mb4 x'" + text.hex() + "'" if text else "''"


def _plain(value: object, limit: int = 64 << 10) -> object:
    if not isinstance(value, bytes):
        return value
    if len(value) > limit:
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
