"""The origin's SQL side: what must be set there, where a stream begins, and the heartbeat row."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

from .. import meta
from ..context import now_us
from ..errors import DatabaseError, SourceError
from ..gtid import Position, parse_position
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL, StreamId
from .start import executed, start_position
from .takeover import Beginning

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Origin", "ServerFacts"]

_READ_ONLY = (1290, 1836)
_READ_ONLY_S = 10.0
"""How long a server that says so is not asked again."""
_INTENTS_MAX = 4000
_TRIES = 100
_REQUIRED = {
    "binlog_format": ("ROW", "SET GLOBAL binlog_format=ROW (and binlog_format=ROW in my.cnf), for every session"),
    "binlog_row_image": ("FULL", "SET GLOBAL binlog_row_image=FULL (and in my.cnf), for every session"),
    "binlog_row_metadata": ("FULL", "SET GLOBAL binlog_row_metadata=FULL (and in my.cnf)"),
}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What decides how the origin's binlog is read. ``version`` is as versioned comments write it: 8.0.31 is 80031."""

    flavor: str
    version: int
    lower_names: bool


class Origin:
    """One connection in autocommit, opened anew when it broke."""

    def __init__(self, stream: StreamConfig) -> None:
        self._stream = stream
        self._where = f"site {stream.origin.name}"
        self._connection: Any = None
        self.writable = True
        """False while the server says that it is read-only: then there is no heartbeat row."""
        self._try_again_at = 0.0
        self.facts = self._facts()

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        if self._connection is not None:
            self._connection._force_close()
            self._connection = None

    def check(self) -> None:
        """Raises SourceError for a server setting under which rows would be lost, with the remedy."""
        values = dict(self._query("SHOW GLOBAL VARIABLES WHERE variable_name IN ('log_bin','gtid_mode','binlog_format',"
                                  "'binlog_row_image','binlog_row_metadata')"))  # fmt: skip
        if values.get("log_bin") != "ON":
            raise self._wrong("the binlog is off (log_bin)", "set log_bin in my.cnf and restart the server")
        for name, (wanted, remedy) in _REQUIRED.items():
            value = str(values.get(name, "missing")).upper()
            if value != wanted:
                raise self._wrong(f"{name} is {value}, and must be {wanted}", remedy)
        if self.facts.flavor == FLAVOR_MYSQL and values.get("gtid_mode") != "ON":
            raise self._wrong(
                f"gtid_mode is {values.get('gtid_mode')}, and must be ON", "set gtid_mode=ON and enforce_gtid_consistency=ON"
            )

    def check_has(self, position: Position) -> None:
        """Raises SourceError where the origin lacks transactions that were shipped: it is another server, or was set back."""
        missing = parse_position(self.facts.flavor, self.position()).missing(str(position))
        if missing:
            raise SourceError(
                f"the origin lacks transactions that the stream has: {missing}",
                where=self._where,
                remedy="it was restored from a backup, reset, or replaced by a server that is behind: let it catch up; or, if "
                "they are lost there, load the target anew and start the stream anew (docs/WHAT-IF.md)",
            )

    def _check_no_xa(self) -> None:
        """A transaction that is prepared now would be committed behind the beginning, with its rows before it."""
        try:
            prepared = self._query("XA RECOVER")
        except DatabaseError:
            return  # not allowed to look: its XA COMMIT will stop the source
        if prepared:
            raise SourceError(
                f"{len(prepared)} XA transactions are prepared at the origin, so the stream cannot begin at the latest position",
                where=self._where,
                remedy="commit them or roll them back; the source tries again by itself",
                retry=True,
            )

    def position(self) -> str:
        """All that the server has committed, as text."""
        return executed(self.facts.flavor, self._query)

    def begin(self) -> Beginning:
        """Where a new stream starts. Raises ConfigError or SourceError where it cannot, or may not start alone."""
        back = self._stream.reverse
        if back is not None:
            self._check_alone(back)
        if self._stream.start != "latest":
            return Beginning(self._start())
        applied = 0
        for _ in range(_TRIES):
            latest = self._start()
            before, applied = applied, self._applied(back)[0] if back is not None else 0
            if applied == before:
                break  # so it was when the position was asked; else too little is said, until the next is applied
        self._check_no_xa()
        return Beginning(latest, before)

    def _check_alone(self, back: StreamConfig) -> None:
        """The number of transactions that the other site has seen says nothing of a new stream."""
        _, seen = self._applied(back)
        if seen and back.policies.asks_who_wrote and not back.unheard:
            raise SourceError(
                f"the stream would begin anew, and {self._stream.target.name} knew {seen} transactions of a former one: those of "
                "this one would be taken for them, so for known there",
                where=f"stream {self._stream.id}",
                remedy="start both flows of the pair anew, together (docs/WHAT-IF.md): its policies ask who wrote a row last",
            )

    def _applied(self, stream: StreamConfig) -> tuple[int, int]:
        """How far a stream has been applied here, and how much of the one back its origin knew then."""
        query = f"SELECT COALESCE(MAX(sequence), 0), COALESCE(MAX(seen), 0) FROM {meta.CHECKPOINT} WHERE flow=%s AND stream=%s"
        rows = self._query(query, stream.id.flow, stream.id.stream, missing_ok=True)
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)

    def _start(self) -> str:
        return start_position(self._stream, self.facts.flavor, self._query)

    def known_stream(self) -> str:
        """The id of this stream as the origin remembers it; "" if it never ran here."""
        rows = self._query(
            f"SELECT stream_id FROM {meta.HEARTBEAT} WHERE flow=%s AND stream=%s", self._stream.id.flow, self._stream.id.stream,
            missing_ok=True,
        )  # fmt: skip
        return str(rows[0][0]) if rows else ""

    def intents(self) -> list[tuple[int, int, str]]:
        """The latest DDL statements that an applier of this site announced: connection id, second, site."""
        rows = self._query(
            f"SELECT connection_id, statement_time, site FROM {meta.DDL_INTENT} ORDER BY started_us DESC LIMIT {_INTENTS_MAX}",
            missing_ok=True,
        )
        return [(int(a), int(b), str(c)) for a, b, c in reversed(rows)]

    def local_position(self, reads: StreamId) -> str | None:
        """From where that stream's applier must read this server's binlog; None where it never did."""
        query = f"SELECT position FROM {meta.LOCAL_POSITION} WHERE flow=%s AND stream=%s"
        rows = self._query(query, reads.flow, reads.stream, missing_ok=True)
        return str(rows[0][0]) if rows else None

    def save_local_position(self, reads: StreamId, position: str) -> None:
        """Note from where that stream's applier must read."""
        query = f"REPLACE INTO {meta.LOCAL_POSITION} (flow, stream, position) VALUES (%s,%s,%s)"
        self._query(query, reads.flow, reads.stream, position)

    def heartbeat(self, stream_id: str, epoch: int) -> None:
        """Write our row, so that the binlog shows that the origin lives. Raises DatabaseError, SourceError."""
        if not self.writable and time.monotonic() < self._try_again_at:
            return
        try:
            if not self._beat(stream_id, epoch):
                meta.ensure(self._connection)
                self._beat(stream_id, epoch)
            self.writable = True
        except DatabaseError as error:
            cause = error.__cause__
            if isinstance(cause, DatabaseError):
                cause = cause.__cause__
            if not (isinstance(cause, pymysql.MySQLError) and cause.args and cause.args[0] in _READ_ONLY):
                raise
            self.writable = False
            self._try_again_at = time.monotonic() + _READ_ONLY_S

    def _beat(self, stream_id: str, epoch: int) -> bool:
        values = (self._stream.id.flow, self._stream.id.stream, stream_id, epoch, now_us())
        query = f"REPLACE INTO {meta.HEARTBEAT} (flow, stream, stream_id, epoch, time_us) VALUES (%s,%s,%s,%s,%s)"
        try:
            self._query(query, *values)
        except _Missing:
            return False
        return True

    def _facts(self) -> ServerFacts:
        ((version, lower),) = self._query("SELECT @@version, @@lower_case_table_names")
        flavor = FLAVOR_MARIADB if "mariadb" in str(version).lower() else FLAVOR_MYSQL
        numbers = [int(n) for n in re.findall(r"\d+", str(version))[:3]]
        return ServerFacts(flavor, numbers[0] * 10_000 + numbers[1] * 100 + numbers[2], bool(int(lower)))

    def _wrong(self, what: str, remedy: str) -> SourceError:
        return SourceError(what, where=self._where, remedy=f"{remedy}; then `replicator resume`")

    def _query(self, query: str, *values: Any, missing_ok: bool = False) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                timeouts = {"connect_timeout": 5, "read_timeout": 30, "write_timeout": 30}
                self._connection = pymysql.connect(
                    **{**timeouts, **self._stream.origin.database.connect_args()},
                    charset="utf8mb4",
                    autocommit=True,
                )
            with self._connection.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall())
        except (pymysql.MySQLError, OSError) as error:
            errno = error.args[0] if error.args else 0
            if errno in meta.NOTHING_YET:
                if missing_ok:
                    return []
                raise _Missing("our tables are not there yet", where=self._where) from error
            self.close()
            raise DatabaseError(
                f"the database: {error.args[-1] if error.args else error}",
                where=self._where,
                remedy="check that it runs, and the user's grants (`replicator check`)",
            ) from error


class _Missing(DatabaseError):
    """One of our tables does not exist."""
