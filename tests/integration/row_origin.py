"""What a server logged, straight from its binlog file, and the proof that decoding and writing it again changes nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dev import DatabaseServer
from replicator.model import quote_name
from replicator.row.convert import literal_of_text, literal_of_value, needs_lenient, text_of_value, value_of_text
from replicator.row.decode import decoder
from replicator.row.select import select_expr
from replicator.row.tablemap import parse_table_map
from replicator.row.types import TableMap

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
        self.server = server
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


class Origin:
    """A table `row_test.origin` whose rows are written by SQL, and decoded from the binlog."""

    def __init__(self, server: DatabaseServer, columns: str, options: str = "") -> None:
        self.server = server
        self.session = Session(server)
        for statement in (
            "DROP DATABASE IF EXISTS row_test",
            "CREATE DATABASE row_test CHARACTER SET utf8mb4",
            "USE row_test",
            "SET NAMES utf8mb4",  # for what the definition says
            f"CREATE TABLE origin (id INT PRIMARY KEY AUTO_INCREMENT, {columns}) {options}",
            "SET NAMES binary",
        ):
            self.session.run(statement)
        self.start = binlog_end(server)

    def rows(self, mode: Any, table: str = "origin") -> tuple[TableMap, list[tuple[Any, ...]]]:
        """All rows inserted into ``table`` since ``start``, in one form."""
        table_map, images = None, []
        for event in logged(self.server, self.start):
            parsed = parse_table_map(event.table_map, self.server.flavor)
            if parsed.table != table:
                continue
            table_map = parsed
            images += [after for _, after in decoder(table_map, before=mode, after=mode)(event.kind, event.payload)]
        assert table_map is not None
        return table_map, images


def check(origin: Origin, *, generated: tuple[str, ...] = (), types_in_text: bool = True) -> None:
    """Every row arrives the same in a second table, by literals and by literals made of texts and values.

    ``generated`` columns are left out when writing. ``types_in_text`` is false where a text does not tell all (JSON).
    """
    session, lenient = origin.session, Session(origin.server, lenient=True)
    lenient.run("USE row_test")
    table_map, literals = origin.rows("literal")
    _, texts = origin.rows("text")
    _, values = origin.rows("value")
    columns = table_map.columns
    expressions = ", ".join(select_expr(c, quote_name(c.name)) for c in columns)
    assert session.run(f"SELECT {expressions} FROM origin ORDER BY id") == texts
    assert repr([tuple(map(value_of_text, columns, row)) for row in texts]) == repr(values)  # repr tells -0.0 from 0.0
    assert [tuple(map(text_of_value, columns, row)) for row in values] == texts
    written = [i for i, column in enumerate(columns) if column.name not in generated]
    names = ", ".join(quote_name(columns[i].name) for i in written)
    hexes = ", ".join(f"HEX({quote_name(c.name)})" for c in columns)
    forms = [literals]
    if types_in_text:
        forms.append([tuple(map(literal_of_text, columns, row)) for row in texts])
        forms.append([tuple(map(literal_of_value, columns, row)) for row in values])
    for made in forms:
        session.run("DROP TABLE IF EXISTS copy")
        session.run("CREATE TABLE copy LIKE origin")
        origin.start = binlog_end(origin.server)
        for row in made:
            writer = lenient if any(map(needs_lenient, columns, row)) else session
            writer.run(b"INSERT INTO copy (%b) VALUES (%b)" % (names.encode(), b", ".join([row[i] for i in written])))
        assert session.run(f"SELECT {hexes} FROM copy ORDER BY id") == session.run(f"SELECT {hexes} FROM origin ORDER BY id")
        assert session.run(f"SELECT {expressions} FROM copy ORDER BY id") == texts
        assert origin.rows("text", "copy")[1] == texts
    lenient.close()
