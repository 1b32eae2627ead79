"""Random columns of every type, each with a strategy for its literals: what ``tests.generate`` makes tables of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["Column", "columns"]

CHARSETS = (
    "utf8mb4",
    "utf8mb3",
    "latin1",
    "gbk",
    "big5",
    "sjis",
    "cp932",
    "ucs2",
    "utf16",
    "utf16le",
    "utf32",
    "ascii",
    "binary",
)
_TEXT = st.text(
    st.one_of(
        st.sampled_from("aAzZ019 '\"\\`%_\0\n\r\t\x1a;,-#/*"),
        st.sampled_from("éßÄ€ÿŒжשไ中文日本語ｱ한😀🎉\u0301\u200b\uffff"),
        st.characters(codec="utf-8", exclude_categories=("Cs",)),
    ),
    max_size=12,
)
_BYTES = st.one_of(st.binary(max_size=12), st.sampled_from([b"", b"\0", b"\0\0a\0", b" ", b"a  ", b"\\'\"\x1a\n", b"\xff" * 9]))


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type, how to draw a literal, and how it may stand in a key ("" not at all)."""

    name: str
    ddl: str
    literal: st.SearchStrategy[str]
    key: str
    generated: bool = False


Kind = Callable[[st.DrawFn, str], Column]


def _hex(data: bytes) -> str:
    return f"x'{data.hex()}'"


def _text(text: str) -> str:
    return f"_utf8mb4 x'{text.encode('utf-8').hex()}'" if text else "''"


def _integer(draw: st.DrawFn, name: str) -> Column:
    base, bits = draw(st.sampled_from([("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)]))
    if draw(st.booleans()):
        low, high, ddl = 0, 2**bits - 1, f"{base} UNSIGNED"
    else:
        low, high, ddl = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, base
    return Column(name, ddl, st.one_of(st.integers(low, high), st.sampled_from([low, high, 0, 1])).map(str), name)


def _decimal(draw: st.DrawFn, name: str) -> Column:
    precision = draw(st.integers(1, 65))
    scale = draw(st.integers(0, min(30, precision)))
    digits = st.integers(-(10**precision) + 1, 10**precision - 1)

    def literal(value: int) -> str:
        text = str(abs(value)).rjust(scale + 1, "0")
        return ("-" if value < 0 else "") + (f"{text[:-scale]}.{text[-scale:]}" if scale else text)

    return Column(name, f"DECIMAL({precision},{scale})", digits.map(literal), name)


def _float(draw: st.DrawFn, name: str) -> Column:
    width = draw(st.sampled_from([32, 64]))
    values = st.floats(allow_nan=False, allow_infinity=False, width=width)  # type: ignore[call-overload]
    ddl = "FLOAT" if width == 32 else "DOUBLE"

    def literal(value: float) -> str:
        text = repr(value)
        return text if "e" in text else f"{text}e0"  # with an exponent, else it would be a decimal

    return Column(name, ddl, values.map(literal), "")


def _bit(draw: st.DrawFn, name: str) -> Column:
    bits = draw(st.integers(1, 64))
    return Column(name, f"BIT({bits})", st.integers(0, 2**bits - 1).map(str), name)


_ODD_DATES = ["0000-00-00", "2024-00-10", "2024-02-31", "2024-10-00", "0001-01-01", "9999-12-31", "1000-01-01", "2024-02-29"]
_DATES = st.one_of(st.dates().map(str), st.sampled_from(_ODD_DATES))


def _temporal(draw: st.DrawFn, name: str) -> Column:
    kind = draw(st.sampled_from(["DATE", "DATETIME", "TIMESTAMP", "TIME", "YEAR"]))
    if kind == "DATE":
        return Column(name, "DATE", _DATES.map(lambda d: f"'{d}'"), name)
    if kind == "YEAR":
        return Column(name, "YEAR", st.one_of(st.integers(1901, 2155), st.just(0)).map(str), name)
    digits = draw(st.integers(0, 6))
    micro = st.integers(0, 999_999).map(lambda us: f".{us:06d}"[: digits + 1] if digits else "")
    clock = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), micro).map(
        lambda t: f"{t[0]:02d}:{t[1]:02d}:{t[2]:02d}{t[3]}"
    )
    if kind == "TIME":
        wide = st.tuples(st.sampled_from(["", "-"]), st.integers(0, 837), clock).map(lambda t: f"'{t[0]}{t[1]}{t[2][2:]}'")
        return Column(name, f"TIME({digits})", wide, name)
    if kind == "TIMESTAMP":
        days = st.dates().filter(lambda d: 1971 <= d.year <= 2037).map(str)
        values = st.one_of(st.tuples(days, clock).map(lambda t: f"'{t[0]} {t[1]}'"), st.just("'0000-00-00 00:00:00'"))
        return Column(name, f"TIMESTAMP({digits}) NULL", values, name)
    return Column(name, f"DATETIME({digits})", st.tuples(_DATES, clock).map(lambda t: f"'{t[0]} {t[1]}'"), name)


def _char(draw: st.DrawFn, name: str) -> Column:
    charset = draw(st.sampled_from((*CHARSETS, "binary")))
    size = draw(st.integers(1, 40))
    kind = draw(st.sampled_from([f"CHAR({size})", f"VARCHAR({size})", "TEXT", "TINYTEXT"]))
    key = f"{name}(5)" if "TEXT" in kind else name
    collation = draw(st.sampled_from(["", f" COLLATE {charset}_bin"])) if charset != "binary" else ""
    return Column(name, f"{kind} CHARACTER SET {charset}{collation}", _TEXT.map(_text), key)


def _binary(draw: st.DrawFn, name: str) -> Column:
    size = draw(st.integers(1, 20))
    kind = draw(st.sampled_from([f"BINARY({size})", f"VARBINARY({size})", "BLOB", "LONGBLOB"]))
    return Column(name, kind, _BYTES.map(_hex), f"{name}(6)" if "BLOB" in kind else name)


_MEMBERS = ["a", "b c", "it''s", "é", "中", "x,y", "\\\\", "Z"]


def _enum(draw: st.DrawFn, name: str) -> Column:
    members = draw(st.lists(st.sampled_from(_MEMBERS), min_size=1, max_size=8, unique=True))
    charset = draw(st.sampled_from(["utf8mb4", "latin1", "ucs2"]))
    if charset == "latin1":
        members = [m for m in members if m != "中"] or ["a"]
    if draw(st.booleans()):
        members = [m for m in members if "," not in m] or ["a"]
        ddl = "SET('" + "','".join(members) + f"') CHARACTER SET {charset}"
        return Column(name, ddl, st.integers(0, 2 ** len(members) - 1).map(str), name)
    ddl = "ENUM('" + "','".join(members) + f"') CHARACTER SET {charset}"
    return Column(name, ddl, st.integers(0, len(members)).map(str), name)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: abs(f) < 1e300),
    _TEXT,
)
_JSON = st.recursive(_SCALARS, lambda v: st.one_of(st.lists(v, max_size=4), st.dictionaries(_TEXT, v, max_size=4)), max_leaves=8)


def _json(draw: st.DrawFn, name: str) -> Column:
    return Column(name, "JSON", _JSON.map(lambda v: f"CONVERT({_text(json.dumps(v))} USING utf8mb4)"), "")


def _point(draw: st.DrawFn, name: str) -> Column:
    number = st.integers(-1000, 1000).map(lambda n: n / 8)
    return Column(name, "POINT", st.tuples(number, number).map(lambda p: f"ST_GeomFromText('POINT({p[0]} {p[1]})')"), "")


def _mariadb(draw: st.DrawFn, name: str) -> Column:
    kind = draw(st.sampled_from(["UUID", "INET6", "INET4"]))
    if kind == "UUID":
        return Column(name, kind, st.uuids().map(lambda u: f"'{u}'"), name)
    strategy = st.ip_addresses(v=6 if kind == "INET6" else 4)
    return Column(name, kind, strategy.map(lambda a: f"'{a}'"), name)


def _compressed(draw: st.DrawFn, name: str) -> Column:
    kind = draw(st.sampled_from(["VARCHAR(200)", "TEXT", "LONGTEXT", "BLOB", "VARBINARY(300)"]))
    times = st.integers(1, 20)  # long enough to be worth compressing, or not
    if kind in ("BLOB", "VARBINARY(300)"):
        return Column(name, f"{kind} COMPRESSED", st.tuples(_BYTES, times).map(lambda t: _hex(t[0] * t[1])), "")
    charset = draw(st.sampled_from(["utf8mb4", "latin1", "utf16"]))
    ddl = f"{kind} COMPRESSED CHARACTER SET {charset}"
    return Column(name, ddl, st.tuples(_TEXT, times).map(lambda t: _text(t[0] * t[1])), "")


def _vector(draw: st.DrawFn, name: str) -> Column:
    size = draw(st.integers(1, 5))
    values = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=size)
    return Column(name, f"VECTOR({size})", values.map(lambda v: f"STRING_TO_VECTOR('{json.dumps(v)}')"), "")


KINDS: tuple[Kind, ...] = (_integer, _decimal, _float, _bit, _temporal, _char, _binary, _enum, _json, _point)
_ALSO: dict[str, tuple[Kind, ...]] = {"mariadb": (_mariadb, _compressed), "mysql97": (_vector,)}


@st.composite
def columns(draw: st.DrawFn, name: str, flavor: str) -> Column:
    """One column."""
    return draw(st.sampled_from((*KINDS, *_ALSO.get(flavor, ()))))(draw, name)
