"""Text in every character set: identical bytes at the target, and keys that are found through their index."""

from __future__ import annotations

import pytest
from row_origin import Origin, Session, check

from dev import DatabaseServer
from replicator.row.convert import key_literal

pytestmark = pytest.mark.servers

CHARSETS = [
    "utf8mb4", "utf8mb3", "latin1", "ascii", "gbk", "gb18030", "gb2312", "big5", "sjis", "cp932", "ujis", "eucjpms", "euckr",
    "ucs2", "utf16", "utf16le", "utf32", "cp1251", "greek", "koi8r", "tis620", "binary",
]  # fmt: skip
TEXTS = [
    "", " ", "a", "  a b  ", "it's \\ \"", "nul\0in", "\0", "中文", "丂能", "ソ表", "日本", "한국", "привет",
    "é", "😀", "a" * 300,
]  # fmt: skip


def fitting(session: Session, charset: str) -> list[bytes]:
    """Literals for those of the texts that the character set has."""
    found = []
    for text in TEXTS:
        literal = b"CONVERT(_utf8mb4 x'%b' USING %b)" % (text.encode().hex().encode(), charset.encode())
        back = session.run(b"SELECT HEX(CONVERT(%b USING utf8mb4))" % literal)[0][0]
        if charset == "binary" or back == text.encode().hex().upper().encode():
            found.append(literal)
    return found


@pytest.mark.parametrize("charset", CHARSETS)
def test_text_of_every_character_set(server: DatabaseServer, charset: str) -> None:
    """CHAR, VARCHAR and TEXT hold identical bytes afterwards, with blanks, zero bytes and second bytes that are quotes."""
    if charset == "gb18030" and server.flavor == "mariadb":
        pytest.skip("MariaDB has no gb18030")
    columns = f"c CHAR(40) CHARACTER SET {charset}, v VARCHAR(400) CHARACTER SET {charset}, t TEXT CHARACTER SET {charset}"
    origin = Origin(server, columns)
    literals = fitting(origin.session, charset)
    assert len(literals) >= 5
    for literal in literals:
        short = b"LEFT(%b, 40)" % literal if charset != "binary" else b"SUBSTR(%b, 1, 40)" % literal
        origin.session.run(b"INSERT INTO origin VALUES (NULL, %b, %b, %b)" % (short, literal, literal))
    origin.session.run("INSERT INTO origin VALUES (NULL, NULL, NULL, NULL)")
    check(origin)


def test_every_byte_of_latin1(server: DatabaseServer) -> None:
    """Also those bytes that latin1 does not define."""
    origin = Origin(server, "c CHAR(3) CHARACTER SET latin1, t TEXT CHARACTER SET latin1")
    for byte in range(256):
        origin.session.run(f"INSERT INTO origin VALUES (NULL, x'{byte:02x}41', x'41{byte:02x}')")
    check(origin)


@pytest.mark.parametrize("charset", [c for c in CHARSETS if c != "binary"])
def test_key_literals_find_rows_through_the_index(server: DatabaseServer, charset: str) -> None:
    """WHERE key IN (literals) finds each row, reading no more rows than that."""
    if charset == "gb18030" and server.flavor == "mariadb":
        pytest.skip("MariaDB has no gb18030")
    text = f"VARCHAR(40) CHARACTER SET {charset} NOT NULL"
    origin = Origin(server, f"v {text}, c CHAR(40) CHARACTER SET {charset}, n INT, UNIQUE KEY (v, n), UNIQUE KEY (c, n)")
    session = origin.session
    literals = [literal for literal in fitting(session, charset) if b"6161616161616161" not in literal]
    numbers = ", ".join(f"({i}, {i}, {i})" for i in range(1, 501))
    session.run(f"INSERT INTO origin (v, c, n) VALUES {numbers}")
    for n, literal in enumerate(literals):
        session.run(b"INSERT INTO origin VALUES (%d, %b, %b, %d)" % (1000 + n, literal, literal, 600 + n))
    session.run("ANALYZE TABLE origin")
    table_map, rows = origin.rows("literal")
    for at in (1, 2):
        column = table_map.columns[at]
        made = [key_literal(column, row[at], server.flavor) for row in rows[500:]]
        pairs = [b"(%b, %b)" % (key, row[3]) for key, row in zip(made, rows[500:], strict=True)]
        name = column.name.encode()
        for where in (b"%b IN (%b)" % (name, b", ".join(set(made))), b"(%b, n) IN (%b)" % (name, b", ".join(pairs))):
            assert session.run(b"SELECT COUNT(*) FROM origin WHERE " + where) == [(b"%d" % len(literals),)]
            assert_indexed(session, where, len(literals) + 1)


def assert_indexed(session: Session, where: bytes, rows_max: int) -> None:
    """The plan reads about as many rows as it returns."""
    mariadb = session.server.flavor == "mariadb"
    plan = session.run(b"EXPLAIN %b SELECT * FROM origin WHERE %b" % (b"" if mariadb else b"FORMAT=TRADITIONAL", where))[0]
    access, read = (plan[3], plan[8]) if mariadb else (plan[4], plan[9])
    assert access in (b"range", b"ref", b"const") and int(read or 0) <= rows_max, plan


@pytest.mark.parametrize(
    ("column_type", "values"),
    [
        ("INT UNSIGNED", "7, 8, 4294967295"),
        ("DECIMAL(20,5)", "-1.5, 7.25, 100000000000000.00001"),
        ("DOUBLE", "1.5e0, 1e100, '-0'"),
        ("FLOAT", "1.5e0, 0.10000000149011612e0, -3e0"),
        ("BIT(33)", "1, 2, 8589934591"),
        ("DATE", "'2024-02-29', '0000-00-00', '2024-02-31'"),
        ("DATETIME(6)", "'2024-02-29 01:02:03.000001', '0000-00-00', '9999-12-31'"),
        ("TIMESTAMP(3)", "'2024-02-29 01:02:03.125', '0000-00-00', '2038-01-19'"),
        ("TIME(2)", "'-10:00:00.25', '00:00:00', '838:59:59'"),
        ("YEAR", "0, 1999, 2155"),
        ("ENUM('a','é','c','1')", "1, 2, 4"),
        ("ENUM('a','é','1') CHARACTER SET ucs2", "1, 2, 3"),
        ("SET('a','é','c')", "0, 7, 2"),
        ("BINARY(5)", "x'0100', x'00', x'2727'"),
        ("VARBINARY(9)", "x'0100', x'', x'275c27'"),
    ],
)
def test_key_literals_of_other_types(server: DatabaseServer, column_type: str, values: str) -> None:
    """WHERE key IN (literals) finds each row and uses the key's index."""
    origin = Origin(server, f"k {column_type} NOT NULL, n INT NOT NULL, pad CHAR(200), UNIQUE KEY (k, n)")
    session = origin.session
    literals = values.split(", ")
    for literal in literals:
        session.run(f"INSERT INTO origin VALUES (NULL, {literal}, 1, 'x')")
    other = {"E": "3", "I": "3", "S": "3", "B": "3", "D": "'2001-01-01'", "T": "'01:01:01'", "Y": "2001", "F": "3e0", "V": "'z'"}[
        column_type[0]
    ]
    other = {"DOUBLE": "3e0", "DECIMAL(20,5)": "3", "TIMESTAMP(3)": "'2001-01-01'"}.get(column_type, other)
    for start in range(2, 1002, 100):
        session.run("INSERT INTO origin (k, n, pad) VALUES " + ", ".join(f"({other}, {start + i}, 'x')" for i in range(100)))
    session.run("ANALYZE TABLE origin")
    table_map, rows = origin.rows("literal")
    column = table_map.columns[1]
    keys = b", ".join(b"(%b, %b)" % (key_literal(column, row[1], server.flavor), row[2]) for row in rows[:3])
    assert session.run(b"SELECT COUNT(*) FROM origin WHERE (k, n) IN (%b)" % keys) == [(b"3",)]
    assert_indexed(session, b"(k, n) IN (%b)" % keys, 4)
