"""The pure parts of reading and writing values, and recorded events of both servers."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from row_samples import SAMPLES

from replicator.errors import DecodeError
from replicator.row.charsets import charset_name
from replicator.row.convert import (
    key_literal,
    label,
    literal_of_text,
    literal_of_value,
    needs_lenient,
    text_of_value,
    value_of_text,
)
from replicator.row.decimals import decimal_layout, decimal_text
from replicator.row.decode import decoder
from replicator.row.floats import double_literal, double_text, single_literal
from replicator.row.jsonbinary import parse
from replicator.row.jsondiff import json_patched
from replicator.row.jsontext import json_literal, json_text
from replicator.row.select import select_expr
from replicator.row.tablemap import parse_table_map
from replicator.row.types import Column, Type


def column(kind: Type, **facts: Any) -> Column:
    """A column `c`."""
    return Column("c", kind, True, **facts)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_come_back_from_literal_and_text(number: float) -> None:
    """Neither form loses a bit, or the sign of zero."""
    for form in (double_literal(number).strip(b"'"), double_text(number)):
        assert struct.pack("d", float(form)) == struct.pack("d", number)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_singles_come_back_from_their_short_literal(number: float) -> None:
    """Rounded to single precision, nine digits are the number."""
    assert struct.pack("f", float(single_literal(number).strip(b"'"))) == struct.pack("f", number)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_what_no_column_holds_is_refused(number: float) -> None:
    """Infinity and not-a-number never become SQL."""
    for form in (double_literal, double_text, single_literal):
        with pytest.raises(ValueError, match="finite"):
            form(number)


@given(st.data())
def test_decimals(data: st.DataObject) -> None:
    """Packed digits print as the number they were packed from."""
    precision = data.draw(st.integers(1, 65))
    decimals = data.draw(st.integers(0, min(precision, 30)))
    number = data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    size, groups, parts = decimal_layout(precision, decimals)
    digits, packed, at = f"{abs(number):0{precision}d}", 0, 0
    for count, width in groups + parts:
        packed = packed << 8 * width | int(digits[at : at + count])
        at += count
    packed ^= 1 << 8 * size - 1
    if number < 0:
        packed ^= (1 << 8 * size) - 1
    whole, fraction = digits[: precision - decimals].lstrip("0") or "0", digits[precision - decimals :]
    expected = ("-" if number < 0 else "") + whole + ("." + fraction if fraction else "")
    assert decimal_text(packed.to_bytes(size, "big"), precision, decimals) == expected.encode()


def test_character_sets_by_collation_id() -> None:
    """Ids of both servers; MariaDB's without padding and its UCA 14 ones too."""
    known = {45: "utf8mb4", 255: "utf8mb4", 33: "utf8mb3", 8: "latin1", 63: "binary", 28: "gbk", 248: "gb18030", 35: "ucs2"}
    known |= {1052: "gbk", 1070: "utf8mb4", 2304: "utf8mb4", 2048: "utf8mb3", 3072: "utf32", 56: "utf16le", 54: "utf16"}
    assert {number: charset_name(number) for number in known} == known
    assert charset_name(0) is None and charset_name(5000) is None


def test_labels() -> None:
    """By number; a SET's are joined by the comma of the column's character set."""
    enum = column(Type.ENUM, charset=45, members=(b"", b"a"), length=1)
    assert [label(enum, n) for n in (0, 1, 2)] == [b"", b"", b"a"]
    wide = column(Type.SET, charset=35, members=(b"\0a", b"\0b", b"\0c"), length=1)
    assert label(wide, 5) == b"\0a\0,\0c" and label(wide, 0) == b""
    for bad, value in ((enum, 3), (wide, 8), (wide, -1)):
        with pytest.raises(DecodeError):
            label(bad, value)


def test_key_literals() -> None:
    """Text is introduced with its character set; labels stand for MySQL, numbers for MariaDB; FLOAT is exact."""
    text = column(Type.VARCHAR, charset=28)
    assert key_literal(text, b"'a'") == b"_gbk'a'" and key_literal(text, b"NULL") == b"NULL"
    assert key_literal(column(Type.VARCHAR, charset=63), b"'a'") == b"'a'"
    assert key_literal(column(Type.LONG), b"7") == b"7"
    enum = column(Type.ENUM, charset=45, members=(b"it's",), length=1)
    assert key_literal(enum, b"1") == b"_utf8mb4'it''s'" and key_literal(enum, b"1", "mariadb") == b"1"
    assert key_literal(column(Type.FLOAT), single_literal(0.10000000149011612)) == b"0.10000000149011612e0"
    with pytest.raises(DecodeError, match="unknown collation"):
        key_literal(column(Type.VARCHAR, charset=9999), b"'a'")


def test_only_an_invalid_enum_value_needs_a_lenient_session() -> None:
    """The number 0 of an ENUM, and nothing else."""
    assert needs_lenient(column(Type.ENUM, length=1), b"0")
    assert not needs_lenient(column(Type.SET, length=1), b"0") and not needs_lenient(column(Type.ENUM, length=1), b"NULL")


@pytest.mark.parametrize(
    ("kind", "text", "literal"),
    [
        (Type.LONG, b"-5", b"-5"),
        (Type.YEAR, b"0000", b"0"),
        (Type.DECIMAL, b"-1.50", b"-1.50"),
        (Type.DOUBLE, b"-0", b"'-0'"),
        (Type.DATE, b"0000-00-00", b"'0000-00-00'"),
        (Type.BLOB, b"a'\\\0", b"'a''\\\\\0'"),
        (Type.JSON, b'{"a": "\'"}', b"_utf8mb4'{\"a\": \"''\"}'"),
    ],
)
def test_literals_of_texts(kind: Type, text: bytes, literal: bytes) -> None:
    """A text read from a server becomes the literal that writes it; NULL is NULL."""
    c = column(kind)
    assert literal_of_text(c, text) == literal
    assert literal_of_value(c, value_of_text(c, text)) == literal
    assert text_of_value(c, value_of_text(c, text)) == text
    assert literal_of_text(c, None) == b"NULL" and value_of_text(c, None) is None


@pytest.mark.parametrize(
    ("kind", "text"), [(Type.LONG, b"1 OR 1"), (Type.DECIMAL, b"1;--"), (Type.DOUBLE, b"x"), (Type.DECIMAL, b""), (Type.BIT, b"")]
)
def test_a_text_of_another_type_never_becomes_sql(kind: Type, text: bytes) -> None:
    """Numbers are checked before they stand unquoted in a statement."""
    with pytest.raises(DecodeError, match="does not fit"):
        literal_of_text(column(kind), text)


def test_what_only_a_wider_target_holds_stays_a_text() -> None:
    """It equals no number of the origin's, and comes back as it was."""
    c = column(Type.LONG, padding=".000")
    assert value_of_text(c, b"5") == 5
    assert value_of_text(c, b"5.500") == b"5.500" == text_of_value(c, b"5.500")


def test_select_expressions_read_exact_values() -> None:
    """What a plain column would print short, padded or by label is read by an expression."""
    assert select_expr(column(Type.FLOAT), "`c`") == "CAST(`c` AS DOUBLE)"
    assert select_expr(column(Type.LONG, unsigned=True), "`c`") == "CAST(`c` AS UNSIGNED)"
    assert select_expr(column(Type.DECIMAL, unsigned=True, precision=9, decimals=2), "`c`") == "CAST(`c` AS DECIMAL(65,2))"
    assert select_expr(column(Type.STRING, charset=63, length=16), "`c`") == "CAST(`c` AS BINARY(16))"
    assert select_expr(column(Type.VARCHAR, charset=45), "`c`") == "`c`"


def test_json_text_and_sql() -> None:
    """A document as the server prints it; nodes whose type text loses are set by SQL values."""
    small = b"\x00\x01\x00\x0c\x00\x0b\x00\x01\x00\x06\x05\x00k"
    assert parse(small) == {b"k": 5}
    assert json_text(small) == b'{"k": 5}'
    assert json_literal(small) == b"JSON_REPLACE(_utf8mb4'{\"k\": null}', _utf8mb4'$.\"k\"', CAST(5 AS UNSIGNED))"
    assert json_text(b"") == b"null" and json_literal(b"\x0c\x01a") == b"_utf8mb4'\"a\"'"
    with pytest.raises(IndexError):
        parse(small[:-1])


def test_json_differences_in_order() -> None:
    """Replace, insert and remove, each on what the one before left."""
    before = b"\x02\x02\x00\x0a\x00\x05\x01\x00\x05\x02\x00"
    differences = b"\x01\x04$[1]\x03\x05\x07\x00" + b"\x00\x04$[0]\x03\x05\x09\x00" + b"\x02\x04$[2]"
    assert json_patched(before, differences).root == [9, 7]
    with pytest.raises(ValueError, match="does not fit"):
        json_patched(before, b"\x02\x03$.a")
    with pytest.raises(ValueError, match="not there"):
        json_patched(None, differences)


def test_json_cannot_make_the_parser_run_away() -> None:
    """An array whose members all are the array itself, and one nested deeper than a server allows, are refused."""
    loop = b"\x02\x02\x00\x0a\x00" + b"\x02\x00\x00" * 2
    with pytest.raises((IndexError, ValueError)):
        parse(loop)
    deep = b"\x05\x00\x00"
    for _ in range(101):
        deep = b"\x02" + struct.pack("<HH", 1, 7 + len(deep) - 1) + deep[:1] + b"\x07\x00" + deep[1:]
    with pytest.raises(ValueError, match="too deep"):
        parse(deep)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_recorded_events(flavor: str) -> None:
    """One row of every type as its server logged it, in each form."""
    kind, table_map, payload = SAMPLES[flavor][0]
    parsed = parse_table_map(bytes.fromhex(table_map), flavor)
    assert (parsed.qualified, parsed.primary_key, len(parsed.columns)) == ("t.sample", (0,), 27 if flavor == "mysql" else 29)
    forms = {}
    for mode in ("literal", "text", "value"):
        ((before, after),) = decoder(parsed, before=mode, after=mode)(kind, bytes.fromhex(payload))
        assert before is None and after is not None
        forms[mode] = after
    assert forms["value"][:12] == (
        1, -5, 300, -70000, (1 << 64) - 1, 1.25, 1e-07, b"-1234567890.12345", 1025, b"2024-02-29", b"-101:02:03.45",
        b"2024-12-31 23:59:59.999",
    )  # fmt: skip
    assert forms["literal"][14:20] == (b"'char'", b"'it''s'", b"'\0\0ab\0\0\0\0'", b"'text'", b"'blob'", b"2")
    assert forms["text"][20:25] == (b"5", forms["value"][21], b"0000-00-00 00:00:00", b"0000-00-00 00:00:00", b"12:00:00")
    if flavor == "mysql":
        assert forms["text"][25] == b'{"a": [1, 2.5, "x", null, true, {"b": -70000}], "cc": 18446744073709551615}'
    else:
        assert forms["value"][25:] == (b"abc" * 90, b"b", bytes.fromhex("00112233445516778899aabbccddeeff"), b"\1\2\3\4")
