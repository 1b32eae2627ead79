"""A target's columns hold the origin's values unchanged, or the plan is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.apply.fit import fit_to_target
from replicator.apply.target import TargetColumn, TargetTable
from replicator.errors import ApplyError, DecodeError
from replicator.row.convert import key_literal, literal_of_text, text_of_value, value_of_text
from replicator.row.forms import uncut
from replicator.row.jsonparse import parsed_literal, parsed_text
from replicator.row.select import select_expr
from replicator.row.types import Column, TableMap, Type

_LATIN1, _UTF8MB4, _BINARY = 8, 45, 63


def _fit(column: Column, kind: str, charset: str = "") -> Column:
    there = TargetColumn(
        name=column.name, type=kind, generated=False, nullable=True, has_default=True, collation=charset and "x", charset=charset
    )
    target = TargetTable("d", "t", (there,), (), (), False, (), (), ())
    return fit_to_target(TableMap("d", "t", (column,), (), (), "mysql"), target).columns[0]


def _text(charset: int, kind: int = Type.VARCHAR) -> Column:
    return Column("c", kind, nullable=True, charset=charset, length=100, length_bytes=1)


def test_text_of_another_character_set_is_introduced() -> None:
    """Literals, keys and reading all go through the origin's character set; NULL stays NULL."""
    column = _fit(_text(_LATIN1), "varchar(100)", "utf8mb4")
    literal = literal_of_text(column, b"\xe9")
    assert literal == b"_latin1'\xe9'" == key_literal(column, literal)
    assert literal_of_text(column, None) == b"NULL"
    assert select_expr(column, "`c`") == "CONVERT(`c` USING latin1)"


@pytest.mark.parametrize(("charset", "name"), [(_LATIN1, "latin1"), (_UTF8MB4, "utf8mb4"), (33, "utf8"), (33, "utf8mb3")])
def test_text_of_the_same_character_set_is_written_raw(charset: int, name: str) -> None:
    """Nothing is introduced, also where a server calls utf8mb3 by its old name."""
    assert _fit(_text(charset), "varchar(100)", name) == _text(charset)


@pytest.mark.parametrize(
    ("column", "kind", "room"),
    [
        (_text(_UTF8MB4), "varchar(24)", 24),
        (_text(_UTF8MB4), "varchar(25)", 0),
        (_text(_LATIN1), "varchar(99)", 99),
        (_text(_LATIN1, Type.BLOB), "varchar(99)", 99),
        (_text(_LATIN1, Type.STRING), "varchar(99)", 0),
    ],
)
def test_a_shorter_column_takes_what_it_does_not_cut(column: Column, kind: str, room: int) -> None:
    """Of a text that is too long the server cuts spaces without an error: that is looked at; anything else it refuses."""
    assert _fit(column, kind).room == room


@pytest.mark.parametrize(("codec", "room"), [("utf-8", 4), ("no such codec", 5)])
def test_spaces_that_would_be_cut_are_refused(codec: str, room: int) -> None:
    """Counted in characters; in bytes where they cannot be told."""
    for text in ("é  ", "éab ", "éabcd", "éab c"):
        assert uncut(text.encode(), room, codec, "c") == text.encode()
    for text in ("éab  ", "éab   "):
        with pytest.raises(DecodeError, match="cut off"):
            uncut(text.encode(), room, codec, "c")


def test_documents_become_text_where_the_target_has_text() -> None:
    """MariaDB's JSON is text, and its text goes into MySQL as a document."""
    assert _fit(Column("c", Type.JSON, nullable=True, length_bytes=4), "longtext", "utf8mb4").written_as == "text"
    assert _fit(_text(_UTF8MB4, Type.BLOB), "json").written_as == "json"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Column("c", Type.DATETIME, nullable=True, decimals=6), "datetime(3)"),
        (Column("c", Type.TIME, nullable=True, decimals=1), "time"),
        (Column("c", Type.DATETIME, nullable=True), "date"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10, decimals=2), "decimal(10,1)"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10, decimals=2), "decimal(10,0) unsigned"),
        (Column("c", Type.DOUBLE, nullable=True), "float"),
        (Column("c", Type.FLOAT, nullable=True), "int(11)"),
        (Column("c", Type.LONGLONG, nullable=True), "double"),
        (Column("c", Type.LONG, nullable=True), "float"),
        (Column("c", Type.LONG, nullable=True), "year"),
        (Column("c", Type.LONG, nullable=True), "date"),
        (Column("c", Type.LONG, nullable=True), "enum('a')"),
        (Column("c", Type.LONG, nullable=True), "binary(8)"),
        (_text(_UTF8MB4), "int"),
        (_text(_UTF8MB4), "datetime"),
        (_text(_UTF8MB4), "char(100)"),
        (_text(_UTF8MB4, Type.BLOB), "char(255)"),
        (_text(_BINARY, Type.BLOB), "binary(255)"),
        (_text(_UTF8MB4, Type.VARCHAR_COMPRESSED), "char(100)"),
        (_text(_UTF8MB4, Type.BLOB_COMPRESSED), "int"),
        (_text(_UTF8MB4, Type.STRING), "binary(100)"),
        (_text(_BINARY, Type.STRING), "binary(101)"),
        (_text(_BINARY, Type.STRING), "char(100)"),
        (replace(_text(_LATIN1), length=300), "tinytext"),
        (Column("c", Type.TIME, nullable=True), "datetime"),
        (Column("c", Type.DATE, nullable=True), "time"),
        (Column("c", Type.YEAR, nullable=True), "time"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10), "datetime"),
        (Column("c", Type.ENUM, nullable=True, charset=_LATIN1, members=(b"a", b"\xe9"), length=1), "enum('é','a')"),
        (Column("c", Type.ENUM, nullable=True, charset=_LATIN1, members=(b"a", b"b"), length=1), "enum('a')"),
        (Column("c", Type.ENUM, nullable=True, charset=_LATIN1, members=(b"a",), length=1), "varchar(10)"),
        (Column("c", Type.SET, nullable=True, charset=_LATIN1, members=(b"a",), length=1), "enum('a')"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_change_values_silently_is_refused(column: Column, kind: str) -> None:
    """The error names the column and what to do."""
    with pytest.raises(ApplyError, match="column") as raised:
        _fit(column, kind)
    assert "d.t, column c" in raised.value.where
    assert "resume" in raised.value.remedy


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Column("c", Type.DATETIME, nullable=True, decimals=3), "datetime(6)"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10, decimals=2), "decimal(20,4)"),
        (Column("c", Type.FLOAT, nullable=True), "double"),
        (Column("c", Type.LONG, nullable=True), "bigint(20)"),
        (Column("c", Type.ENUM, nullable=True, charset=_LATIN1, members=(b"a", b"it's"), length=1), "enum('a','it''s','more')"),
        (Column("c", Type.SET, nullable=True, charset=54, members=(b"\0a",), length=1), "set('a')"),
        (_text(_UTF8MB4), "varchar(25)"),
        (_text(_LATIN1, Type.BLOB), "varchar(100)"),
        (_text(_LATIN1), "tinytext"),
        (_text(_UTF8MB4, Type.STRING), "char(3)"),
        (_text(_BINARY, Type.STRING), "binary(100)"),
        (_text(_BINARY, Type.STRING), "varbinary(100)"),
        (_text(_BINARY), "varbinary(9)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wider_columns_are_taken(column: Column, kind: str) -> None:
    """A target may have room to spare."""
    assert replace(_fit(column, kind), padding="") == column


@pytest.mark.parametrize(
    ("column", "kind", "padding"),
    [
        (Column("c", Type.DECIMAL, nullable=True, precision=10, decimals=2), "decimal(20,4)", "00"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10), "decimal(20,4) unsigned zerofill", ".0000"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10, decimals=2), "decimal(20,2)", ""),
        (Column("c", Type.LONG, nullable=True), "decimal(20,1)", ".0"),
        (Column("c", Type.DATETIME, nullable=True, decimals=3), "datetime(6)", "000"),
        (Column("c", Type.TIMESTAMP, nullable=True), "datetime(2)", ".00"),
        (Column("c", Type.TIME, nullable=True), "time", ""),
        (Column("c", Type.DATE, nullable=True), "datetime(1)", " 00:00:00.0"),
        (Column("c", Type.DECIMAL, nullable=True, precision=10, decimals=2), "varchar(30)", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_wider_column_prints_behind_a_value_is_known(column: Column, kind: str, padding: str) -> None:
    """And cut away where the target is read, so that equal values have equal texts."""
    fitted = _fit(column, kind)
    assert fitted.padding == padding
    assert (f"='{padding}'" in select_expr(fitted, "`c`")) is bool(padding)


@pytest.mark.parametrize(
    ("column", "kind", "expression"),
    [
        (Column("c", Type.LONG, nullable=True), "int(10) unsigned zerofill", "CAST(`c` AS DECIMAL(65,0))"),
        (Column("c", Type.DECIMAL, nullable=True, decimals=2), "decimal(9,2) unsigned zerofill", "CAST(`c` AS DECIMAL(65,2))"),
        (Column("c", Type.LONG, nullable=True), "double", "CAST(`c` AS DOUBLE)"),
        (Column("c", Type.LONG, nullable=True), "bit(32)", "CAST(`c` AS UNSIGNED)"),
        (Column("c", Type.LONG, nullable=True), "varchar(20)", "`c`"),
        (Column("c", Type.LONG, nullable=True, unsigned=True), "text", "`c`"),
        (Column("c", Type.YEAR, nullable=True), "int", "IF(CAST(`c` AS DECIMAL(65,0))=0,'0000',CAST(`c` AS DECIMAL(65,0)))"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_number_in_a_column_of_another_type_is_read_as_the_origin_prints_it(column: Column, kind: str, expression: str) -> None:
    """And what only that type holds stays a text, which no value of the origin's equals."""
    fitted = _fit(column, kind)
    assert select_expr(fitted, "`c`") == expression
    if column.type != Type.DECIMAL:
        assert value_of_text(fitted, b"5.5") == b"5.5" == text_of_value(fitted, b"5.5")


def test_a_number_in_a_text_that_is_a_key_is_refused() -> None:
    """It would be compared as a number: without the index, and with every text that spells it."""
    there = TargetColumn(
        name="c", type="varchar(20)", generated=False, nullable=False, has_default=True, collation="x", charset="latin1"
    )
    number = Column("c", Type.LONG, nullable=False)
    for keys in ((("c",), ()), ((), (("c",),))):
        target = TargetTable("d", "t", (there,), *keys, False, (), (), ())
        with pytest.raises(ApplyError, match="in a key"):
            fit_to_target(TableMap("d", "t", (number,), (), (), "mysql"), target)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (b' {"bb":1,"a" : [1.50,2e3 , -0.0, "\\u00e9\\/"], "a":null}', b'{"a": null, "bb": 1}'),
        (b'[1.50,2e3,-0.0,"\\u00e9\\/", 18446744073709551616]', '[1.5, 2000.0, -0.0, "é/", 1.8446744073709552e19]'.encode()),
        (b"{'a': 1}", b"{'a': 1}"),
        (b"[NaN]", b"[NaN]"),
        (b"1e999", b"1e999"),
        (b'"\\ud800"', b'"\\ud800"'),
        (b"[" * 5000, b"[" * 5000),
        (b"\xff", b"\xff"),
    ],
)
def test_a_json_text_as_mysql_prints_it(text: bytes, printed: bytes) -> None:
    """What is no document stays as it is: the server refuses it, and says why."""
    assert parsed_text(text) == printed == parsed_text(printed)


def test_a_json_text_in_a_character_set_that_python_does_not_know() -> None:
    """It goes as it is; the decoder must not fail with an error that is none of ours."""
    assert parsed_text(b"[1]", "dec8") == b"[1]"
    assert parsed_literal(b"[1]", "dec8") == b"_utf8mb4'[1]'"


def test_a_number_that_the_servers_parser_rounds_is_set_by_a_value() -> None:
    """As it is for MySQL's own documents."""
    assert parsed_literal(b"[0.12345678901234566]") == (b"JSON_REPLACE(_utf8mb4'[null]', _utf8mb4'$[0]', 0.12345678901234566e0)")
    assert parsed_literal(b"\"it's") == b"_utf8mb4'\"it''s'"
