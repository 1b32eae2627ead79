"""Rows as the servers log them: decoded, written again from their literals, and compared by SQL."""

from __future__ import annotations

from typing import Any

import pytest
from row_origin import Session, binlog_end, logged

from dev import DatabaseServer
from replicator.model import quote_name
from replicator.row.convert import literal_of_text, literal_of_value, text_of_value, value_of_text
from replicator.row.decode import decoder
from replicator.row.select import select_expr
from replicator.row.tablemap import parse_table_map
from replicator.row.types import TableMap

pytestmark = pytest.mark.servers


class Origin:
    """A table `row_test.origin` whose rows are written by SQL, and decoded from the binlog."""

    def __init__(self, server: DatabaseServer, columns: str, options: str = "") -> None:
        self.server = server
        self.session = Session(server)
        for statement in (
            "DROP DATABASE IF EXISTS row_test",
            "CREATE DATABASE row_test CHARACTER SET utf8mb4",
            "USE row_test",
            f"CREATE TABLE origin (id INT PRIMARY KEY AUTO_INCREMENT, {columns}) {options}",
        ):
            self.session.run(statement)
        self._start = binlog_end(server)

    def rows(self, mode: Any) -> tuple[TableMap, list[tuple[Any, ...]]]:
        """All rows inserted since the start, in one form."""
        table_map, images = None, []
        for event in logged(self.server, self._start):
            table_map = parse_table_map(event.table_map, self.server.flavor)
            images += [after for _, after in decoder(table_map, before=mode, after=mode)(event.kind, event.payload)]
        assert table_map is not None
        return table_map, images


def check(origin: Origin) -> None:
    """Every row arrives the same in a second table, by literals and by literals made of texts and values."""
    session = origin.session
    table_map, literals = origin.rows("literal")
    _, texts = origin.rows("text")
    _, values = origin.rows("value")
    columns = table_map.columns
    expressions = ", ".join(select_expr(c, quote_name(c.name)) for c in columns)
    assert session.run(f"SELECT {expressions} FROM origin ORDER BY id") == texts
    assert [tuple(map(value_of_text, columns, row)) for row in texts] == values
    assert [tuple(map(text_of_value, columns, row)) for row in values] == texts
    names = ", ".join(quote_name(c.name) for c in columns)
    hexes = ", ".join(f"HEX({quote_name(c.name)})" for c in columns)
    for made in (
        literals,
        [tuple(map(literal_of_text, columns, row)) for row in texts],
        [tuple(map(literal_of_value, columns, row)) for row in values],
    ):
        session.run("DROP TABLE IF EXISTS copy")
        session.run("CREATE TABLE copy LIKE origin")
        for row in made:
            session.run(b"INSERT INTO copy (%b) VALUES (%b)" % (names.encode(), b",".join(row)))
        assert session.run(f"SELECT {hexes} FROM copy ORDER BY id") == session.run(f"SELECT {hexes} FROM origin ORDER BY id")
        assert session.run(f"SELECT {expressions} FROM copy ORDER BY id") == texts


def test_integers(server: DatabaseServer) -> None:
    """Every integer type at its limits, signed and unsigned, with and without ZEROFILL."""
    types = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
    columns = [f"s{bits} {name}, u{bits} {name} UNSIGNED, z{bits} {name} ZEROFILL" for name, bits in types.items()]
    origin = Origin(server, ", ".join(columns) + ", b BOOL, n INT NOT NULL")
    for low in (True, False):
        numbers = []
        for bits in types.values():
            numbers += [-(1 << bits - 1), 0, 0] if low else [(1 << bits - 1) - 1, (1 << bits) - 1, (1 << bits) - 1]
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {', '.join(map(str, numbers))}, {low}, -1)")
    origin.session.run("INSERT INTO origin (n) VALUES (5), (-7)")
    check(origin)


DECIMALS = [(1, 0), (5, 5), (9, 0), (10, 2), (18, 9), (20, 1), (30, 30), (65, 0), (65, 30)]


@pytest.mark.parametrize(("precision", "decimals"), DECIMALS)
def test_decimals(server: DatabaseServer, precision: int, decimals: int) -> None:
    """DECIMAL at its limits, with few and many digits on both sides of the point."""
    origin = Origin(server, f"d DECIMAL({precision},{decimals}), u DECIMAL({precision},{decimals}) UNSIGNED ZEROFILL")
    digits = "9" * precision
    numbers = {"0", "1" if precision > decimals else "0.1", digits[decimals:] + "." + digits[:decimals]}
    numbers |= {f"{'1' if precision > decimals else '0'}.{'0' * (decimals - 1)}{'7' if decimals else ''}"}
    for number in sorted(numbers):
        number = number.rstrip(".") or "0"
        origin.session.run(f"INSERT INTO origin VALUES (NULL, -{number}, {number}), (NULL, {number}, {number})")
    origin.session.run("INSERT INTO origin VALUES (NULL, NULL, NULL)")
    check(origin)


def test_bits(server: DatabaseServer) -> None:
    """BIT of every width, all zeros and all ones."""
    origin = Origin(server, ", ".join(f"b{n} BIT({n})" for n in range(1, 65)))
    for full in (0, 1):
        numbers = ", ".join(str((1 << n) - 1 if full else n & 1) for n in range(1, 65))
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {numbers})")
    check(origin)


def test_strings(server: DatabaseServer) -> None:
    """Quotes, backslashes, zero bytes and blanks at either end; padding of BINARY; values longer than one length byte."""
    origin = Origin(
        server,
        "c CHAR(20), v VARCHAR(20), w VARCHAR(3000), t TINYTEXT, m MEDIUMTEXT, b BINARY(9), b2 BINARY(255),"
        " vb VARBINARY(20), tb TINYBLOB, bb BLOB, lb LONGBLOB",
    )
    texts = (b"", b"a", b"  a b ", b"it's", b"back\\slash\\", b"\\'", b"nul\0in", b"\0\0", b"\x1a\n\r", b"%d", "😀".encode())
    for text in texts:
        literal = b"x'%b'" % text.hex().encode()
        padded = b"x'%b'" % text[:9].hex().encode()
        parts = [literal] * 2 + [b"REPEAT(%b, 100)" % literal] + [literal] * 2 + [padded, padded] + [literal] * 4
        origin.session.run(b"INSERT INTO origin VALUES (NULL, %b)" % b", ".join(parts))
    origin.session.run("INSERT INTO origin (id) VALUES (NULL)")
    check(origin)
