"""What a server logged, straight from its binlog file: table maps and rows events, raw."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dev import DatabaseServer

TABLE_MAP = 19
ROWS = {23, 24, 25, 30, 31, 32, 39}


@dataclass(frozen=True)
class Logged:
    """One rows event: its type, the body of its table map (behind table id and flags) and its payload."""

    kind: int
    table_map: bytes
    payload: bytes


def binlog_end(server: DatabaseServer) -> tuple[str, int]:
    """File and byte at which the next event will be written."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS" if server.version >= "9" else "SHOW MASTER STATUS")
        row: Any = cursor.fetchone()
    return str(row[0]), int(row[1])


def logged(server: DatabaseServer, start: tuple[str, int]) -> Iterator[Logged]:
    """Every rows event since ``start``, all in one file."""
    file, at = start
    data = (server.dir / "data" / file).read_bytes()
    checksum = data[4 + int.from_bytes(data[13:17], "little") - 5]
    maps: dict[bytes, bytes] = {}
    while at < len(data):
        size = int.from_bytes(data[at + 9 : at + 13], "little")
        event = data[at : at + size]
        at += size
        if checksum:
            assert zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")
            event = event[:-4]
        if event[4] == TABLE_MAP:
            maps[event[19:25]] = event[27:]
        elif event[4] in ROWS:
            yield Logged(event[4], maps[event[19:25]], event[19:])


SESSION = (
    "SET NAMES binary, time_zone='+00:00', "
    "sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"
)


class Session:
    """A session as the applier has it; statements are bytes, results the text protocol's."""

    def __init__(self, server: DatabaseServer, *, lenient: bool = False) -> None:
        self._connection = server.connect(charset="latin1", autocommit=True, use_unicode=False)
        self._connection.decoders = {}
        self.run(SESSION)
        if lenient:
            self.run("SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")

    def run(self, statement: str | bytes) -> list[tuple[bytes | None, ...]]:
        """Run one statement; returns its rows as the text protocol has them."""
        self._connection.query(statement.encode() if isinstance(statement, str) else statement)
        rows: Any = self._connection._result.rows
        return list(rows or ())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
