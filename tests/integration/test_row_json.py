"""JSON of MySQL: every node keeps its value and its JSON_TYPE, also through partial updates."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from row_origin import Origin, binlog_end, check, logged

from dev import DatabaseServer
from replicator.errors import DecodeError
from replicator.row.convert import quoted
from replicator.row.decode import decoder
from replicator.row.jsonbinary import Opaque, parse
from replicator.row.jsontext import json_literal, json_text
from replicator.row.tablemap import parse_table_map
from replicator.row.types import Type
from tests.harness import Farm

pytestmark = pytest.mark.servers

TYPED_COLUMNS = (
    "ts TIMESTAMP(3) NULL, bt BIT(9), b64 BIT(64), tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB, bn BINARY(3),"
    " vb VARBINARY(9), t TIME(6), d DECIMAL(10,3), w DECIMAL(65,30), y YEAR, e ENUM('a','b'), dt DATETIME(2), da DATE"
)
TYPED_ROWS = [
    "'2020-01-02 03:04:05.678', 5, ~0, x'00ff', x'0102', x'', x'27', x'0100', x'5c', '-31:00:01.000001', -1.5, 1e34, 0, 'b',"
    " '2024-02-31 01:02:03.45', '2024-00-10'",
    "'0000-00-00', 0, 0, REPEAT('t', 255), REPEAT('b', 300), REPEAT('m', 3), REPEAT('l', 100000), x'', x'00', '838:59:59',"
    " 0.001, -0.000000000000000000000000000001, 2155, 'a', '0000-00-00', '0000-00-00'",
    "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '33:01:02.5', NULL, NULL, NULL, NULL, '9999-12-31', '2024-02-31'",
]
SCALARS = [
    "NULL", "TRUE", "FALSE", "0", "-1", "65535", "65536", "-32769", "9223372036854775807", "-9223372036854775808",
    "9223372036854775808", "18446744073709551615", "CAST(0 AS UNSIGNED)", "CAST(70000 AS UNSIGNED)", "0e0", "-0e0", "1e0",
    "1.5e0", "1e15", "1e100", "-1e-300", "5e-324", "1234567890123456.5e0", "10928588.983213553e0", "0.1e0", "123456789012345e0",
    "CAST(123456789012345678901234567890.123456789 AS DECIMAL(65,30))", "1.50", "-0.000",
    "12345678901234567890123456789012345.123456789012345678901234567890", "CAST('0000-00-00' AS DATE)",
    "CAST('23:59:59.999999' AS TIME(6))", "CAST('9999-12-31 23:59:59.999999' AS DATETIME(6))", "x''", "x'275c00ff'",
    "_utf8mb4''", "_utf8mb4'it''s \\\\ \\\" \\n \\0 \\Z \\b \\t /\x7f 😀'",
]  # fmt: skip
DOCUMENTS = [
    "[]", "{}", "[[[]], {}, [{}]]", '{"": 1, "a b": {"$.x": [1.5, null]}, "k\\"\\\\\'": "v", "ü": true, "line\\nbreak": 0}',
    "[" * 100 + "]" * 100, '{"zz": 1, "a": 2, "b": 3, "aa": 4, "B": 5}', "[123456789012345678901234567890]",
]  # fmt: skip


@pytest.fixture
def mysql(server: DatabaseServer) -> DatabaseServer:
    """The MySQL server; MariaDB's JSON is text."""
    if server.flavor != "mysql":
        pytest.skip("MariaDB's JSON is text")
    return server


def documents(origin: Origin, table: str) -> dict[int, Any]:
    """The trees logged for ``table``, by id, with the type of each node."""
    found: dict[int, Any] = {}
    for event in logged(origin.server, origin.start):
        table_map = parse_table_map(event.table_map, "mysql")
        if table_map.table != table:
            continue
        payload, at = event.payload, 12
        while at < len(payload):
            null, number = payload[at] & 2, int.from_bytes(payload[at + 1 : at + 5], "little")
            at += 5
            if null:
                found[number] = "NULL"
                continue
            size = int.from_bytes(payload[at : at + 4], "little")
            found[number] = typed(parse(payload[at + 4 : at + 4 + size]))
            at += 4 + size
    return found


def typed(node: Any) -> Any:
    """A tree whose equality tells types; a decimal's number of spare digits is none of a value."""
    if isinstance(node, dict):
        return [(key, typed(item)) for key, item in node.items()]
    if isinstance(node, list):
        return [typed(item) for item in node]
    if isinstance(node, Opaque) and node.kind == Type.DECIMAL:
        return ("DECIMAL", json_text(b"\x0f\xf6" + bytes([len(node.data)]) + node.data))
    return (type(node).__name__, repr(node))


def prove(origin: Origin) -> None:
    """The copies have equal text, and equal trees with equal types."""
    original = documents(origin, "origin")
    check(origin, types_in_text=False)
    assert documents(origin, "copy") == original


def test_scalars(mysql: DatabaseServer) -> None:
    """Every scalar, at the root and inside: numbers of each kind, decimals, dates, bytes, strings that need escapes."""
    origin = Origin(mysql, "j JSON")
    for scalar in SCALARS:
        origin.session.run(f"INSERT INTO origin SELECT NULL, JSON_EXTRACT(JSON_ARRAY({scalar}), _utf8mb4'$[0]')")
        origin.session.run(f"INSERT INTO origin VALUES (NULL, JSON_OBJECT(_utf8mb4'k y', JSON_ARRAY(1, {scalar})))")
    origin.session.run("INSERT INTO origin VALUES (NULL, NULL), (NULL, _utf8mb4'null')")
    prove(origin)


def test_values_of_every_column_type(mysql: DatabaseServer) -> None:
    """What JSON makes of columns of other types: opaque values with their type, TIME beyond a day, TIMESTAMP, BIT."""
    origin = Origin(mysql, "j JSON")
    session = origin.session
    session.run(f"CREATE TABLE typed ({TYPED_COLUMNS})")
    for row in TYPED_ROWS:
        session.run(f"INSERT INTO typed VALUES ({row})")
    origin.start = binlog_end(mysql)
    names = ["ts", "bt", "b64", "tb", "bl", "mb", "lb", "bn", "vb", "t", "d", "w", "y", "e", "dt", "da"]
    session.run(f"INSERT INTO origin SELECT NULL, JSON_ARRAY({', '.join(names)}) FROM typed")
    for name in names:
        session.run(f"INSERT INTO origin SELECT NULL, JSON_EXTRACT(JSON_ARRAY({name}), _utf8mb4'$[0]') FROM typed")
    prove(origin)


def test_documents(mysql: DatabaseServer) -> None:
    """Nesting, odd keys, key order, and documents larger than 64 KiB with many members."""
    origin = Origin(mysql, "j JSON")
    for document in DOCUMENTS:
        origin.session.run(b"INSERT INTO origin VALUES (NULL, _utf8mb4%b)" % quoted(document.encode()))
    numbers = "(WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT n FROM r) t"
    for aggregate in (
        "JSON_ARRAYAGG(n)",
        "JSON_ARRAYAGG(n / 7)",
        "JSON_ARRAYAGG(n / 7e0)",
        "JSON_OBJECTAGG(CONCAT(_utf8mb4'key', n), REPEAT(_utf8mb4'x', n))",
        "JSON_OBJECTAGG(n, CAST(n AS UNSIGNED))",
    ):
        origin.session.run(f"INSERT INTO origin SELECT NULL, {aggregate} FROM {numbers}")
    prove(origin)


def test_random_doubles(mysql: DatabaseServer) -> None:
    """No double changes by a bit, though the server's JSON parser rounds many of them wrongly."""
    origin = Origin(mysql, "j JSON")
    source = random.Random(7)
    doubles = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(500)]
    doubles += [round(source.uniform(-1e6, 1e6), source.randrange(12)) for _ in range(500)]
    doubles += [source.randrange(1 << 62) / 10 ** source.randrange(22) for _ in range(500)]
    items = ", ".join(f"{number!r}{'' if 'e' in repr(number) else 'e0'}" for number in doubles if number - number == 0)
    origin.session.run(f"INSERT INTO origin VALUES (NULL, JSON_ARRAY({items}))")
    prove(origin)


UPDATES = [
    "j = JSON_SET(j, _utf8mb4'$.c', 2.5, _utf8mb4'$.a[0]', CAST(7 AS UNSIGNED))",
    "j = JSON_SET(j, _utf8mb4'$.new', JSON_OBJECT(_utf8mb4'z', 1)),"
    " k = JSON_REMOVE(JSON_SET(k, _utf8mb4'$[0]', 9), _utf8mb4'$[1]')",
    'j = JSON_SET(j, _utf8mb4\'$."b c\\\\"\\\\\\\\\\\\n"\', 1, _utf8mb4\'$.""\', 2,'
    " _utf8mb4'$.\"ü.x\"', CURDATE(), _utf8mb4'$.ü', 1.5)",
    "j = JSON_ARRAY_INSERT(j, _utf8mb4'$.a[1]', _utf8mb4'in'), k = JSON_ARRAY_APPEND(k, _utf8mb4'$', 5), n = 'y'",
    "j = JSON_REMOVE(j, _utf8mb4'$.a[0]', _utf8mb4'$.a[0]', _utf8mb4'$.new', _utf8mb4'$.\"\"')",
    "j = JSON_REPLACE(j, _utf8mb4'$.a[2].\"long key\"', _utf8mb4'short', _utf8mb4'$.c', JSON_ARRAY(1, 2))",
    "n = 'z'",
    "r = JSON_SET(r, _utf8mb4'$.x', 1e300, _utf8mb4'$.deep.er[3].still', x'00')",
    "j = NULL, k = JSON_SET(k, _utf8mb4'$[0]', 9)",
    "j = JSON_OBJECT(_utf8mb4'whole', 1)",
]


def changes(server: DatabaseServer, start: tuple[str, int], mode: Any) -> Iterator[tuple[int, Any, Any]]:
    """Event type and images of every row change."""
    for event in logged(server, start):
        decode = decoder(parse_table_map(event.table_map, "mysql"), before=mode, after=mode)
        for before, after in decode(event.kind, event.payload):
            yield event.kind, before, after


def test_partial_updates(mysql: DatabaseServer) -> None:
    """Documents after many differences a column are as the table has them; so are literals made of them."""
    pad = "q" * 600
    origin = Origin(
        mysql, "n VARCHAR(10), j JSON, k JSON, v JSON AS (JSON_EXTRACT(j, _utf8mb4'$.a')) VIRTUAL, r JSON NOT NULL, f JSON"
    )
    session = origin.session
    session.run(
        "INSERT INTO origin (n, j, k, r) VALUES ('x',"
        ' _utf8mb4\'{"a": [1, 2, 3, {"long key": "%s"}], "bb": "%s", "c": 1.5}\','
        ' _utf8mb4\'[1, 2, 3, "%s"]\', _utf8mb4\'{"x": 1, "deep": {"er": [1, 2, 3, {"still": "%s"}]}}\'),'
        " ('y', NULL, NULL, _utf8mb4'{}')" % ((pad,) * 4)
    )
    session.run("SET binlog_row_value_options = PARTIAL_JSON")
    kinds = set()
    for update in UPDATES:
        start = binlog_end(mysql)
        session.run(f"UPDATE origin SET {update}")
        wanted = session.run("SELECT * FROM origin ORDER BY id")
        table = {row[0]: row for row in wanted}
        for kind, before, after in changes(mysql, start, "text"):
            kinds.add(kind)
            assert before[0] == after[0] and after == table[after[0]]
        session.run("CREATE TABLE copy LIKE origin")
        for _, _, after in changes(mysql, start, "literal"):
            session.run(b"INSERT INTO copy (id, n, j, k, r, f) VALUES (%b)" % b", ".join(after[:4] + after[5:]))
        made = session.run("SELECT * FROM copy ORDER BY id")
        assert made == [table[row[0]] for row in made]
        types = "SELECT id, JSON_TYPE(JSON_EXTRACT({0}, _utf8mb4'$.{1}')) FROM {2} WHERE id IN (SELECT id FROM copy) ORDER BY id"
        for column, path in (("j", "a[0]"), ("j", "c"), ("j", '"ü.x"'), ("r", "deep.er[3].still"), ("r", "x")):
            assert session.run(types.format(column, path, "copy")) == session.run(types.format(column, path, "origin"))
        session.run("DROP TABLE copy")
    assert 39 in kinds


def test_an_unknown_opaque_type_is_refused() -> None:
    """A value of an SQL type that no expression makes stops the flow; it is not written as something else."""
    with pytest.raises(DecodeError, match="SQL type 242"):
        json_literal(b"\x0f\xf2\x01a")


def test_json_between_mysql_and_mariadb(farm: Farm) -> None:
    """MySQL's documents arrive as their text in MariaDB's JSON columns, and come back as documents."""
    here = Origin(farm.database("mysql"), "j JSON")
    for scalar in ("JSON_ARRAY(1.5e0, CURDATE(), 'x')", "JSON_OBJECT(_utf8mb4'it''s \\\\', _utf8mb4'\\n😀')", "NULL"):
        here.session.run(f"INSERT INTO origin VALUES (NULL, {scalar})")
    back = Origin(farm.database("mariadb"), "j JSON")
    for event in logged(here.server, here.start):
        table_map = parse_table_map(event.table_map, "mysql").for_target({"id": "int", "j": "longtext"})
        for _, row in decoder(table_map, before="literal", after="literal")(event.kind, event.payload):
            back.session.run(b"INSERT INTO origin VALUES (%b)" % b", ".join(row))
    documents = here.session.run("SELECT j FROM origin ORDER BY id")
    assert back.session.run("SELECT j FROM origin ORDER BY id") == documents
    here.session.run("CREATE TABLE copy LIKE origin")
    for event in logged(back.server, back.start):
        table_map = parse_table_map(event.table_map, "mariadb").for_target({"id": "int", "j": "json"})
        for _, row in decoder(table_map, before="literal", after="literal")(event.kind, event.payload):
            here.session.run(b"INSERT INTO copy VALUES (%b)" % b", ".join(row))
    assert here.session.run("SELECT j FROM copy ORDER BY id") == documents
