"""How each type lies in a row image, and the Python expression that turns it into each form.

``shape`` says how to read a column's raw value: fixed-size ones with a struct code, the others as bytes behind a length.
``expression`` says how to make a literal, text or value of the raw one. ``decode`` compiles these into one function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import DecodeError
from .charsets import BINARY
from .compressed import column_bytes
from .decimals import decimal_layout
from .floats import double_literal, double_text, single_literal
from .jsondiff import json_patched
from .jsontext import json_literal, json_text
from .temporal import (
    DATE,
    DATE_QUOTED,
    DAY_OF,
    DAY_OF_QUOTED,
    LAST_DIGITS,
    LAST_DIGITS_QUOTED,
    SECONDS_A_DAY,
    SHORT_FRACTIONS,
    SHORT_FRACTIONS_QUOTED,
    STAMP_DAY,
    STAMP_DAY_QUOTED,
    TIME,
    TIME_OF,
    TIME_OF_QUOTED,
    TIME_QUOTED,
    format_time,
)
from .types import Column, Type

__all__ = ["NAMESPACE", "NULL", "Mode", "Shape", "expression", "shape"]

Mode = Literal["literal", "text", "value"]

NULL = b"NULL"
"""The literal of NULL."""


@dataclass(frozen=True, slots=True)
class Shape:
    """``code`` and ``size``: a struct code (little-endian) and its bytes; or ``prefix``: the bytes of a length in front."""

    code: str = ""
    size: int = 0
    prefix: int = 0


_INTEGERS = {
    Type.TINY: ("b", 1),
    Type.SHORT: ("h", 2),
    Type.INT24: ("3s", 3),
    Type.LONG: ("i", 4),
    Type.LONGLONG: ("q", 8),
}
_FLAGS = {1: "B", 2: "H", 3: "3s", 4: "I", 8: "Q"}
_TEMPORAL_BYTES = {Type.TIMESTAMP: 4, Type.DATETIME: 5, Type.TIME: 3}
_STRINGS = frozenset({Type.VARCHAR, Type.VAR_STRING, Type.STRING, Type.BLOB})
_COMPRESSED = frozenset({Type.BLOB_COMPRESSED, Type.VARCHAR_COMPRESSED})
_TABLED_DIGITS_MAX = 4
_RAW = frozenset({Type.GEOMETRY, Type.VECTOR})
_CLOCKS = [b"%02d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60) for s in range(SECONDS_A_DAY)]
_YEARS = [0, *range(1901, 2156)]

NAMESPACE: dict[str, Any] = {
    "NULL": NULL,
    "fb": int.from_bytes,
    "DATE": DATE,
    "DATE_Q": DATE_QUOTED,
    "DAY": DAY_OF,
    "DAY_Q": DAY_OF_QUOTED,
    "CLOCK": TIME_OF,
    "CLOCK_Q": TIME_OF_QUOTED,
    "TIME": TIME,
    "TIME_Q": TIME_QUOTED,
    "SDAY": STAMP_DAY,
    "SDAY_Q": STAMP_DAY_QUOTED,
    "STIME": _CLOCKS,
    "STIME_Q": [clock + b"'" for clock in _CLOCKS],
    "FRACTION": SHORT_FRACTIONS,
    "FRACTION_Q": SHORT_FRACTIONS_QUOTED,
    "LAST": LAST_DIGITS,
    "LAST_Q": LAST_DIGITS_QUOTED,
    "PART": [[], *([b".%0*d" % (d, n) for n in range(10**d)] for d in range(1, 5))],
    "SMALL": [b"%d" % n for n in range(256)],
    "TINY": [b"%d" % n for n in (*range(128), *range(-128, 0))],  # a negative index counts from the end
    "YEAR": _YEARS,
    "YEAR_L": [b"%d" % y for y in _YEARS],
    "YEAR_T": [b"%04d" % y for y in _YEARS],
    "time_text": format_time,
    "double_literal": double_literal,
    "single_literal": single_literal,
    "double_text": double_text,
    "inflate": column_bytes,
    "json_literal": json_literal,
    "json_text": json_text,
    "json_patched": json_patched,
}
"""What the expressions refer to."""


def shape(column: Column) -> Shape:
    """How the column's raw value is read. Raises DecodeError for a type that cannot be carried."""
    kind = column.type
    if kind in _INTEGERS:
        code, size = _INTEGERS[Type(kind)]
        return Shape(code.upper() if column.unsigned and size != 3 else code, size)
    if kind == Type.FLOAT:
        return Shape("f", 4)
    if kind == Type.DOUBLE:
        return Shape("d", 8)
    if kind == Type.YEAR:
        return Shape("B", 1)
    if kind == Type.DATE:
        return Shape("3s", 3)
    if kind == Type.DECIMAL:
        return _bytes(decimal_layout(column.precision, column.decimals)[0])
    if kind == Type.BIT:
        return _bytes((column.bits + 7) // 8)
    if kind in (Type.ENUM, Type.SET):
        return Shape(_FLAGS[column.length], column.length)
    if kind in _TEMPORAL_BYTES:
        return _bytes(_TEMPORAL_BYTES[Type(kind)] + (column.decimals + 1) // 2)
    if column.length_bytes:
        return Shape(prefix=column.length_bytes)
    raise DecodeError(
        f"a column of {column.type_name}, which cannot be carried",
        where=f"column {column.name}",
        remedy="exclude the table from the flow, or change the column's type",
    )


def _bytes(size: int) -> Shape:
    return Shape(f"{size}s", size)


def expression(column: Column, mode: Mode, v: str) -> str:
    """A Python expression over the raw value's name ``v`` (read as ``shape`` says), in terms of ``NAMESPACE``."""
    kind = column.type
    if kind in _INTEGERS:
        if kind == Type.INT24:
            v = f"fb({v}, 'little', signed={not column.unsigned})"
        if kind == Type.TINY and mode != "value":
            return f"{'SMALL' if column.unsigned else 'TINY'}[{v}]"
        return _number(mode, v)
    if kind in (Type.FLOAT, Type.DOUBLE):
        if mode == "literal":
            return _float(kind, v)
        if column.written_as == "zero":
            v = f"({v} + 0.0)"  # makes 0 of -0, and changes no other number
        return v if mode == "value" else f"double_text({v})"
    if kind == Type.YEAR:
        return {"literal": f"YEAR_L[{v}]", "text": f"YEAR_T[{v}]", "value": f"YEAR[{v}]"}[mode]
    if kind == Type.DATE:
        return f"DATE_Q[{v}]" if mode == "literal" else f"DATE[{v}]"
    if kind == Type.DECIMAL:
        return _decimal(column, v)
    if kind == Type.BIT:
        return _number(mode, f"fb({v})")
    if kind in (Type.ENUM, Type.SET):
        if column.length == 1 and mode != "value":
            return f"SMALL[{v}]"
        return _number(mode, f"fb({v}, 'little')" if column.length == 3 else v)
    if kind == Type.DATETIME:
        return _datetime(column, mode, v)
    if kind == Type.TIMESTAMP:
        return _timestamp(column, mode, v)
    if kind == Type.TIME and not column.decimals:
        return f"TIME_Q[{v}]" if mode == "literal" else f"TIME[{v}]"
    if kind == Type.TIME:
        text = f"time_text({v}, {column.decimals})"
        return f"b\"'%b'\" % {text}" if mode == "literal" else text
    if kind == Type.JSON and (mode != "literal" or column.written_as != "text"):
        return f"json_literal({v})" if mode == "literal" else f"json_text({v})"
    if kind in _COMPRESSED:
        v = f"inflate({v})"
    elif kind == Type.STRING and column.charset == BINARY:
        v = f"{v}.ljust({column.length}, b'\\0')"  # the binlog leaves trailing zero bytes out
    elif kind == Type.JSON:
        v = f"json_text({v})"
    elif kind not in _STRINGS and kind not in _RAW:
        raise DecodeError(f"a column of {column.type_name} cannot be carried yet", where=f"column {column.name}")
    if mode != "literal":
        return v
    introducer = "utf8mb4" if column.written_as == "json" else column.introducer
    return f"b'_{introducer}' + {_quoted(v)}" if introducer else _quoted(v)


def _number(mode: Mode, v: str) -> str:
    return v if mode == "value" else f"b'%d' % {v}"


def _float(kind: int, v: str) -> str:
    """The common numbers without a call: of a size that ``repr`` prints without an exponent, or far from FLOAT's limit."""
    if kind == Type.FLOAT:
        return f"(b'%.8e' % {v} if 1e-30 < {v} < 1e30 or -1e30 < {v} < -1e-30 else single_literal({v}))"
    return f"(b'%ae0' % {v} if 1e-4 <= {v} < 1e16 or -1e16 < {v} <= -1e-4 else double_literal({v}))"


def _quoted(v: str) -> str:
    return f"""b"'%b'" % {v}.replace(b"\\\\", b"\\\\\\\\").replace(b"'", b"''")"""


def _datetime(column: Column, mode: Mode, v: str) -> str:
    q = "_Q" if mode == "literal" else ""
    decimals = column.decimals
    if not decimals:
        return f"DAY{q}[(x := fb({v})) >> 17] + CLOCK{q}[x & 0x1FFFF]"
    bits = 8 * ((decimals + 1) // 2)
    return _with_fraction(f"DAY{q}[(x := fb({v})) >> {bits + 17}]", f"CLOCK[x >> {bits} & 0x1FFFF]", column, q)


def _timestamp(column: Column, mode: Mode, v: str) -> str:
    """Zero seconds are the zero timestamp."""
    q, quote = ("_Q", "'") if mode == "literal" else ("", "")
    decimals = column.decimals
    zero = f'b"{quote}0000-00-00 00:00:00{"." + "0" * decimals if decimals else ""}{quote}"'
    if not decimals:
        return f"(SDAY{q}[x // 86400] + STIME{q}[x % 86400] if (x := fb({v})) else {zero})"
    bits = 8 * ((decimals + 1) // 2)
    made = _with_fraction(f"SDAY{q}[(y := x >> {bits}) // 86400]", "STIME[y % 86400]", column, q)
    return f"({made} if (x := fb({v})) >> {bits} else {zero})"


def _with_fraction(day: str, clock: str, column: Column, q: str) -> str:
    """Joins day, time of day and the fraction in the low bytes of ``x``, whose digits come from tables."""
    decimals = column.decimals
    stored = f"x & {(1 << 8 * ((decimals + 1) // 2)) - 1:#x}"
    if decimals <= 4:
        return f"{day} + {clock} + FRACTION{q}[{decimals}][{stored}]"
    return f"{day} + {clock} + FRACTION[4][(z := {stored}) // 100] + LAST{q}[{decimals - 4}][z % 100]"


def _decimal(column: Column, v: str) -> str:
    """Groups of nine digits, big-endian; the top bit is the inverted sign, and a negative number's bits are inverted."""
    size, groups, parts = decimal_layout(column.precision, column.decimals)
    at = 8 * size
    top, ones = 1 << at - 1, (1 << at) - 1
    terms = []
    for _, width in groups + parts:
        at -= 8 * width
        terms.append(f"(@ >> {at} & {(1 << 8 * width) - 1:#x})")
    power = sum(digits for digits, _ in groups)
    whole = []
    for (digits, _), term in zip(groups, terms, strict=False):
        power -= digits
        whole.append(f"{term} * {10**power}" if power else term)
    fraction = terms[len(groups) :]
    if len(parts) == 1 and parts[0][0] <= _TABLED_DIGITS_MAX:  # from a table; formatting takes twice as long
        form, tail, fraction = "%d", f" + PART[{parts[0][0]}][{fraction[0]}]", []
    else:
        form, tail = "%d" + ("." if parts else "") + "".join(f"%0{digits}d" for digits, _ in parts), ""
    made = f"% ({', '.join([' + '.join(whole) or '0', *fraction])},){tail}"
    negative = made.replace("@", f"(x := x ^ {ones:#x})", 1).replace("@", "x")
    positive = made.replace("@", "x")
    return f"(b'{form}' {positive} if (x := fb({v}) ^ {top:#x}) < {top:#x} else b'-{form}' {negative})"
