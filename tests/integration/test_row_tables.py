"""Spatial and MariaDB's own types, odd tables, and what must be refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from row_origin import Origin, Session, binlog_end, check, logged

from dev import DatabaseServer
from replicator.errors import DecodeError
from replicator.row.compressed import PLAIN_KIND, uncompress_query, uncompress_rows
from replicator.row.decode import decoder, rows_flags
from replicator.row.tablemap import parse_table_map

pytestmark = pytest.mark.servers

SHAPES = [
    "POINT(1 -2.5)", "LINESTRING(0 0, 1 1, 2 0.1)", "POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
    "MULTIPOINT(1 1, 2 2)", "MULTILINESTRING((0 0, 1 1), (2 2, 3 3))", "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))",
    "GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))",
]  # fmt: skip


def test_spatial(server: DatabaseServer) -> None:
    """Every spatial type with its SRID, in columns of GEOMETRY and of its own type."""
    names = [shape.split("(")[0] for shape in SHAPES]
    origin = Origin(server, ", ".join(f"g{i} GEOMETRY, s{i} {name}" for i, name in enumerate(names)))
    for srid in (0, 4326, 3857):
        shapes = [f"ST_GEOMFROMTEXT(_utf8mb4'{shape}', {srid})" for shape in SHAPES]
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {', '.join(f'{shape}, {shape}' for shape in shapes)})")
    origin.session.run("INSERT INTO origin (id) VALUES (NULL)")
    assert [c.geometry for c in origin.rows("literal")[0].columns[2::2]] == [1, 2, 3, 4, 5, 6, 7]
    check(origin)


def test_spatial_with_fixed_srid(server: DatabaseServer) -> None:
    """A column that admits one SRID only, with a spatial index (MySQL)."""
    if server.flavor == "mariadb":
        pytest.skip("MariaDB's columns admit any SRID")
    origin = Origin(server, "g POINT NOT NULL SRID 4326, SPATIAL KEY (g)")
    origin.session.run("INSERT INTO origin VALUES (NULL, ST_GEOMFROMTEXT(_utf8mb4'POINT(47.5 -120)', 4326))")
    check(origin)


def test_mariadb_addresses_and_uuids(server: DatabaseServer) -> None:
    """UUID of every version, INET4 and INET6, with zero bytes at either end."""
    if server.flavor != "mariadb":
        pytest.skip("MariaDB only")
    origin = Origin(server, "u UUID, v UUID NOT NULL, f INET4, s INET6, b BINARY(16), c BINARY(4)")
    for version in "0123456789abcdef":
        uuid = f"_utf8mb4'0191e0a0-0000-{version}677-8899-aabbccddee00'"
        row = f"NULL, {uuid}, {uuid}, _utf8mb4'1.2.0.0', _utf8mb4'ff::{version}:0', x'{version}0', x'0{version}'"
        origin.session.run(f"INSERT INTO origin VALUES ({row})")
    zero = "_utf8mb4'00000000-0000-0000-0000-000000000000'"
    origin.session.run(f"INSERT INTO origin VALUES (NULL, {zero}, {zero}, _utf8mb4'0.0.0.0', _utf8mb4'::', x'', x'')")
    origin.session.run(f"INSERT INTO origin (v) VALUES ({zero}), (UUID())")
    check(origin)


@pytest.mark.parametrize("wrap", ["ON", "OFF"])
@pytest.mark.parametrize("level", [0, 6])
def test_mariadb_compressed_columns(server: DatabaseServer, wrap: str, level: int) -> None:
    """COMPRESSED columns, short and long values, with and without zlib's header."""
    if server.flavor != "mariadb":
        pytest.skip("MariaDB only")
    kinds = ["TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGBLOB", "VARCHAR(200)", "VARBINARY(3000)", "VARCHAR(300) CHARACTER SET utf16"]
    origin = Origin(server, ", ".join(f"c{i} {kind} COMPRESSED" for i, kind in enumerate(kinds)))
    session = origin.session
    session.run(f"SET GLOBAL column_compression_zlib_wrap = {wrap}, GLOBAL column_compression_zlib_level = {level}")
    session.run(f"SET column_compression_zlib_wrap = {wrap}, column_compression_zlib_level = {level}")
    for text, count in (("''", 1), ("'a'", 1), ("'é'", 90), ("'ab\\\\'", 60), ("'x'", 199)):
        long = f"REPEAT({text}, {count * 10})"
        short = f"REPEAT({text}, {count})"
        wide = f"REPEAT(CONVERT(_utf8mb4{text} USING utf16), 50)"
        values = f"{short}, {long}, REPEAT({text}, {count * 400}), {long}, {short}, {long}, {wide}"
        session.run(f"INSERT INTO origin VALUES (NULL, {values})")
    session.run("INSERT INTO origin (id) VALUES (NULL)")
    check(origin)


def test_mariadb_compressed_events(server: DatabaseServer) -> None:
    """Compressed rows events and statements unpack to what the server logs without compression."""
    if server.flavor != "mariadb":
        pytest.skip("MariaDB only")
    payloads: list[list[tuple[int, bytes]]] = []
    for compress in (0, 1):
        origin = Origin(server, "t TEXT, u VARCHAR(300)")
        session = origin.session
        session.run(f"SET GLOBAL log_bin_compress = {compress}, GLOBAL log_bin_compress_min_len = 10")
        session.run("INSERT INTO origin VALUES (NULL, REPEAT('a', 60000), 'b'), (NULL, 'c', NULL)")
        session.run("UPDATE origin SET u = REPEAT('d', 300)")
        session.run("DELETE FROM origin")
        session.run(f"ALTER TABLE origin COMMENT '{'long ' * 50}'")
        session.run("SET GLOBAL log_bin_compress = 0")
        payloads.append(list(raw_events(server, origin.start)))
    plain, packed = payloads
    assert {kind for kind, _ in packed} >= {165, 166, 167, 168}
    unpacked = []
    for kind, payload in packed:
        if kind == 165:
            payload = uncompress_query(payload)
        elif kind in PLAIN_KIND:
            payload = uncompress_rows(payload, kind)
        unpacked.append((PLAIN_KIND.get(kind, kind), payload))
    assert [comparable(*event) for event in unpacked] == [comparable(*event) for event in plain]


def comparable(kind: int, payload: bytes) -> tuple[int, bytes]:
    """What two runs have in common: not the table's id, nor a statement's thread, time and transaction."""
    return kind, payload[payload.index(b"row_test\0") :] if kind == 2 else payload[8:]


def raw_events(server: DatabaseServer, start: tuple[str, int]) -> Iterator[tuple[int, bytes]]:
    """Rows events and statements, compressed or not, with what is behind their headers."""
    at = start[1]
    data = (server.dir / "data" / start[0]).read_bytes()
    while at < len(data):
        size = int.from_bytes(data[at + 9 : at + 13], "little")
        if data[at + 4] in (*PLAIN_KIND, *PLAIN_KIND.values()):
            yield data[at + 4], data[at + 19 : at + size - 4]
        at += size


def test_generated_and_invisible_columns(server: DatabaseServer) -> None:
    """Generated, invisible and default-expression columns are in the image, by name and with their visibility."""
    origin = Origin(
        server,
        "a INT, v INT AS (a + 1) VIRTUAL, s VARCHAR(20) AS (CONCAT(a, 'x')) STORED, i INT INVISIBLE, d INT DEFAULT (a * 2),"
        " KEY (v), KEY (s)",
    )
    origin.session.run("INSERT INTO origin (a, i) VALUES (1, 5), (NULL, NULL)")
    table_map, rows = origin.rows("value")
    if server.flavor == "mysql":  # MariaDB's binlog does not tell
        assert [c.name for c in table_map.columns if not c.visible] == ["i"]
    assert rows[0] == (1, 1, 2, b"1x", 5, 2)
    check(origin, generated=("v", "s"))


def test_functional_indexes_add_no_columns(server: DatabaseServer) -> None:
    """The hidden columns of functional and multi-valued indexes do not show in the image."""
    if server.flavor == "mariadb":
        pytest.skip("MariaDB has no functional indexes")
    keys = "KEY ((a + 1)), KEY ((CAST(j->'$.x' AS UNSIGNED ARRAY))), KEY (n(3) DESC)"
    origin = Origin(server, f"a INT, j JSON, n VARCHAR(20), {keys}")
    origin.session.run("INSERT INTO origin VALUES (NULL, 5, _utf8mb4'{\"x\": [1, 2]}', 'abc')")
    assert [c.name for c in origin.rows("text")[0].columns] == ["id", "a", "j", "n"]
    check(origin)


def test_partitions(server: DatabaseServer) -> None:
    """Rows of partitioned tables, whose events carry extra data on MySQL; also one that moves to another partition."""
    parts = "PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE"
    origin = Origin(server, "n INT", f"PARTITION BY RANGE (id) ({parts})")
    session = origin.session
    session.run("INSERT INTO origin VALUES (1, 1), (20, 2)")
    check(origin)
    start = binlog_end(server)
    session.run("UPDATE origin SET id = id + 9 WHERE id = 1")
    (event,) = logged(server, start)
    decode = decoder(parse_table_map(event.table_map, server.flavor), before="value", after="value")
    assert decode(event.kind, event.payload) == [((1, 1), (10, 1))]


def test_system_versioned_tables(server: DatabaseServer) -> None:
    """MariaDB's row_start and row_end are columns of the image; an update logs the history row as an insert."""
    if server.flavor != "mariadb":
        pytest.skip("MariaDB only")
    origin = Origin(server, "n INT", "WITH SYSTEM VERSIONING")
    session = origin.session
    session.run("INSERT INTO origin VALUES (NULL, 1)")
    session.run("UPDATE origin SET n = 2")
    table_map, rows = origin.rows("text")
    assert [c.name for c in table_map.columns] == ["id", "n", "row_start", "row_end"]
    ends = session.run("SELECT row_end FROM origin FOR SYSTEM_TIME ALL WHERE row_end < NOW() + INTERVAL 1 DAY")
    assert any(row[3] == end for row in rows if row for (end,) in ends)


def test_large_values(server: DatabaseServer) -> None:
    """Values whose length takes four bytes, of every byte."""
    origin = Origin(server, "b LONGBLOB, t LONGTEXT, m MEDIUMBLOB")
    session = origin.session
    every = bytes(range(256)).hex()
    session.run(f"INSERT INTO origin VALUES (NULL, REPEAT(x'{every}', 70000), REPEAT('it''s', 100), REPEAT(x'{every}', 60000))")
    check(origin)


def test_keys(server: DatabaseServer) -> None:
    """A composite key in key order, one with prefixes, and none."""
    session = Session(server)
    session.run("DROP DATABASE IF EXISTS row_test")
    session.run("CREATE DATABASE row_test")
    session.run("USE row_test")
    for definition, key, prefixes in (
        ("a INT, b INT, c INT, PRIMARY KEY (c, a)", (2, 0), (0, 0)),
        ("a VARCHAR(100) CHARACTER SET utf8mb4, b BLOB, c INT, PRIMARY KEY (b(7), c, a(3))", (1, 2, 0), (7, 0, 3)),
        ("a INT, b INT, c INT, KEY (a)", (), ()),
    ):
        session.run("DROP TABLE IF EXISTS origin")
        session.run(f"CREATE TABLE origin ({definition})")
        start = binlog_end(server)
        session.run("INSERT INTO origin VALUES (1, 2, 3)")
        (event,) = logged(server, start)
        table_map = parse_table_map(event.table_map, server.flavor)
        assert (table_map.primary_key, table_map.prefixes) == (key, prefixes)
    session.close()


@pytest.mark.parametrize("count", [7, 8, 9, 249, 250, 251, 300, 1000])
def test_wide_tables(server: DatabaseServer, count: int) -> None:
    """Column counts around the widths of bitmaps and lengths, up to 1,000, with scattered NULLs."""
    kinds = ["INT", "TINYINT NOT NULL", "VARCHAR(2)", "BIGINT UNSIGNED", "DATE"]
    origin = Origin(server, ", ".join(f"`c{i}` {kinds[i % 5]}" for i in range(count - 1)), "ENGINE=InnoDB ROW_FORMAT=DYNAMIC")
    for step in (1, 3, 1000000):
        values = [("NULL" if i % step == 0 and i % 5 != 1 else "1" if i % 5 != 4 else "'2024-01-01'") for i in range(count - 1)]
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {', '.join(values)})")
    assert len(origin.rows("value")[0].columns) == count
    check(origin)


def test_odd_names(server: DatabaseServer) -> None:
    """Reserved words, quotes, dots, 64 characters and letters beyond ASCII."""
    origin = Origin(server, "`select` INT, `a``b.c'd\"` INT, `" + "n" * 64 + "` INT, `größe` INT, ` 漢字` INT")
    origin.session.run("INSERT INTO origin VALUES (NULL, 1, 2, 3, 4, 5)")
    check(origin)


def test_updates_and_deletes_have_both_images(server: DatabaseServer) -> None:
    """An update gives before and after, a delete before; flags come with each event."""
    origin = Origin(server, "n INT, t TEXT")
    session = origin.session
    session.run("INSERT INTO origin VALUES (NULL, 1, 'a'), (NULL, NULL, 'b')")
    start = binlog_end(server)
    session.run("UPDATE origin SET n = 5")
    session.run("DELETE FROM origin WHERE id = 1")
    session.run("SET foreign_key_checks = 0, unique_checks = 0")
    session.run("DELETE FROM origin")
    update, first, second = logged(server, start)
    decode = decoder(parse_table_map(update.table_map, server.flavor), before="value", after="text")
    assert decode(update.kind, update.payload) == [
        ((1, 1, b"a"), (b"1", b"5", b"a")),
        ((2, None, b"b"), (b"2", b"5", b"b")),
    ]
    assert decode(first.kind, first.payload) == [((1, 5, b"a"), None)]
    assert decode(second.kind, second.payload) == [((2, 5, b"b"), None)]
    assert [rows_flags(e.payload) & 7 for e in (update, first, second)] == [1, 1, 7]


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_images_without_all_columns_are_refused(server: DatabaseServer, image: str) -> None:
    """The error names the table and the remedy; no row is made up."""
    origin = Origin(server, "n INT, t TEXT")
    session = origin.session
    session.run("INSERT INTO origin VALUES (NULL, 1, 'a')")
    start = binlog_end(server)
    session.run(f"SET binlog_row_image = {image}")
    session.run("UPDATE origin SET n = 5")
    (event,) = logged(server, start)
    decode = decoder(parse_table_map(event.table_map, server.flavor), before="value", after="value")
    with pytest.raises(DecodeError, match=r"lacks columns.*SET GLOBAL binlog_row_image=FULL.*start the stream anew"):
        decode(event.kind, event.payload)


def test_maps_without_names_are_refused(server: DatabaseServer) -> None:
    """With binlog_row_metadata=MINIMAL the error names the table and the remedy."""
    origin = Origin(server, "n INT")
    session = origin.session
    session.run("SET GLOBAL binlog_row_metadata = MINIMAL")
    try:
        session.run("CREATE TABLE other (id INT, e ENUM('a'), t TEXT, g GEOMETRY)")
        start = binlog_end(server)
        session.run("INSERT INTO other (id) VALUES (1)")
        (event,) = logged(server, start)
        with pytest.raises(DecodeError, match=r"row_test\.other.*SET GLOBAL binlog_row_metadata=FULL"):
            parse_table_map(event.table_map, server.flavor)
    finally:
        session.run("SET GLOBAL binlog_row_metadata = FULL")


@pytest.mark.parametrize("kind", ["TIMESTAMP(3)", "DATETIME", "TIME(6)"])
def test_old_temporal_types_are_refused(server: DatabaseServer, kind: str) -> None:
    """Columns made with mysql56_temporal_format=OFF: the binlog does not tell their fraction digits."""
    if server.flavor == "mysql":
        pytest.skip("MySQL 8 has no such columns any more")
    session = Session(server)
    session.run("DROP DATABASE IF EXISTS row_test")
    session.run("CREATE DATABASE row_test")
    session.run("SET GLOBAL mysql56_temporal_format = OFF")
    try:
        session.run(f"CREATE TABLE row_test.origin (id INT PRIMARY KEY, old {kind} NOT NULL)")
        start = binlog_end(server)
        session.run("INSERT INTO row_test.origin VALUES (1, '2024-01-02 03:04:05.678')")
    finally:
        session.run("SET GLOBAL mysql56_temporal_format = ON")
    (event,) = logged(server, start)
    with pytest.raises(DecodeError, match=r"row_test\.origin\.old.*mysql56_temporal_format=ON"):
        parse_table_map(event.table_map, server.flavor)
