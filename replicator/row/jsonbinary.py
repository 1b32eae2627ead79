"""MySQL's binary JSON as a tree: what JSON columns hold in a row image.

A node is None, a bool, an int, an ``Unsigned`` (JSON_TYPE tells it from an int), a float, bytes (a string, UTF-8), a list, a
dict with keys as stored (by length, then by bytes), or an ``Opaque``: a value of an SQL type that JSON does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["DEPTH_MAX", "Node", "Opaque", "Unsigned", "parse"]

Node = Any
DEPTH_MAX = 100
"""The server takes no deeper documents."""

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY, _LITERAL = range(5)
_INT16, _UINT16, _INT32, _UINT32, _INT64, _UINT64, _DOUBLE, _STRING = range(5, 13)
_OPAQUE = 15
_LITERALS = {0: None, 1: True, 2: False}
_NUMBERS: dict[int, tuple[Callable[..., tuple[Any, ...]], Callable[[Any], Node]]] = {}


class Unsigned(int):
    """A number stored as unsigned, whatever its size."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value of an SQL type, by the type's code in the binlog."""

    kind: int
    data: bytes


for _code, _format, _make in (
    (_INT16, "<h", int),
    (_UINT16, "<H", Unsigned),
    (_INT32, "<i", int),
    (_UINT32, "<I", Unsigned),
    (_INT64, "<q", int),
    (_UINT64, "<Q", Unsigned),
    (_DOUBLE, "<d", float),
):
    _NUMBERS[_code] = (struct.Struct(_format).unpack_from, _make)

_HEAD_SMALL, _HEAD_LARGE = struct.Struct("<HH"), struct.Struct("<II")
_KEY_SMALL, _KEY_LARGE = struct.Struct("<HH"), struct.Struct("<IH")
_VALUE_SMALL, _VALUE_LARGE = struct.Struct("<BH"), struct.Struct("<BI")


def parse(data: bytes) -> Node:
    """The tree of a document; an empty value reads as JSON null, as the server reads it.

    Raises ValueError, IndexError, KeyError or struct.error where the bytes do not follow the format.
    """
    if not data:
        return None
    return _Parser(data).value(data[0], 1, len(data), 0)


class _Parser:
    """Reads values; ``budget`` ends a malformed document whose parts point at each other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._budget = len(data)

    def value(self, kind: int, at: int, end: int, depth: int) -> Node:
        """The value of ``kind`` at ``at``, in a container (or a document) that ends at ``end``."""
        data = self._data
        if kind == _STRING:
            size, at = _length(data, at)
            if at + size > end:
                raise IndexError("a string is cut short")
            return data[at : at + size]
        if kind <= _LARGE_ARRAY:
            return self._container(kind, at, end, depth + 1)
        number = _NUMBERS.get(kind)
        if number is not None:
            read, make = number
            return make(read(data, at)[0])
        if kind == _LITERAL:
            return _LITERALS[data[at]]
        if kind == _OPAQUE:
            size, start = _length(data, at + 1)
            if start + size > end:
                raise IndexError("an opaque value is cut short")
            return Opaque(data[at], data[start : start + size])
        raise ValueError("an unknown kind of value")

    def _container(self, kind: int, start: int, end: int, depth: int) -> Node:
        """Count and size, then (offset, length) of each key, then (kind, offset or the value itself) of each value."""
        if depth > DEPTH_MAX:
            raise ValueError("a document too deep")
        data = self._data
        large = kind in (_LARGE_OBJECT, _LARGE_ARRAY)
        head, key, value = (_HEAD_LARGE, _KEY_LARGE, _VALUE_LARGE) if large else (_HEAD_SMALL, _KEY_SMALL, _VALUE_SMALL)
        count, size = head.unpack_from(data, start)
        keyed = kind in (_SMALL_OBJECT, _LARGE_OBJECT)
        keys_at = start + head.size
        at = keys_at + (count * key.size if keyed else 0)
        if start + size > end or at + count * value.size > start + size:
            raise IndexError("a container is cut short")
        end = start + size
        self._budget -= count
        if self._budget < 0:
            raise ValueError("a document with more nodes than bytes")
        values: list[Node] = []
        for item, offset in value.iter_unpack(data[at : at + count * value.size]):
            if item == _STRING:
                place = start + offset
                length = data[place]
                place += 1
                if length > 127:
                    length, place = _length(data, place - 1)
                if place + length > end:
                    raise IndexError("a string is cut short")
                values.append(data[place : place + length])
            elif item == _INT16:
                values.append((offset & 0xFFFF ^ 0x8000) - 0x8000)
            elif item == _LITERAL:
                values.append(_LITERALS[offset & 0xFF])
            elif item == _UINT16:
                values.append(Unsigned(offset & 0xFFFF))
            elif large and item == _INT32:
                values.append((offset ^ 0x80000000) - 0x80000000)
            elif large and item == _UINT32:
                values.append(Unsigned(offset))
            elif offset >= size:
                raise IndexError("a value outside of its container")
            else:
                values.append(self.value(item, start + offset, end, depth))
        if not keyed:
            return values
        keys = [data[start + o : start + o + n] for o, n in key.iter_unpack(data[keys_at:at]) if o + n <= size]
        found = dict(zip(keys, values, strict=True))
        if len(found) != count:
            raise ValueError("an object with a key twice")
        return found


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first; the top bit says that more follow. Five bytes at most."""
    size = 0
    for shift in range(0, 35, 7):
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return size, at
    raise ValueError("a length of more than five bytes")
