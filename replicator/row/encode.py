"""Writes table maps and cuts row images, for rows that are changed on their way: the inverse of ``tablemap`` and ``decode``.

Only for tables with masks, dropped columns or row filters; all others are shipped raw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..errors import DecodeError
from ..model import FLAVOR_MARIADB
from .tablemap import CHARACTER, MARIADB_CHARACTER, NUMERIC
from .types import Column, TableMap, Type

__all__ = ["RowCutter", "bitmap", "encode_table_map", "lenenc", "packed_value"]

_FIXED = {
    Type.TINY: 1,
    Type.SHORT: 2,
    Type.INT24: 3,
    Type.LONG: 4,
    Type.LONGLONG: 8,
    Type.FLOAT: 4,
    Type.DOUBLE: 8,
    Type.YEAR: 1,
    Type.DATE: 3,
}
_FRACTIONAL = {Type.TIMESTAMP: 4, Type.DATETIME: 5, Type.TIME: 3}
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def lenenc(number: int) -> bytes:
    """A length-encoded integer."""
    if number < 251:
        return bytes([number])
    for first, width in ((252, 2), (253, 3)):
        if number < 1 << 8 * width:
            return bytes([first]) + number.to_bytes(width, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def encode_table_map(table_map: TableMap) -> bytes:
    """The body of a TABLE_MAP event behind table id and flags, with full metadata."""
    columns = table_map.columns
    parts = [
        *(bytes([len(n)]) + n + b"\0" for n in (table_map.schema.encode(), table_map.table.encode())),
        lenenc(len(columns)),
        bytes([_type_code(c) for c in columns]),
        _string(b"".join([_metadata(c) for c in columns])),
        bitmap([c.nullable for c in columns]),
    ]
    character = MARIADB_CHARACTER if table_map.flavor == FLAVOR_MARIADB else CHARACTER
    labelled = [c for c in columns if c.type in (Type.ENUM, Type.SET)]
    fields: list[tuple[int, bytes]] = [
        (1, _top_bits([c.unsigned for c in columns if c.type in NUMERIC])),
        (3, b"".join([lenenc(c.charset) for c in columns if c.type in character])),
        (4, b"".join([_string(c.name.encode()) for c in columns])),
        (5, _labels([c for c in labelled if c.type == Type.SET])),
        (6, _labels([c for c in labelled if c.type == Type.ENUM])),
        (7, b"".join([lenenc(c.geometry or 0) for c in columns if c.type == Type.GEOMETRY])),
        (11, b"".join([lenenc(c.charset) for c in labelled])),
        (12, _top_bits([c.visible for c in columns])),
        (13, b"".join([lenenc(c.dimensions) for c in columns if c.type == Type.VECTOR])),
    ]
    if any(table_map.prefixes):
        pairs = zip(table_map.primary_key, table_map.prefixes, strict=True)
        fields.append((9, b"".join([lenenc(i) + lenenc(size) for i, size in pairs])))
    else:
        fields.append((8, b"".join([lenenc(i) for i in table_map.primary_key])))
    return b"".join([*parts, *(bytes([kind]) + _string(data) for kind, data in fields if data)])


def bitmap(bits: Sequence[bool]) -> bytes:
    """Bits from the lowest up."""
    value = sum(1 << i for i, bit in enumerate(bits) if bit)
    return value.to_bytes((len(bits) + 7) // 8, "little")


def packed_value(column: Column, value: bytes) -> bytes:
    """A value of a column whose length stands in front of it."""
    if len(value) > column.length:
        raise DecodeError(f"a value of {len(value)} bytes for column {column.name}, which takes {column.length}")
    return len(value).to_bytes(column.length_bytes, "little") + value


class RowCutter:
    """Cuts the images of one table into the raw bytes of each column."""

    def __init__(self, table_map: TableMap) -> None:
        self._columns = table_map.columns
        self._sizes: list[Callable[[bytes, int], int]] = [_sizer(c) for c in table_map.columns]

    def image(self, data: bytes, at: int) -> tuple[list[bytes | None], int]:
        """The columns of the image at ``at`` (None: NULL), and the position behind it. Raises DecodeError."""
        nulls_end = at + (len(self._columns) + 7) // 8
        nulls = int.from_bytes(data[at:nulls_end], "little")
        at = nulls_end
        cut: list[bytes | None] = []
        for i, size in enumerate(self._sizes):
            if nulls >> i & 1:
                cut.append(None)
                continue
            end = at + size(data, at)
            if end > len(data):
                raise DecodeError("a row image is cut short")
            cut.append(data[at:end])
            at = end
        return cut, at


def _sizer(column: Column) -> Callable[[bytes, int], int]:
    width = column.length_bytes
    if width:
        return lambda data, at: width + int.from_bytes(data[at : at + width], "little")
    size = _fixed_size(column)
    return lambda data, at: size


def _fixed_size(column: Column) -> int:
    kind = Type(column.type)
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _FRACTIONAL:
        return _FRACTIONAL[kind] + (column.decimals + 1) // 2
    if kind == Type.BIT:
        return (column.bits + 7) // 8
    if kind in (Type.ENUM, Type.SET):
        return column.length
    if kind == Type.DECIMAL:
        whole, fraction = divmod(column.precision - column.decimals, 9), divmod(column.decimals, 9)
        return whole[0] * 4 + _DIGIT_BYTES[whole[1]] + fraction[0] * 4 + _DIGIT_BYTES[fraction[1]]
    raise DecodeError(f"a column of type {kind.name} cannot be cut out of a row", where=f"column {column.name}")


def _type_code(column: Column) -> int:
    return Type.STRING if column.type in (Type.ENUM, Type.SET) else column.type


def _metadata(column: Column) -> bytes:
    kind = Type(column.type)
    if kind in (Type.FLOAT, Type.DOUBLE):
        return bytes([_FIXED[kind]])
    if kind in _FRACTIONAL:
        return bytes([column.decimals])
    if kind == Type.DECIMAL:
        return bytes([column.precision, column.decimals])
    if kind == Type.BIT:
        return bytes([column.bits % 8, column.bits // 8])
    if kind in (Type.ENUM, Type.SET):
        return bytes([kind, column.length])
    if kind in (Type.VARCHAR, Type.VAR_STRING, Type.VARCHAR_COMPRESSED):
        return column.length.to_bytes(2, "little")
    if kind == Type.STRING:
        return bytes([Type.STRING ^ (column.length >> 4 & 0x30), column.length & 0xFF])
    if column.length_bytes:
        return bytes([column.length_bytes])
    return b""


def _string(data: bytes) -> bytes:
    return lenenc(len(data)) + data


def _labels(columns: Iterable[Column]) -> bytes:
    return b"".join([lenenc(len(c.members)) + b"".join([_string(m) for m in c.members]) for c in columns])


def _top_bits(bits: Sequence[bool]) -> bytes:
    """Bits from the highest of the first byte down."""
    data = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        data[i >> 3] |= bit << 7 - (i & 7)
    return bytes(data)
