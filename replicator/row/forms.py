"""How each type lies in a row image, and the Python expression that turns it into each form.

``shape`` says how to read a column's raw value: fixed-size ones in pieces that struct knows, the others as bytes behind a length.
``expression`` says how to make a literal, text or value of the raw one. ``decode`` compiles these into one function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import DecodeError
from .charsets import BINARY, charset_name, codec_name
from .compressed import column_bytes
from .decimals import Groups, decimal_layout
from .floats import double_literal, double_text, single_literal
from .jsondiff import json_patched
from .jsonparse import parsed_literal, parsed_text
from .jsontext import json_literal, json_text
from .temporal import (
    CLOCKS,
    CLOCKS_QUOTED,
    DATE,
    DATE_QUOTED,
    DAY,
    DAY_QUOTED,
    LAST_DIGITS,
    LAST_DIGITS_QUOTED,
    SECONDS_A_DAY,
    SHORT_FRACTIONS,
    SHORT_FRACTIONS_QUOTED,
    STAMP,
    STAMP_QUOTED,
    TIME,
    TIME_QUOTED,
    format_time,
)
from .types import Column, Type

__all__ = ["NAMESPACE", "NULL", "Mode", "Shape", "expression", "quoted", "shape"]

Mode = Literal["literal", "text", "value"]

NULL = b"NULL"
"""The literal of NULL."""


def quoted(data: bytes) -> bytes:
    """A string literal for any bytes, in a session with ``SET NAMES binary`` and without NO_BACKSLASH_ESCAPES."""
    return b"'%b'" % data.replace(b"\\", b"\\\\").replace(b"'", b"''")


def uncut(text: bytes, room: int, codec: str, name: str) -> bytes:
    """The text, unless the target would cut spaces from its end without an error; what else is too long it refuses itself."""
    if len(text) <= room:
        return text
    try:
        characters = text.decode(codec)
    except (LookupError, UnicodeDecodeError):
        characters = text.decode("latin-1")
    if len(characters) > room and not characters[room:].strip(" "):
        raise DecodeError(
            f"a text ends with spaces that the target's column, of {room} characters, would cut off without an error",
            where=f"column {name}",
            remedy="make the target's column as long as the origin's, then `replicator resume`",
        )
    return text


@dataclass(frozen=True, slots=True)
class Shape:
    """``codes`` and ``size``: struct codes of the pieces, ``big``-endian or little-endian, and the bytes of them all.

    Or ``prefix``: the bytes of a length in front.
    """

    codes: tuple[str, ...] = ()
    size: int = 0
    big: bool = False
    prefix: int = 0

    def names(self, v: str) -> list[str]:
        """The names of the pieces of the column ``v``: its own where there is one."""
        return [v] if len(self.codes) < 2 else [f"{v}_{n}" for n in range(len(self.codes))]


_INTEGERS = {
    Type.TINY: (("b",), 1),
    Type.SHORT: (("h",), 2),
    Type.INT24: (("H", "b"), 3),
    Type.LONG: (("i",), 4),
    Type.LONGLONG: (("q",), 8),
}
_FLAGS = {1: ("B",), 2: ("H",), 3: ("H", "B"), 4: ("I",), 8: ("Q",)}
_BIG = {1: ("B",), 2: ("H",), 3: ("H", "B"), 4: ("I",), 5: ("I", "B"), 6: ("I", "H"), 7: ("I", "H", "B"), 8: ("Q",)}
"""The pieces of a big-endian number, by its bytes."""
_BITS = {"B": 8, "H": 16, "I": 32, "Q": 64}
_STRINGS = frozenset({Type.VARCHAR, Type.VAR_STRING, Type.STRING, Type.BLOB})
_COMPRESSED = frozenset({Type.BLOB_COMPRESSED, Type.VARCHAR_COMPRESSED})
_TABLED_DIGITS_MAX = 4
_RAW = frozenset({Type.GEOMETRY, Type.VECTOR})
_YEARS = [0, *range(1901, 2156)]

NAMESPACE: dict[str, Any] = {
    "NULL": NULL,
    "fb": int.from_bytes,
    "DATE": DATE,
    "DATE_Q": DATE_QUOTED,
    "DAY": DAY,
    "DAY_Q": DAY_QUOTED,
    "TIME": TIME,
    "TIME_Q": TIME_QUOTED,
    "STAMP": STAMP,
    "STAMP_Q": STAMP_QUOTED,
    "CLOCKS": CLOCKS,
    "CLOCKS_Q": CLOCKS_QUOTED,
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
    "quoted": quoted,
    "uncut": uncut,
    "double_literal": double_literal,
    "single_literal": single_literal,
    "double_text": double_text,
    "inflate": column_bytes,
    "json_literal": json_literal,
    "json_text": json_text,
    "json_patched": json_patched,
    "parsed_literal": parsed_literal,
    "parsed_text": parsed_text,
}
"""What the expressions refer to."""


def shape(column: Column) -> Shape:
    """How the column's raw value is read. Raises DecodeError for a type that cannot be carried."""
    kind = column.type
    if kind in _INTEGERS:
        codes, size = _INTEGERS[Type(kind)]
        return Shape((*codes[:-1], codes[-1].upper()) if column.unsigned else codes, size)
    if kind == Type.FLOAT:
        return Shape(("f",), 4)
    if kind == Type.DOUBLE:
        return Shape(("d",), 8)
    if kind == Type.YEAR:
        return Shape(("B",), 1)
    if kind == Type.DATE:
        return _bytes(3)
    if kind == Type.DECIMAL:
        size, groups, parts = decimal_layout(column.precision, column.decimals)
        return Shape(tuple(code for _, width in groups + parts for code in _BIG[width]), size, big=True)
    if kind == Type.BIT:
        size = (column.bits + 7) // 8
        return Shape(_BIG[size], size, big=True)
    if kind in (Type.ENUM, Type.SET):
        return Shape(_FLAGS[column.length], column.length)
    fraction = (column.decimals + 1) // 2
    digits = _BIG[fraction] if fraction else ()
    if kind == Type.DATETIME:
        return Shape(("3s", "H", *digits), 5 + fraction, big=True)
    if kind == Type.TIMESTAMP:
        return Shape(("H", "H", *digits), 4 + fraction, big=True)
    if kind == Type.TIME:
        return _bytes(3 + fraction)
    if column.length_bytes:
        return Shape(prefix=column.length_bytes)
    raise DecodeError(
        f"a column of {column.type_name}, which cannot be carried",
        where=f"column {column.name}",
        remedy="exclude the table from the flow, or change the column's type",
    )


def _bytes(size: int) -> Shape:
    return Shape((f"{size}s",), size)


def _joined(names: list[str], codes: tuple[str, ...], *, big: bool) -> str:
    """The number that lies in pieces."""
    terms, bits = [], 0
    for name, code in list(zip(names, codes, strict=True))[:: -1 if big else 1]:
        terms.append(f"{name} << {bits}" if bits else name)
        bits += _BITS[code.upper()]
    return terms[0] if len(terms) == 1 else f"({' | '.join(reversed(terms))})"


def expression(column: Column, mode: Mode, v: str) -> str:
    """A Python expression over the raw value's name ``v`` (read as ``shape`` says), in terms of ``NAMESPACE``.

    Where the value lies in pieces, over the names of these. It may use the names d, s, x and z.
    """
    kind = column.type
    if kind in _INTEGERS:
        if kind == Type.INT24:
            v = f"({v}_1 << 16 | {v}_0)"
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
        lies = shape(column)
        return _flags(mode, _joined(lies.names(v), lies.codes, big=True), lies.size)
    if kind in (Type.ENUM, Type.SET):
        return _flags(mode, f"({v}_1 << 16 | {v}_0)" if column.length == 3 else v, column.length)
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
    if column.written_as == "json" and mode != "value":
        v = f"inflate({v})" if kind in _COMPRESSED else v
        codec = codec_name(charset_name(column.charset) or "utf8mb4")
        return f"parsed_{mode}({v}, {codec!r})"
    if kind in _COMPRESSED:
        v = f"inflate({v})"
    elif kind == Type.STRING and column.charset == BINARY:
        v = f"{v}.ljust({column.length}, b'\\0')"  # the binlog leaves trailing zero bytes out
    elif kind == Type.JSON:
        v = f"json_text({v})"
    elif kind not in _STRINGS and kind not in _RAW:
        raise DecodeError(f"a column of {column.type_name} cannot be carried yet", where=f"column {column.name}")
    if column.room:
        v = f"uncut({v}, {column.room}, {codec_name(charset_name(column.charset) or 'latin1')!r}, {column.name!r})"
    if mode != "literal":
        return v
    return f"b'_{column.introducer}' + {_quoted(v)}" if column.introducer else _quoted(v)


def _number(mode: Mode, v: str) -> str:
    return v if mode == "value" else f"b'%d' % {v}"


def _flags(mode: Mode, v: str, size: int) -> str:
    return f"SMALL[{v}]" if size == 1 and mode != "value" else _number(mode, v)


def _float(kind: int, v: str) -> str:
    """The common numbers without a call: of a size that ``repr`` prints without an exponent, or far from FLOAT's limit."""
    if kind == Type.FLOAT:
        return f"(b'%.8e' % {v} if 1e-30 < {v} < 1e30 or -1e30 < {v} < -1e-30 else single_literal({v}))"
    return f"(b'%ae0' % {v} if 1e-4 <= {v} < 1e16 or -1e16 < {v} <= -1e-4 else double_literal({v}))"


def _quoted(v: str) -> str:
    """Two looks cost less than two replacements, and few texts have anything to replace."""
    first = v if v.isidentifier() else f"(x := {v})"
    v = v if v.isidentifier() else "x"
    return f"""(b"'%b'" % {v} if 39 not in {first} and 92 not in {v} else quoted({v}))"""


def _datetime(column: Column, mode: Mode, v: str) -> str:
    """By date and half of the day, then by the time in it."""
    q = "_Q" if mode == "literal" else ""
    times = 2 if q and not column.decimals else 1  # with the closing quote
    return f"(d := DAY{q}[{v}_0])[0] + d[{times}][{v}_1]{_fraction(column, v, q)}"


def _timestamp(column: Column, mode: Mode, v: str) -> str:
    """Zero seconds are the zero timestamp."""
    q, quote = ("_Q", "'") if mode == "literal" else ("", "")
    decimals = column.decimals
    zero = f'b"{quote}0000-00-00 00:00:00{"." + "0" * decimals if decimals else ""}{quote}"'
    day = f"(d[0] if (s := (d := STAMP{q}[{v}_0])[2] + {v}_1) < {SECONDS_A_DAY} else d[1])"
    clocks = "CLOCKS" if decimals else f"CLOCKS{q}"
    return f"({day} + {clocks}[s]{_fraction(column, v, q)} if {v}_0 or {v}_1 else {zero})"


def _fraction(column: Column, v: str, q: str) -> str:
    """Adds the fraction, which lies behind two pieces; its digits come from tables."""
    decimals = column.decimals
    if not decimals:
        return ""
    if decimals <= 4:
        return f" + FRACTION{q}[{decimals}][{v}_2]"
    return f" + FRACTION[4][(z := {v}_2 << 8 | {v}_3) // 100] + LAST{q}[{decimals - 4}][z % 100]"


def _decimal(column: Column, v: str) -> str:
    """Groups of nine digits; the top bit is the inverted sign, and a negative number's bits are inverted."""
    _, groups, parts = decimal_layout(column.precision, column.decimals)
    codes = shape(column).codes
    names = shape(column).names(v)
    top = 1 << _BITS[codes[0]] - 1
    plain = [f"({names[0]} ^ {top:#x})", *names[1:]]
    inverted = [f"({names[0]} ^ {top - 1:#x})"]
    inverted += [f"({name} ^ {(1 << _BITS[code]) - 1:#x})" for name, code in zip(names[1:], codes[1:], strict=True)]
    positive = _digits(_grouped(plain, codes, groups + parts), groups, parts, "")
    negative = _digits(_grouped(inverted, codes, groups + parts), groups, parts, "-")
    return f"({positive} if {names[0]} >= {top:#x} else {negative})"


def _grouped(pieces: list[str], codes: tuple[str, ...], groups: Groups) -> list[str]:
    """The number of each group, of one piece or two."""
    made, at = [], 0
    for _, width in groups:
        count = len(_BIG[width])
        made.append(_joined(pieces[at : at + count], codes[at : at + count], big=True))
        at += count
    return made


def _digits(numbers: list[str], groups: Groups, parts: Groups, sign: str) -> str:
    """Prints a decimal's groups before and behind the point."""
    power = sum(digits for digits, _ in groups)
    whole = []
    for (digits, _), number in zip(groups, numbers, strict=False):
        power -= digits
        whole.append(f"{number} * {10**power}" if power else number)
    before = " + ".join(whole) or "0"
    fraction = numbers[len(groups) :]
    if len(parts) == 1 and parts[0][0] <= _TABLED_DIGITS_MAX:  # from a table; formatting takes twice as long
        return f"b'{sign}%d' % ({before}) + PART[{parts[0][0]}][{fraction[0]}]"
    form = f"{sign}%d" + ("." if parts else "") + "".join(f"%0{digits}d" for digits, _ in parts)
    return f"b'{form}' % ({', '.join([before, *fraction])},)"
