"""Decodes rows events with a function generated for each table map, form and event type.

A general loop over columns costs a hundred times as much as straight code that knows the table. ``decoder`` compiles such
code when an event type is first seen, and keeps it. The code reads runs of fixed-size columns with one struct call. It
needs no bounds check for each value: reading only ever moves on, a struct or an index behind the end raises, a slice
that came out short leaves the position behind the end, and the position must equal the payload's length in the end.
"""

from __future__ import annotations

import functools
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import DecodeError
from .forms import NAMESPACE, Mode, Shape, expression, shape
from .types import TableMap, Type

__all__ = ["Decode", "Image", "Mode", "RowChange", "decoder", "rows_flags"]

Image = tuple[Any, ...]
"""One entry for each column of the table map, in the form asked for."""

RowChange = tuple[Image | None, Image | None]
"""Before and after image: (None, after) of an insert, (before, after) of an update, (before, None) of a delete."""

Decode = Callable[[int, bytes], list[RowChange]]
"""Takes an event's type and its payload behind the 19-byte header; returns its rows, or raises DecodeError."""

_WRITE, _UPDATE, _DELETE = (23, 30), (24, 31), (25, 32)
_PARTIAL_UPDATE = 39
_FIRST_V2 = 30
_GROUP = 8
"""So many columns are read straight when none of them is NULL; otherwise one by one."""
_WHOLE_MAX = 64
"""So are all columns of a row without any NULL, if they are not more; code for more would take long to compile."""

_DAMAGE = (IndexError, KeyError, OverflowError, ValueError, struct.error, zlib.error)
_PREFIX_CODES = {1: "B", 2: "H", 3: "3s", 4: "I"}
_UNORDERED = frozenset("Bb")


@functools.lru_cache(maxsize=4096)
def decoder(table_map: TableMap, *, before: Mode, after: Mode) -> Decode:
    """The decoder for rows of ``table_map``, before images in the form ``before`` and after images in ``after``.

    Raises DecodeError for a column whose type cannot be carried.
    """
    functions = _Functions(table_map, before, after)

    def decode(kind: int, payload: bytes) -> list[RowChange]:
        return functions[kind](payload)

    return decode


def rows_flags(payload: bytes) -> int:
    """The flags of a rows event: 1 its statement's last, 2 no foreign key checks, 4 relaxed unique checks, 128 no CHECKs."""
    if len(payload) < 8:
        raise DecodeError("a rows event is cut short")
    return payload[6] | payload[7] << 8


class _Functions(dict[int, Callable[[bytes], list[RowChange]]]):
    """Event type to generated function, generated when first asked for."""

    def __init__(self, table_map: TableMap, before: Mode, after: Mode) -> None:
        self._table_map = table_map
        self._modes = before, after
        self._shapes = [_shape(table_map, i) for i in range(len(table_map.columns))]

    def __missing__(self, kind: int) -> Callable[[bytes], list[RowChange]]:
        if kind not in (*_WRITE, *_UPDATE, *_DELETE, _PARTIAL_UPDATE):
            raise DecodeError(f"an event of type {kind} holds no rows", where=f"table {self._table_map.qualified}")
        self[kind] = made = _Generator(self._table_map, self._shapes, self._modes, kind).function()
        return made


def _shape(table_map: TableMap, ordinal: int) -> Shape:
    try:
        return shape(table_map.columns[ordinal])
    except DecodeError as error:
        raise DecodeError(error.what, where=f"{error.where} of table {table_map.qualified}", remedy=error.remedy) from None


class _Piece(NamedTuple):
    """A part of a run that struct reads."""

    name: str
    code: str
    big: bool

    @property
    def order(self) -> str:
        """Its order of bytes, as struct writes it; "" where that does not matter."""
        if self.code in _UNORDERED or self.code[-1] == "s":
            return ""
        return ">" if self.big else "<"

    @property
    def size(self) -> int:
        """Its bytes."""
        return struct.calcsize("<" + self.code)


class _Generator:
    """Writes and compiles the function for one event type."""

    def __init__(self, table_map: TableMap, shapes: list[Shape], modes: tuple[Mode, Mode], kind: int) -> None:
        self._table_map = table_map
        self._shapes = shapes
        self._modes = modes
        self._kind = kind
        self._lines: list[str] = []
        self._namespace: dict[str, Any] = dict(NAMESPACE)
        self._structs: dict[str, str] = {}
        self._mask = (1 << len(shapes)) - 1
        self._required = sum(1 << i for i, column in enumerate(table_map.columns) if not column.nullable)
        self._json = [i for i, column in enumerate(table_map.columns) if column.type == Type.JSON]

    def function(self) -> Callable[[bytes], list[RowChange]]:
        images = 2 if self._kind in _UPDATE or self._kind == _PARTIAL_UPDATE else 1
        heads, size = _heads(len(self._shapes), images)
        table = self._table_map.qualified
        self._namespace.update(
            HEADS=heads,
            DAMAGE=_DAMAGE,
            damaged=functools.partial(_damaged, table),
            refuse_head=functools.partial(_refuse_head, table, len(self._shapes), images),
        )
        say = self._say
        say(0, "def decode(p):")
        say(1, "try:")
        say(2, f"h = {'8' if self._kind < _FIRST_V2 else '8 + (p[8] | p[9] << 8)'}")
        say(2, f"i = h + {size}")
        say(2, "if p[h:i] not in HEADS: refuse_head(p, h)")
        say(2, "end = len(p)")
        say(2, "rows = []")
        say(2, "while i < end:")
        before = after = "None"
        if self._kind not in _WRITE:
            before = self._image("b", self._modes[0])
        if self._kind not in _DELETE:
            after = self._image("a", self._modes[1], partial=self._kind == _PARTIAL_UPDATE)
        say(3, f"rows.append(({before}, {after}))")
        say(2, "if i != end: raise IndexError('the last row is cut short')")
        say(2, "return rows")
        say(1, "except DAMAGE as error:")
        say(2, "raise damaged(error) from error")
        exec(compile("\n".join(self._lines), f"<rows of {table!a}>", "exec"), self._namespace)  # noqa: S102
        made: Callable[[bytes], list[RowChange]] = self._namespace["decode"]
        return made

    def _say(self, depth: int, line: str) -> None:
        self._lines.append("    " * depth + line)

    def _image(self, letter: str, mode: Mode, *, partial: bool = False) -> str:
        """Code that reads one image at ``i``; returns the name of the tuple it makes."""
        say = self._say
        if partial:
            self._partial_bits()
        width = (len(self._shapes) + 7) // 8
        bits = "p[i]" if width == 1 else f"fb(p[i:i + {width}], 'little')"
        say(3, f"n = {bits} & {self._mask:#x}")
        say(3, f"i += {width}")
        name = f"{letter}image"
        if not partial and not self._keeps_raw(letter) and self._required == self._mask:
            say(3, "if n: raise ValueError('NULL in a column that has none')")
            self._straight(3, letter, range(len(self._shapes)))
            say(3, f"{name} = ({self._tuple(letter, mode)})")
        else:
            self._checked(letter, mode, partial=partial)
            say(3, f"{name} = ({''.join(f'{letter}{i}, ' for i in range(len(self._shapes)))})")
        return name

    def _keeps_raw(self, letter: str) -> bool:
        return letter == "b" and self._kind == _PARTIAL_UPDATE

    def _partial_bits(self) -> None:
        """The after image of a partial update tells first which JSON values are differences to the before image."""
        width = (len(self._json) + 7) // 8
        say = self._say
        say(3, "options = p[i]")
        say(3, "i += 1")
        say(3, "partial = 0")
        say(3, "if options == 1:")
        say(4, f"partial = fb(p[i:i + {width}], 'little')")
        say(4, f"i += {width}")
        say(3, "elif options: raise ValueError('unknown value options')")

    def _tuple(self, letter: str, mode: Mode) -> str:
        """The image straight from raw values; a form that is the raw value itself needs no line."""
        parts = (expression(column, mode, f"{letter}{i}") for i, column in enumerate(self._table_map.columns))
        return "".join(f"{part}, " for part in parts)

    def _straight(self, depth: int, letter: str, ordinals: Iterable[int]) -> None:
        """Reads raw values that are all there, fixed ones and the next length together."""
        run: list[_Piece] = []
        for i in ordinals:
            item = self._shapes[i]
            if item.size:
                names = item.names(f"{letter}{i}")
                run += [_Piece(name, code, item.big) for name, code in zip(names, item.codes, strict=True)]
                continue
            run.append(_Piece("z", _PREFIX_CODES[item.prefix], big=False))
            size = self._unpack(depth, run)
            run = []
            length = "fb(z, 'little')" if item.prefix == 3 else "z"
            self._say(depth, f"h = i + {size}")
            self._say(depth, f"i = h + {length}")
            self._say(depth, f"{letter}{i} = p[h:i]")
        if run:
            self._say(depth, f"i += {self._unpack(depth, run)}")

    def _unpack(self, depth: int, run: list[_Piece]) -> int:
        """Code that reads the run at ``i``, which it leaves there; returns the run's bytes."""
        if len(run) == 1 and run[0].code == "B":
            self._say(depth, f"{run[0].name} = p[i]")
            return 1
        orders = sorted({piece.order for piece in run if piece.order}) or ["<"]
        for order in orders:
            names, code, skipped = "", order, 0
            for piece in run:
                if (piece.order or orders[0]) != order:
                    skipped += piece.size
                    continue
                names += f"{piece.name}, "
                code += (f"{skipped}x" if skipped else "") + piece.code
                skipped = 0
            self._say(depth, f"{names}= {self._struct(code)}(p, i)".replace(",  =", ", ="))
        return sum(piece.size for piece in run)

    def _struct(self, code: str) -> str:
        """The name of the function that unpacks ``code``."""
        known = self._structs.get(code)
        if known is None:
            known = self._structs[code] = f"s{len(self._structs)}"
            self._namespace[known] = struct.Struct(code).unpack_from
        return known

    def _checked(self, letter: str, mode: Mode, *, partial: bool) -> None:
        """Reads values of which some may be NULL, and turns each into its form."""
        say = self._say
        if self._required:
            say(3, f"if n & {self._required:#x}: raise ValueError('NULL in a column that has none')")
        depth, count = 3, len(self._shapes)
        if _GROUP < count <= _WHOLE_MAX:
            say(3, "if not n:")
            self._all(4, letter, range(count), mode, partial)
            say(3, "else:")
            depth = 4
        for start in range(0, count, _GROUP):
            self._group(depth, letter, range(start, min(start + _GROUP, count)), mode, partial)

    def _group(self, depth: int, letter: str, group: range, mode: Mode, partial: bool) -> None:
        nullable = sum(1 << i for i in group) & ~self._required
        if nullable:
            self._say(depth, f"if n & {nullable:#x}:")
            for i in group:
                self._one(depth + 1, letter, i, mode, partial)
            self._say(depth, "else:")
            depth += 1
        self._all(depth, letter, group, mode, partial)

    def _all(self, depth: int, letter: str, ordinals: range, mode: Mode, partial: bool) -> None:
        self._straight(depth, letter, ordinals)
        for i in ordinals:
            self._convert(depth, letter, i, mode, partial)

    def _one(self, depth: int, letter: str, i: int, mode: Mode, partial: bool) -> None:
        say = self._say
        if not self._table_map.columns[i].nullable:
            self._straight(depth, letter, [i])
            self._convert(depth, letter, i, mode, partial)
            return
        say(depth, f"if n & {1 << i:#x}:")
        say(depth + 1, f"{letter}{i} = {'NULL' if mode == 'literal' else 'None'}")
        if self._keeps_raw(letter) and i in self._json:
            say(depth + 1, f"r{i} = None")
        say(depth, "else:")
        self._straight(depth + 1, letter, [i])
        self._convert(depth + 1, letter, i, mode, partial)

    def _convert(self, depth: int, letter: str, i: int, mode: Mode, partial: bool) -> None:
        name = f"{letter}{i}"
        if i in self._json:
            if self._keeps_raw(letter):
                self._say(depth, f"r{i} = {name}")
            if partial:
                bit = 1 << self._json.index(i)
                self._say(depth, f"if partial & {bit:#x}: {name} = json_patched(r{i}, {name})")
        made = expression(self._table_map.columns[i], mode, name)
        if made != name:
            self._say(depth, f"{name} = {made}")


def _heads(columns: int, images: int) -> tuple[frozenset[bytes], int]:
    """What may stand between header and rows when all columns are there: the column count and a full bitmap an image.

    The bits behind the last column may be set or not. Also returns how many bytes that is.
    """
    count = bytes([columns]) if columns < 251 else b"\xfc" + columns.to_bytes(2, "little")
    width = (columns + 7) // 8
    plain = ((1 << columns) - 1).to_bytes(width, "little")
    bitmaps = {plain, b"\xff" * width}
    heads = frozenset(count + b"".join(chosen) for chosen in itertools.product(bitmaps, repeat=images))
    return heads, len(count) + images * width


def _refuse_head(table: str, columns: int, images: int, payload: bytes, at: int) -> None:
    heads, size = _heads(columns, images)
    head = payload[at : at + size]
    count = size - images * ((columns + 7) // 8)
    if len(head) < size:
        raise IndexError("a rows event ends before its rows")
    if head[:count] != next(iter(heads))[:count]:
        raise DecodeError(
            f"a rows event has another number of columns than its table map ({columns})",
            where=f"table {table}",
            remedy="the stream or the origin's binlog is damaged: check it with mysqlbinlog",
        )
    raise DecodeError(
        "a row image lacks columns",
        where=f"table {table}",
        remedy="SET GLOBAL binlog_row_image=FULL at the origin, in every session; do at the target what it did, and start the "
        "stream anew behind it (docs/WHAT-IF.md)",
    )


def _damaged(table: str, error: Exception) -> DecodeError:
    return DecodeError(
        f"a rows event is malformed ({type(error).__name__})",
        where=f"table {table}",
        remedy="the stream or the origin's binlog is damaged: check it with mysqlbinlog",
    )
