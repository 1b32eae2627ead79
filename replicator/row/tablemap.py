"""Parses TABLE_MAP events with full metadata, of MySQL 8.0 to 9.x and MariaDB 10.5 and later.

Column names, signedness, character sets and labels are only there with ``binlog_row_metadata=FULL``; without names no row
can be written by SQL, so such a map is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from ..errors import DecodeError
from ..model import FLAVOR_MARIADB
from .types import Column, TableMap, Type

__all__ = ["parse_table_map", "read_lenenc"]

_SIGNEDNESS, _DEFAULT_CHARSET, _COLUMN_CHARSET, _COLUMN_NAME, _SET_LABELS, _ENUM_LABELS, _GEOMETRY_TYPE = range(1, 8)
_SIMPLE_PRIMARY_KEY, _PREFIXED_PRIMARY_KEY, _ENUM_SET_DEFAULT_CHARSET, _ENUM_SET_COLUMN_CHARSET = range(8, 12)
_VISIBILITY, _VECTOR_DIMENSIONS = 12, 13

NUMERIC = frozenset(
    {Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG, Type.DECIMAL, Type.FLOAT, Type.DOUBLE, Type.YEAR}
)
_BLOBS = frozenset({Type.TINY_BLOB, Type.MEDIUM_BLOB, Type.LONG_BLOB, Type.BLOB})
CHARACTER = _BLOBS | {Type.VARCHAR, Type.VAR_STRING, Type.STRING, Type.VECTOR}
MARIADB_CHARACTER = CHARACTER | {Type.GEOMETRY, Type.BLOB_COMPRESSED, Type.VARCHAR_COMPRESSED}
_COMPRESSED = frozenset({Type.BLOB_COMPRESSED, Type.VARCHAR_COMPRESSED})
_FRACTIONAL = frozenset({Type.TIMESTAMP, Type.DATETIME, Type.TIME})
_BARE = frozenset({Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG, Type.YEAR, Type.DATE})
_OLD_TEMPORAL = frozenset({Type.TIMESTAMP_OLD, Type.TIME_OLD, Type.DATETIME_OLD})


def parse_table_map(body: bytes, flavor: str) -> TableMap:
    """Parse the body of a TABLE_MAP event behind table id and flags.

    Raises DecodeError where the bytes do not follow the format, where names are missing, and for a type whose values
    cannot be carried.
    """
    try:
        return _parse(body, flavor)
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise DecodeError(
            "a table map is malformed", remedy="the stream or the origin's binlog is damaged: check it with mysqlbinlog"
        ) from error


def read_lenenc(data: bytes, at: int) -> tuple[int, int]:
    """Read a length-encoded integer; returns it and the position behind it. Raises IndexError at the end of ``data``."""
    first = data[at]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}[first]
    if at + 1 + width > len(data):
        raise IndexError("a length is cut short")
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _take(data: bytes, at: int, size: int) -> bytes:
    if size < 0 or at + size > len(data):
        raise IndexError("cut short")
    return data[at : at + size]


def _parse(body: bytes, flavor: str) -> TableMap:
    at = 0
    names: list[str] = []
    for _ in range(2):
        size = body[at]
        names.append(_take(body, at + 1, size).decode())
        if body[at + 1 + size]:
            raise ValueError("a name is not closed")
        at += size + 2
    schema, table = names
    count, at = read_lenenc(body, at)
    types = _take(body, at, count)
    at += count
    size, at = read_lenenc(body, at)
    metadata = _take(body, at, size)
    at += size
    nulls = _take(body, at, (count + 7) // 8)
    at += len(nulls)
    fields = dict(_fields(body, at))
    if not count:
        raise ValueError("no columns")
    if _COLUMN_NAME not in fields:
        raise DecodeError(
            "a table map does not name its columns",
            where=f"table {schema}.{table}",
            remedy="SET GLOBAL binlog_row_metadata=FULL at the origin, then load the tables changed before it anew",
        )
    columns = _columns(types, metadata, nulls, fields, flavor, f"{schema}.{table}")
    key, prefixes = _primary_key(fields, count)
    return TableMap(schema, table, columns, key, prefixes, flavor)


def _fields(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The optional metadata: type, length, value until the end. Later ones unknown to us describe nothing we need."""
    while at < len(body):
        kind = body[at]
        size, at = read_lenenc(body, at + 1)
        yield kind, _take(body, at, size)
        at += size


def _columns(
    types: bytes, metadata: bytes, nulls: bytes, fields: dict[int, bytes], flavor: str, table: str
) -> tuple[Column, ...]:
    count = len(types)
    names = [name.decode() for name in _strings(fields[_COLUMN_NAME])]
    if len(names) != count:
        raise ValueError("another number of names than of columns")
    shapes: list[tuple[int, dict[str, Any]]] = []
    at = 0
    for i, code in enumerate(types):
        real, shape, at = _shape(code, metadata, at, lambda i=i: f"{table}.{names[i]}")
        shapes.append((real, shape))
    if at != len(metadata):
        raise ValueError("more metadata than columns need")
    reals = [real for real, _ in shapes]
    unsigned = _bits(fields.get(_SIGNEDNESS, b""), [i for i in range(count) if reals[i] in NUMERIC])
    character = MARIADB_CHARACTER if flavor == FLAVOR_MARIADB else CHARACTER
    charsets = _charsets(fields, _DEFAULT_CHARSET, _COLUMN_CHARSET, [i for i in range(count) if reals[i] in character])
    labelled = [i for i in range(count) if reals[i] in (Type.ENUM, Type.SET)]
    charsets |= _charsets(fields, _ENUM_SET_DEFAULT_CHARSET, _ENUM_SET_COLUMN_CHARSET, labelled)
    members = _members(fields.get(_ENUM_LABELS, b""), [i for i in labelled if reals[i] == Type.ENUM])
    members |= _members(fields.get(_SET_LABELS, b""), [i for i in labelled if reals[i] == Type.SET])
    geometries = _numbers(fields.get(_GEOMETRY_TYPE, b""), [i for i in range(count) if reals[i] == Type.GEOMETRY])
    dimensions = _numbers(fields.get(_VECTOR_DIMENSIONS, b""), [i for i in range(count) if reals[i] == Type.VECTOR])
    hidden = _invisible(fields.get(_VISIBILITY), count)
    return tuple(
        Column(
            name=names[i],
            type=real,
            nullable=bool(nulls[i >> 3] >> (i & 7) & 1),
            unsigned=i in unsigned,
            charset=0 if real == Type.GEOMETRY else charsets.get(i, 0),
            members=members.get(i, ()),
            visible=i not in hidden,
            geometry=geometries.get(i),
            dimensions=dimensions.get(i, 0),
            **shape,
        )
        for i, (real, shape) in enumerate(shapes)
    )


def _shape(code: int, metadata: bytes, at: int, name: object) -> tuple[int, dict[str, Any], int]:
    """The real type, how its values lie in a row, and the position behind its metadata."""
    if code in _BARE:
        return code, {}, at
    if code in (Type.FLOAT, Type.DOUBLE):
        if metadata[at] != (4 if code == Type.FLOAT else 8):
            raise ValueError("a floating point number of odd size")
        return code, {}, at + 1
    if code == Type.DECIMAL:
        precision, decimals = metadata[at], metadata[at + 1]
        if not 0 < precision <= 65 or decimals > min(precision, 38):
            raise ValueError("a DECIMAL out of range")
        return code, {"precision": precision, "decimals": decimals}, at + 2
    if code in _FRACTIONAL:
        if metadata[at] > 6:
            raise ValueError("more than 6 fraction digits")
        return code, {"decimals": metadata[at]}, at + 1
    if code == Type.BIT:
        bits = metadata[at] + 8 * metadata[at + 1]
        if not 0 < bits <= 64 or metadata[at] > 7:
            raise ValueError("a BIT out of range")
        return code, {"bits": bits}, at + 2
    if code in (Type.VARCHAR, Type.VAR_STRING, Type.VARCHAR_COMPRESSED):
        length = metadata[at] | metadata[at + 1] << 8
        return code, {"length": length, "length_bytes": 1 if length < 256 else 2}, at + 2
    if code in _BLOBS or code in (Type.BLOB_COMPRESSED, Type.GEOMETRY, Type.JSON, Type.VECTOR):
        width = metadata[at]
        if not 0 < width <= 4:
            raise ValueError("a BLOB with an odd length")
        real = Type.BLOB if code in _BLOBS else code
        return real, {"length": (1 << 8 * width) - 1, "length_bytes": width}, at + 1
    if code in (Type.STRING, Type.ENUM, Type.SET):
        return *_string_shape(metadata[at], metadata[at + 1]), at + 2
    raise _refusal(code, name() if callable(name) else "")


def _string_shape(first: int, second: int) -> tuple[int, dict[str, Any]]:
    """STRING hides ENUM and SET, and in two bits the top of lengths over 255, inverted."""
    if first in (Type.ENUM, Type.SET):
        if second not in ((1, 2) if first == Type.ENUM else (1, 2, 3, 4, 8)):
            raise ValueError("an ENUM or SET of odd size")
        return first, {"length": second}
    if first | 0x30 != Type.STRING:
        raise ValueError("a STRING of another type")
    length = second | ((first & 0x30) ^ 0x30) << 4
    return Type.STRING, {"length": length, "length_bytes": 1 if length < 256 else 2}


def _refusal(code: int, where: str) -> DecodeError:
    if code in _OLD_TEMPORAL:
        return DecodeError(
            f"a column of the old temporal type {Type(code).name}, whose fraction digits the binlog does not tell",
            where=f"column {where}",
            remedy="SET GLOBAL mysql56_temporal_format=ON and ALTER TABLE ... FORCE at the origin, or exclude the table",
        )
    return DecodeError(
        f"a column of type code {code}, which cannot be carried",
        where=f"column {where}",
        remedy="exclude the table from the flow, or change the column's type",
    )


def _strings(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size, at = read_lenenc(data, at)
        yield _take(data, at, size)
        at += size


def _integers(data: bytes) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(data):
        number, at = read_lenenc(data, at)
        found.append(number)
    return found


def _bits(data: bytes, ordinals: list[int]) -> set[int]:
    """The columns whose bit is set; the first column's is the top bit of the first byte."""
    if len(data) != (len(ordinals) + 7) // 8:
        raise ValueError("the signedness does not fit the numeric columns")
    return {i for n, i in enumerate(ordinals) if data[n >> 3] << (n & 7) & 0x80}


def _invisible(data: bytes | None, count: int) -> set[int]:
    return set() if data is None else set(range(count)) - _bits(data, list(range(count)))


def _charsets(fields: dict[int, bytes], default: int, each: int, ordinals: list[int]) -> dict[int, int]:
    """Collation ids: one for each column, or a default with exceptions (pairs of place and id)."""
    if each in fields:
        ids = _integers(fields[each])
        if len(ids) != len(ordinals):
            raise ValueError("the character sets do not fit the columns")
        return dict(zip(ordinals, ids, strict=True))
    if default not in fields:
        if ordinals:
            raise ValueError("no character sets")
        return {}
    usual, *pairs = _integers(fields[default])
    found = dict.fromkeys(ordinals, usual)
    for place, collation in zip(pairs[::2], pairs[1::2], strict=True):
        found[ordinals[place]] = collation
    return found


def _numbers(data: bytes, ordinals: list[int]) -> dict[int, int]:
    numbers = _integers(data)
    if numbers and len(numbers) != len(ordinals):
        raise ValueError("numbers that do not fit the columns")
    return dict(zip(ordinals, numbers, strict=False))


def _members(data: bytes, ordinals: list[int]) -> dict[int, tuple[bytes, ...]]:
    found: dict[int, tuple[bytes, ...]] = {}
    at = 0
    for i in ordinals:
        count, at = read_lenenc(data, at)
        labels: list[bytes] = []
        for _ in range(count):
            size, at = read_lenenc(data, at)
            labels.append(_take(data, at, size))
            at += size
        found[i] = tuple(labels)
    if at != len(data):
        raise ValueError("more labels than columns")
    return found


def _primary_key(fields: dict[int, bytes], count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if _PREFIXED_PRIMARY_KEY in fields:
        numbers = _integers(fields[_PREFIXED_PRIMARY_KEY])
        key, prefixes = tuple(numbers[::2]), tuple(numbers[1::2])
    else:
        key = tuple(_integers(fields.get(_SIMPLE_PRIMARY_KEY, b"")))
        prefixes = (0,) * len(key)
    if len(key) != len(prefixes) or any(i >= count for i in key):
        raise ValueError("a primary key of columns that are not there")
    return key, prefixes
