"""Random schemas and random work on them, as SQL, for Hypothesis: what ``make fuzz`` sends through the real pipeline.

``scripts(flavor)`` draws a ``Script``: statements for one session in a database of their own. Statements may fail at the
origin (a duplicate key, a value that does not fit); what counts is only that the target holds what the origin holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["COMMON", "Script", "scripts"]

COMMON = "common"
"""In place of a flavor: only what MySQL and MariaDB both have."""

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


@dataclass(frozen=True, slots=True)
class Script:
    """What to run."""

    statements: tuple[str, ...]
    sql_mode: str

    def __repr__(self) -> str:
        return "Script:\n" + "\n".join(f"  {statement};" for statement in self.statements)


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


KINDS: tuple[Kind, ...] = (_integer, _decimal, _float, _bit, _temporal, _char, _binary, _enum, _json, _point)


@st.composite
def columns(draw: st.DrawFn, name: str, flavor: str) -> Column:
    """One column."""
    kinds = (*KINDS, _mariadb) if flavor == "mariadb" else KINDS
    return draw(st.sampled_from(kinds))(draw, name)


class Table:
    """A table as the script knows it: the columns may change by ALTER."""

    def __init__(self, draw: st.DrawFn, name: str, flavor: str) -> None:
        self.draw = draw
        self.name = name
        self.flavor = flavor
        self.columns = [draw(columns(f"c{i}", flavor)) for i in range(draw(st.integers(1, 6)))]
        self._next = len(self.columns)

    def create(self) -> str:
        """CREATE TABLE with a key or without."""
        draw, parts = self.draw, []
        keyable = [c for c in self.columns if c.key]
        style = draw(st.sampled_from(["auto", "natural", "unique", "none"]))
        primary: list[Column] = []
        if style == "natural" and keyable:
            primary = draw(st.lists(st.sampled_from(keyable), min_size=1, max_size=2, unique_by=lambda c: c.name))
        if style == "auto":
            parts.append("id INT AUTO_INCREMENT PRIMARY KEY")
        for column in self.columns:
            parts.append(f"{column.name} {column.ddl}{' NOT NULL' if column in primary and ' NULL' not in column.ddl else ''}")
        if primary:
            parts.append("PRIMARY KEY (" + ", ".join(c.key for c in primary) + ")")
        if style == "unique" and keyable:
            parts.append(f"UNIQUE KEY u1 ({draw(st.sampled_from(keyable)).key})")
        if keyable and draw(st.booleans()):
            parts.append(f"KEY k1 ({draw(st.sampled_from(keyable)).key})")
        if draw(st.integers(0, 3)) == 0 and self.flavor != COMMON:  # MariaDB takes fewer expressions
            stored = draw(st.sampled_from(["STORED", "VIRTUAL"]))
            parts.append(f"g1 INT AS (LENGTH(COALESCE(HEX({self.columns[0].name}), ''))) {stored}")
        return f"CREATE TABLE {self.name} (" + ", ".join(parts) + ")"

    def value(self, column: Column) -> str:
        """A literal, sometimes NULL."""
        if self.draw(st.integers(0, 6)) == 0:
            return "NULL"
        literal = self.draw(column.literal)
        if self.flavor == COMMON and (literal == "-0.0e0" or literal.endswith("e+308")):
            return "0e0"  # MariaDB has no minus zero; and MySQL rounds the largest to infinity when it prints them
        return literal

    def change(self) -> str:
        """One statement that changes rows."""
        draw, names = self.draw, ", ".join(c.name for c in self.columns)
        kind = draw(st.sampled_from(["insert", "insert", "insert", "ignore", "replace", "update", "update", "delete", "copy"]))
        if kind in ("insert", "ignore", "replace"):
            rows = ["(" + ", ".join(self.value(c) for c in self.columns) + ")" for _ in range(draw(st.integers(1, 6)))]
            verb = {"insert": "INSERT", "ignore": "INSERT IGNORE", "replace": "REPLACE"}[kind]
            return f"{verb} INTO {self.name} ({names}) VALUES " + ", ".join(rows)
        if kind == "copy":
            return f"INSERT IGNORE INTO {self.name} ({names}) SELECT {names} FROM {self.name} LIMIT 3"
        some = f"RAND({draw(st.integers(0, 9))})"  # of a fixed seed, so that a script does the same each time
        where = draw(st.sampled_from(["TRUE", f"{some} < 0.5", f"{some} < 0.2"]))
        if kind == "delete":
            return f"DELETE FROM {self.name} WHERE {where} LIMIT {draw(st.integers(1, 5))}"
        column = draw(st.sampled_from(self.columns))
        return f"UPDATE IGNORE {self.name} SET {column.name} = {self.value(column)} WHERE {where}"

    def alter(self) -> str:
        """One statement that changes the table."""
        draw = self.draw
        kind = draw(st.sampled_from(["add", "drop", "rename", "index", "truncate", "table", "retype"]))
        if kind == "add":
            column = draw(columns(f"c{self._next}", self.flavor))
            self._next += 1
            self.columns.append(column)
            place = draw(st.sampled_from(["", " FIRST"]))
            return f"ALTER TABLE {self.name} ADD COLUMN {column.name} {column.ddl}{place}"
        if kind == "drop" and len(self.columns) > 1:
            column = draw(st.sampled_from(self.columns[1:]))
            self.columns.remove(column)
            return f"ALTER TABLE {self.name} DROP COLUMN {column.name}"
        if kind == "rename":
            i = draw(st.integers(0, len(self.columns) - 1))
            old, name = self.columns[i], f"c{self._next}"
            self._next += 1
            self.columns[i] = Column(name, old.ddl, old.literal, old.key.replace(old.name, name))
            return f"ALTER TABLE {self.name} RENAME COLUMN {old.name} TO {name}"
        if kind == "index":
            keyable = [c for c in self.columns if c.key]
            if keyable:
                return f"CREATE INDEX i{self._next} ON {self.name} ({draw(st.sampled_from(keyable)).key})"
        if kind == "table":
            old_name, self.name = self.name, f"{self.name}r"
            return f"RENAME TABLE {old_name} TO {self.name}"
        if kind == "retype":
            i = draw(st.integers(0, len(self.columns) - 1))
            fresh = draw(columns(self.columns[i].name, self.flavor))
            self.columns[i] = fresh
            return f"ALTER TABLE {self.name} MODIFY COLUMN {fresh.name} {fresh.ddl}"
        return f"TRUNCATE TABLE {self.name}"


@st.composite
def scripts(draw: st.DrawFn, flavor: str) -> Script:
    """Tables, then transactions on them with DDL in between."""
    tables = [Table(draw, f"t{i}", flavor) for i in range(draw(st.integers(1, 3)))]
    statements = [table.create() for table in tables]
    for _ in range(draw(st.integers(1, 12))):
        table = draw(st.sampled_from(tables))
        if draw(st.integers(0, 4)) == 0:
            statements.append(table.alter())
            continue
        changes = [draw(st.sampled_from(tables)).change() for _ in range(draw(st.integers(1, 6)))]
        if len(changes) > 2 and draw(st.integers(0, 3)) == 0:
            changes = [changes[0], "SAVEPOINT s", *changes[1:-1], "ROLLBACK TO s", changes[-1]]
        end = draw(st.sampled_from(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
        statements += ["START TRANSACTION", *changes, end] if len(changes) > 1 else changes
    mode = draw(st.sampled_from(["", "ALLOW_INVALID_DATES", "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES", "STRICT_ALL_TABLES"]))
    return Script(tuple(statements), mode)
