"""What the conflict log and the quarantine tell an operator: lists, one entry whole, and why a row is as it is.

Reads the target's tables only. Used by `replicator conflicts` and `replicator explain`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pymysql

from .. import meta
from ..errors import DatabaseError

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["ConflictEntry", "ConflictRecords"]

_COLUMNS = (
    "id, time_us, flow, stream, conflict, policy, decision, reason, table_name, row_key, operation, before_image, after_image,"
    " current_row, written_row, sequence, gtid, site, commit_time_us"
)


class ConflictEntry(msgspec.Struct, frozen=True):
    """One entry of ``replicator.conflict_log``. Images are JSON objects as text; times µs since the epoch."""

    id: int
    time_us: int
    flow: str
    stream: str
    conflict: str
    policy: str
    decision: str
    reason: str
    table: str
    key: str
    operation: str
    before: str | None
    after: str | None
    current: str | None
    written: str | None
    sequence: int
    gtid: str
    site: str
    commit_time_us: int


class ConflictRecords:
    """The conflict log of one stream, at its target. Raises DatabaseError where it cannot be read."""

    def __init__(self, stream: StreamConfig) -> None:
        self._stream = stream
        try:
            self._connection: pymysql.Connection[Any] = pymysql.connect(
                **{"connect_timeout": 10, **stream.target.database.connect_args()}, charset="utf8mb4", autocommit=True
            )
        except (pymysql.MySQLError, OSError) as error:
            raise DatabaseError(f"cannot connect: {error.args[-1]}", where=f"site {stream.target.name}") from error

    def entries(self, *, table: str | None = None, key: list[Any] | None = None, limit: int = 100) -> list[ConflictEntry]:
        """The newest entries, newest first; of one table, or of one row by the values of its key in key order."""
        conditions, values = ["flow=%s", "stream=%s"], [self._stream.id.flow, self._stream.id.stream]
        if table is not None:
            conditions.append("table_name=%s")
            values.append(table)
        if key is not None:
            conditions.append("row_key=%s")
            values.append(json.dumps(key, ensure_ascii=False))
        return self._read(" AND ".join(conditions), values, limit)

    def entry(self, number: int) -> ConflictEntry | None:
        """One entry; None if there is none of that number."""
        found = self._read("id=%s AND flow=%s AND stream=%s", [number, self._stream.id.flow, self._stream.id.stream], 1)
        return found[0] if found else None

    def prune(self, older_than_us: int) -> int:
        """Delete entries older than that time; returns how many."""
        return self._run(f"DELETE FROM {meta.CONFLICT_LOG} WHERE flow=%s AND stream=%s AND time_us<%s",
                         [self._stream.id.flow, self._stream.id.stream, older_than_us])[1]  # fmt: skip

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read(self, where: str, values: list[Any], limit: int) -> list[ConflictEntry]:
        query = f"SELECT {_COLUMNS} FROM {meta.CONFLICT_LOG} WHERE {where} ORDER BY id DESC LIMIT {int(limit)}"
        return [ConflictEntry(*row) for row in self._run(query, values)[0]]

    def _run(self, query: str, values: list[Any]) -> tuple[list[tuple[Any, ...]], int]:
        try:
            with self._connection.cursor() as cursor:
                count = cursor.execute(query, values)
                return list(cursor.fetchall()), count
        except pymysql.MySQLError as error:
            if error.args and error.args[0] in meta.NOTHING_YET:
                return [], 0
            raise DatabaseError(
                f"cannot read the conflict log: {error}",
                where=f"site {self._stream.target.name}",
                remedy=f"grant the replicator's user SELECT on {meta.CONFLICT_LOG}",
            ) from error
