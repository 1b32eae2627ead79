"""What an operator asks of a running worker, as a row of ``replicator.control`` at the worker's own site.

A source is asked at the origin, an applier at the target: each polls its own database, about once a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

from . import meta
from .context import now_us
from .errors import DatabaseError
from .model import Role

if TYPE_CHECKING:
    from .config import StreamConfig

__all__ = ["Control", "Wish"]

_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked at present. ``generation`` rises with each `resume`; ``skip_gtid`` names one transaction to leave out."""

    paused: bool = False
    generation: int = 0
    skip_gtid: str = ""
    reason: str = ""


class Control:
    """Reads and writes one worker's row; opens its connection when first needed, and again after a failure."""

    def __init__(self, stream: StreamConfig, role: Role) -> None:
        self._stream = stream
        self._role = role
        self._site = stream.origin if role is Role.SOURCE else stream.target
        self._connection: pymysql.Connection[Any] | None = None
        self._read_at = 0.0
        self._wish = Wish()

    def poll(self) -> Wish:
        """The present wish, asked of the database at most once a second. Raises DatabaseError."""
        if time.monotonic() - self._read_at >= _POLL_S:
            self._wish = self.read()
            self._read_at = time.monotonic()
        return self._wish

    def read(self) -> Wish:
        """The present wish, asked now. Raises DatabaseError."""
        query = f"SELECT paused, generation, skip_gtid, reason FROM {meta.CONTROL} WHERE flow=%s AND stream=%s AND role=%s"
        rows = self._run(query, self._key)
        if not rows:
            return Wish()
        paused, generation, skip, reason = rows[0]
        return Wish(bool(paused), int(generation), str(skip), str(reason))

    def generation(self) -> int:
        """How often `resume` was asked."""
        return self.read().generation

    def pause(self, reason: str) -> None:
        """Ask the worker to hold still between two transactions."""
        self._write("paused=1, reason=%s", (reason[:400],))

    def resume(self) -> None:
        """Ask the worker to go on, also after a stop for an error."""
        self._write("paused=0, generation=generation+1, reason=''", ())

    def skip(self, gtid: str) -> None:
        """Ask the applier to leave out one transaction, and to go on."""
        self._write("skip_gtid=%s, paused=0, generation=generation+1", (gtid,))

    @property
    def _key(self) -> tuple[str, str, str]:
        return (self._stream.id.flow, self._stream.id.stream, self._role.value)

    def _write(self, change: str, values: tuple[str, ...]) -> None:
        self._ensure()
        self._run(f"INSERT IGNORE INTO {meta.CONTROL} (flow, stream, role) VALUES (%s, %s, %s)", self._key)
        self._run(
            f"UPDATE {meta.CONTROL} SET {change}, updated_us=%s WHERE flow=%s AND stream=%s AND role=%s",
            (*values, now_us(), *self._key),
        )

    def _ensure(self) -> None:
        self._run("DO 0", ())
        assert self._connection is not None
        meta.ensure(self._connection)

    def _run(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                self._connection = pymysql.connect(
                    **self._site.database.connect_args(), charset="utf8mb4", autocommit=True, connect_timeout=5, read_timeout=10
                )
            with self._connection.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            self.close()
            if error.args and error.args[0] in meta.NOTHING_YET:  # nothing was ever written here
                return []
            raise DatabaseError(
                f"cannot ask the control table: {error}",
                where=f"site {self._site.name}",
                remedy="check that the site's database runs and that its user may read and write the schema replicator",
            ) from error

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        if self._connection is not None:
            try:
                self._connection.close()
            except pymysql.MySQLError:
                pass  # it is gone already
            self._connection = None
