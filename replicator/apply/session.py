"""One connection to the target, speaking raw SQL bytes; several statements go in one packet.

pymysql connects and authenticates. Sending and reading results is ours: row values must not be decoded into Python objects
just to be compared, and a batch is one round trip. Result rows stay raw packets (``text_row`` takes one apart).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from ..errors import ApplyError, DatabaseError

__all__ = ["RESET", "STRICT", "Outcome", "ServerError", "Session", "pack_text_row", "text_row"]

_RECEIVE_BYTES = 1 << 18
_MAX_PACKET = 0xFFFFFF
_MORE_RESULTS = 0x0008
_COM_QUERY = b"\x03"

SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
"""Strict, so that nothing is cut silently; yet every value that an origin holds, zero dates too, may be written."""
STRICT = f"SET sql_mode='{SQL_MODE}'".encode()
RESET = f"SET foreign_key_checks=1/*M!, check_constraint_checks=1*/, sql_mode='{SQL_MODE}'".encode()
"""Behind a ROLLBACK: what failed before it may have left the session as a part of it had to be written."""


class ServerError(DatabaseError):
    """An error of the server for one statement of a packet; ``index`` counts the statements before it."""

    def __init__(self, errno: int, message: str, index: int, where: str) -> None:
        super().__init__(f"{message} (error {errno})", where=where)
        self.errno = errno
        self.message = message
        self.index = index


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one statement did: rows affected (changed rows, not found rows), or the raw rows of its result."""

    affected: int
    rows: list[bytes] | None = None


class Session:
    """A connection in applier's settings; not thread-safe. ``settings`` are pymysql's."""

    def __init__(self, settings: Mapping[str, Any], *, site: str, lock_wait_s: int = 50) -> None:
        self._where = f"site {site}, {settings.get('host') or settings.get('unix_socket')}:{settings.get('port', '')}"
        try:
            connection: Any = pymysql.connect(
                **{"connect_timeout": 10, **settings},
                charset="utf8mb4",
                autocommit=True,
                client_flag=CLIENT.MULTI_STATEMENTS,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise DatabaseError(
                f"cannot connect: {_secretless(error)}", where=self._where, remedy="check that the database runs, and the grants"
            ) from error
        self._connection = connection
        self._sock = connection._sock
        self._sock.settimeout(None)
        if isinstance(self._sock, socket.socket) and self._sock.family != socket.AF_UNIX:
            # A peer that vanished shows within a minute, while a statement may take as long as it needs.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
                self._sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._held = bytearray()
        self._at = 0
        self.max_packet = 0
        self.server_version = str(connection.get_server_info())
        self.mariadb = "mariadb" in self.server_version.lower()
        self.connection_id = int(connection.thread_id())
        self.run(
            f"SET NAMES binary, time_zone='+00:00', sql_mode='{SQL_MODE}', autocommit=0, "
            f"innodb_lock_wait_timeout={lock_wait_s}, wait_timeout=31536000, @replicator_applying=1;"
            f"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".encode()
        )
        ((packet,),) = [o.rows or [] for o in self.run(b"SELECT @@max_allowed_packet") if o.rows is not None]
        self.max_packet = int(text_row(packet)[0] or 0)
        self._refuse_statement_format()

    def __repr__(self) -> str:
        return f"<Session {self.connection_id} {self._where}>"

    def _refuse_statement_format(self) -> None:
        """The server would refuse every row that is written at this isolation level, each time anew (error 1665)."""
        names = b"SHOW SESSION VARIABLES WHERE Variable_name IN ('binlog_format', 'log_bin')"
        rows = [tuple(text_row(row)) for outcome in self.run(names) for row in outcome.rows or ()]
        if (b"log_bin", b"ON") in rows and (b"binlog_format", b"STATEMENT") in rows:
            self.close()
            raise ApplyError(
                "binlog_format is STATEMENT at the target: rows cannot be written so",
                where=self._where,
                remedy="SET GLOBAL binlog_format=ROW at the target, and binlog_format=ROW in my.cnf; then `replicator resume`",
            )

    def run(self, sql: bytes) -> list[Outcome]:
        """Send ``sql``, one or more statements, and read all of their outcomes.

        Raises ServerError where one failed (those behind it did not run), DatabaseError where the connection broke.
        """
        self.send(sql)
        return self.receive()

    def send(self, sql: bytes) -> None:
        """Send without waiting; ``receive`` must follow before anything else.

        Raises ApplyError where the server would not take it: it would only close the connection, each time anew.
        """
        body = _COM_QUERY + sql
        if self.max_packet and len(body) > self.max_packet:
            raise ApplyError(
                f"{len(sql)} bytes are to be written at once, and the target takes {self.max_packet}",
                where=self._where,
                remedy="raise max_allowed_packet at the target (a held change takes more than twice its row's images), "
                "then `replicator resume`",
            )
        parts, sequence = [], 0
        for at in range(0, len(body) + 1, _MAX_PACKET):
            piece = body[at : at + _MAX_PACKET]
            parts.append(struct.pack("<I", len(piece) | sequence << 24))
            parts.append(piece)
            sequence = (sequence + 1) & 0xFF
        try:
            self._sock.sendall(b"".join(parts))
        except OSError as error:
            raise self._broken(error) from error

    def receive(self) -> list[Outcome]:
        """The outcomes of what was sent."""
        outcomes: list[Outcome] = []
        more = True
        while more:
            packet = self._packet()
            first = packet[0]
            if first == 0x00:
                affected, at = _lenenc(packet, 1)
                _, at = _lenenc(packet, at)
                more = bool(struct.unpack_from("<H", packet, at)[0] & _MORE_RESULTS)
                outcomes.append(Outcome(affected))
            elif first == 0xFF:
                raise self._error(packet, len(outcomes))
            else:
                rows, status = self._result_rows(_lenenc(packet, 0)[0], len(outcomes))
                more = bool(status & _MORE_RESULTS)
                outcomes.append(Outcome(len(rows), rows))
        return outcomes

    def close(self) -> None:
        """Close at once, whatever it does; safe to call twice and from another thread."""
        self._connection._force_close()

    def _result_rows(self, columns: int, index: int) -> tuple[list[bytes], int]:
        for _ in range(columns + 1):  # the column descriptions and the EOF behind them
            self._packet()
        rows: list[bytes] = []
        while True:
            packet = self._packet()
            if packet[0] == 0xFE and len(packet) < 9:
                return rows, struct.unpack_from("<H", packet, 3)[0]
            if packet[0] == 0xFF:
                raise self._error(packet, index)
            rows.append(packet)

    def _packet(self) -> bytes:
        payload = self._piece()
        if len(payload) < _MAX_PACKET:
            return payload
        pieces = [payload]
        while len(pieces[-1]) == _MAX_PACKET:
            pieces.append(self._piece())
        return b"".join(pieces)

    def _piece(self) -> bytes:
        held, at = self._held, self._at
        while True:
            have = len(held) - at
            if have >= 4:
                length = held[at] | held[at + 1] << 8 | held[at + 2] << 16
                if have >= 4 + length:
                    self._at = at + 4 + length
                    return bytes(held[at + 4 : at + 4 + length])
            if at:
                del held[:at]
                at = self._at = 0
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except OSError as error:
                raise self._broken(error) from error
            if not data:
                raise self._broken(None)
            held += data

    def _error(self, packet: bytes, index: int) -> ServerError:
        (errno,) = struct.unpack_from("<H", packet, 1)
        message = packet[9 if packet[3:4] == b"#" else 3 :].decode("utf-8", "replace")
        return ServerError(errno, message, index, self._where)

    def _broken(self, error: OSError | None) -> DatabaseError:
        self.close()
        return DatabaseError(
            f"the connection to the target broke: {error or 'closed by the server'}",
            where=self._where,
            remedy="the applier tries again by itself; check that the database runs",
        )


def text_row(packet: bytes) -> list[bytes | None]:
    """The columns of a raw result row."""
    values: list[bytes | None] = []
    at, end = 0, len(packet)
    while at < end:
        first = packet[at]
        if first < 0xFB:
            at += 1
            values.append(packet[at : at + first])
            at += first
        elif first == 0xFB:
            values.append(None)
            at += 1
        else:
            length, at = _lenenc(packet, at)
            values.append(packet[at : at + length])
            at += length
    return values


def _lenenc(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def pack_text_row(values: Sequence[bytes | None]) -> bytes:
    """The raw result row that the server sends for these columns."""
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(b"\xfb")
            continue
        length = len(value)
        if length < 0xFB:
            parts.append(b"%c" % length)
        elif length < 1 << 16:
            parts.append(b"\xfc" + length.to_bytes(2, "little"))
        elif length < 1 << 24:
            parts.append(b"\xfd" + length.to_bytes(3, "little"))
        else:
            parts.append(b"\xfe" + length.to_bytes(8, "little"))
        parts.append(value)
    return b"".join(parts)


def _secretless(error: BaseException) -> str:
    return str(error.args[1]) if len(error.args) > 1 else type(error).__name__
