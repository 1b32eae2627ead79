"""Values of fixed size, read together by struct calls of both byte orders, against plain arithmetic on each value's bytes."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.row.decimals import decimal_layout, decimal_text
from replicator.row.decode import Mode, decoder
from replicator.row.types import Column, TableMap, Type

Drawn = tuple[Column, bytes, bytes]
"""A column, the bytes of a value in a row, and the text that it must become."""

_SIZES = {Type.TINY: 1, Type.SHORT: 2, Type.INT24: 3, Type.LONG: 4, Type.LONGLONG: 8}
_MODES: tuple[Mode, ...] = ("literal", "text")
_QUOTED = frozenset({Type.DATETIME, Type.TIMESTAMP, Type.VARCHAR})


def _integer(draw: st.DrawFn) -> Drawn:
    kind, unsigned = draw(st.sampled_from(sorted(_SIZES))), draw(st.booleans())
    size = _SIZES[kind]
    raw = draw(st.one_of(st.binary(min_size=size, max_size=size), st.sampled_from([b"\xff" * size, b"\0" * size])))
    return Column("c", kind, True, unsigned=unsigned), raw, b"%d" % int.from_bytes(raw, "little", signed=not unsigned)


def _bits(draw: st.DrawFn) -> Drawn:
    bits = draw(st.integers(1, 64))
    value = draw(st.integers(0, (1 << bits) - 1))
    return Column("c", Type.BIT, True, bits=bits), value.to_bytes((bits + 7) // 8, "big"), b"%d" % value


def _set(draw: st.DrawFn) -> Drawn:
    size = draw(st.sampled_from([1, 2, 3, 4, 8]))
    raw = draw(st.binary(min_size=size, max_size=size))
    return Column("c", Type.SET, True, length=size), raw, b"%d" % int.from_bytes(raw, "little")


def _decimal(draw: st.DrawFn) -> Drawn:
    precision = draw(st.integers(1, 65))
    decimals = draw(st.integers(0, min(precision, 30)))
    size, groups, parts = decimal_layout(precision, decimals)
    packed = 0
    for digits, width in groups + parts:
        packed = packed << 8 * width | draw(st.one_of(st.integers(0, 10**digits - 1), st.sampled_from([0, 10**digits - 1])))
    packed ^= 1 << 8 * size - 1
    if draw(st.booleans()):
        packed ^= (1 << 8 * size) - 1
    raw = packed.to_bytes(size, "big")
    return Column("c", Type.DECIMAL, True, precision=precision, decimals=decimals), raw, decimal_text(raw, precision, decimals)


def _fraction(draw: st.DrawFn, digits: int) -> tuple[bytes, str]:
    if not digits:
        return b"", ""
    size = (digits + 1) // 2
    fraction = draw(st.integers(0, 10**digits - 1))
    return (fraction * 10 ** (2 * size - digits)).to_bytes(size, "big"), f".{fraction:0{digits}}"


def _datetime(draw: st.DrawFn) -> Drawn:
    digits = draw(st.integers(0, 6))
    year, month, day = draw(st.integers(0, 9999)), draw(st.integers(0, 12)), draw(st.integers(0, 31))
    hour, minute, second = draw(st.integers(0, 23)), draw(st.integers(0, 59)), draw(st.integers(0, 59))
    date, clock = (year * 13 + month) << 5 | day, hour << 12 | minute << 6 | second
    last, printed = _fraction(draw, digits)
    text = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{printed}"
    raw = (1 << 39 | date << 17 | clock).to_bytes(5, "big") + last
    return Column("c", Type.DATETIME, True, decimals=digits), raw, text.encode()


def _timestamp(draw: st.DrawFn) -> Drawn:
    digits = draw(st.integers(0, 6))
    edges = [0, 1, 65_535, 65_536, 86_399, 86_400, 131_071, 2**31 - 1, 2**31, 2**32 - 1]
    seconds = draw(st.one_of(st.integers(0, 2**32 - 1), st.sampled_from(edges)))
    last, printed = _fraction(draw, digits)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    text = moment.isoformat(" ") + printed
    if not seconds:
        last, text = bytes(len(last)), "0000-00-00 00:00:00" + ("." + "0" * digits if digits else "")
    return Column("c", Type.TIMESTAMP, True, decimals=digits), seconds.to_bytes(4, "big") + last, text.encode()


def _varchar(draw: st.DrawFn) -> Drawn:
    width = draw(st.integers(1, 4))
    text = draw(st.text("a'\\\0 ,", max_size=9)).encode()
    return (
        Column("c", Type.VARCHAR, True, charset=45, length=99, length_bytes=width),
        len(text).to_bytes(width, "little") + text,
        text,
    )


_KINDS: tuple[Callable[[st.DrawFn], Drawn], ...] = (_integer, _bits, _set, _decimal, _datetime, _timestamp, _varchar)


@st.composite
def rows(draw: st.DrawFn) -> tuple[TableMap, bytes, list[bytes | None]]:
    """A table, a row's event without its NULLs, and the row's texts."""
    drawn = [draw(st.sampled_from(_KINDS))(draw) for _ in range(draw(st.integers(1, 20)))]
    nulls = draw(st.one_of(st.just(0), st.integers(0, (1 << len(drawn)) - 1)))
    nulls &= -draw(st.booleans())
    width = (len(drawn) + 7) // 8
    payload = bytes(6) + struct.pack("<HHB", 1, 2, len(drawn)) + b"\xff" * width + nulls.to_bytes(width, "little")
    payload += b"".join(raw for i, (_, raw, _) in enumerate(drawn) if not nulls >> i & 1)
    columns = tuple(column for column, _, _ in drawn)
    texts = [None if nulls >> i & 1 else text for i, (_, _, text) in enumerate(drawn)]
    return TableMap("s", "t", columns, (), (), "mysql"), payload, texts


def _literal(column: Column, text: bytes | None) -> bytes:
    if text is None:
        return b"NULL"
    return b"'%b'" % text.replace(b"\\", b"\\\\").replace(b"'", b"''") if column.type in _QUOTED else text


@settings(max_examples=200, deadline=None)
@given(rows())
def test_runs_of_values(drawn: tuple[TableMap, bytes, list[bytes | None]]) -> None:
    """Whatever stands beside a value, and whichever values are NULL, it is read as its own bytes say."""
    table_map, payload, texts = drawn
    forms: dict[str, Any] = {}
    for mode in _MODES:
        ((before, forms[mode]),) = decoder(table_map, before=mode, after=mode)(30, payload)
        assert before is None
    assert list(forms["text"]) == texts
    assert list(forms["literal"]) == [_literal(c, text) for c, text in zip(table_map.columns, texts, strict=True)]
