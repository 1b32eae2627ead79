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

_INLINE_SMALL = frozenset({_LITERAL, _INT16, _UINT16})
_INLINE_LARGE = _INLINE_SMALL | {_INT32, _UINT32}


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
        self._budget -= 1
        if self._budget < 0:
            raise ValueError("a document with more nodes than bytes")
        data = self._data
        if kind == _STRING:
            size, at = _length(data, at)
            if at + size > end:
                raise IndexError("a string is cut short")
            return data[at : at + size]
        number = _NUMBERS.get(kind)
        if number is not None:
            read, make = number
            return make(read(data, at)[0])
        if kind <= _LARGE_ARRAY:
            return self._container(kind, at, end, depth + 1)
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
        wide = 4 if large else 2
        inline = _INLINE_LARGE if large else _INLINE_SMALL
        count = int.from_bytes(data[start : start + wide], "little")
        size = int.from_bytes(data[start + wide : start + 2 * wide], "little")
        if size < 2 * wide or start + size > end:
            raise IndexError("a container is cut short")
        end = start + size
        keyed = kind in (_SMALL_OBJECT, _LARGE_OBJECT)
        keys_at = start + 2 * wide
        at = keys_at + (count * (wide + 2) if keyed else 0)
        if at + count * (1 + wide) > end:
            raise IndexError("a container is shorter than its entries")
        values: list[Node] = []
        for _ in range(count):
            if data[at] in inline:
                values.append(self.value(data[at], at + 1, end, depth))
            else:
                place = start + int.from_bytes(data[at + 1 : at + 1 + wide], "little")
                if place >= end:
                    raise IndexError("a value outside of its container")
                values.append(self.value(data[at], place, end, depth))
            at += 1 + wide
        if not keyed:
            return values
        return dict(zip(self._keys(keys_at, count, wide, start, end), values, strict=True))

    def _keys(self, at: int, count: int, wide: int, start: int, end: int) -> list[bytes]:
        data = self._data
        keys: list[bytes] = []
        for _ in range(count):
            place = start + int.from_bytes(data[at : at + wide], "little")
            size = data[at + wide] | data[at + wide + 1] << 8
            if place + size > end:
                raise IndexError("a key outside of its object")
            keys.append(data[place : place + size])
            at += wide + 2
        if len(set(keys)) != count:
            raise ValueError("an object with a key twice")
        return keys


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
