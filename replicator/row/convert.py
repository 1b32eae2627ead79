"""Goes between the three forms of a value, and says what else a writer must know of a literal."""

from __future__ import annotations

import struct

from ..errors import DecodeError
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL
from .charsets import BINARY, charset_name
from .floats import double_literal, double_text
from .forms import NULL, quoted
from .jsonparse import parsed_literal, parsed_text
from .types import Column, Type

__all__ = [
    "NULL",
    "key_literal",
    "label",
    "literal_of_text",
    "literal_of_value",
    "needs_lenient",
    "quoted",
    "text_of_value",
    "value_of_text",
]

_INTEGERS = frozenset({Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG, Type.YEAR})
_FLAGS = frozenset({Type.BIT, Type.ENUM, Type.SET})
_SINGLE = struct.Struct("f")
_FLOATS = frozenset({Type.FLOAT, Type.DOUBLE})


def value_of_text(column: Column, text: bytes | None) -> int | float | bytes | None:
    """The value behind a text that ``select_expr`` read."""
    if text is None:
        return None
    try:
        if column.type in _INTEGERS or column.type in _FLAGS:
            return int(text)
        if column.type in _FLOATS:
            return float(text)
    except ValueError as error:
        if column.holds_other:
            return text
        raise _misfit(column) from error
    if column.type == Type.JSON and column.written_as == "text":  # what a session at the target wrote, in its own words
        return parsed_text(text)
    return text


def text_of_value(column: Column, value: object) -> bytes | None:
    """The text of a value; the other way round than ``value_of_text``. Raises DecodeError for a value of another type."""
    if value is None:
        return None
    if column.type == Type.YEAR and isinstance(value, int):
        return b"%04d" % value
    if column.type in _INTEGERS or column.type in _FLAGS:
        if isinstance(value, int):
            return b"%d" % value
        if column.holds_other and isinstance(value, bytes):
            return value
    elif column.type in _FLOATS:
        if isinstance(value, int | float):
            return double_text(float(value))
    elif isinstance(value, bytes):
        return value
    elif column.type == Type.DECIMAL and isinstance(value, int):
        return b"%d" % value
    raise _misfit(column)


def literal_of_value(column: Column, value: object) -> bytes:
    """The literal of a value."""
    return literal_of_text(column, text_of_value(column, value))


def literal_of_text(column: Column, text: bytes | None) -> bytes:
    """The literal of a text. Of a JSON document's scalars only what JSON itself tells is kept: no decimals, no dates."""
    if text is None:
        return NULL
    kind = column.type
    if kind in _FLOATS:
        try:
            return double_literal(float(text))
        except ValueError as error:
            raise _misfit(column) from error
    if kind in _INTEGERS or kind in _FLAGS:
        try:
            return b"%d" % int(text)
        except ValueError as error:
            raise _misfit(column) from error
    if kind == Type.DECIMAL:
        if not text or text.strip(b"+-0123456789.eE"):
            raise _misfit(column)
        return text
    if column.written_as == "json":
        return parsed_literal(text)
    if kind == Type.JSON and column.written_as != "text":
        return b"_utf8mb4" + quoted(text)
    return b"_%b%b" % (column.introducer.encode(), quoted(text)) if column.introducer else quoted(text)


def key_literal(column: Column, literal: bytes, flavor: str = FLAVOR_MYSQL) -> bytes:
    """The literal as it is compared with a key column in a WHERE clause of a ``flavor`` server: right, and by the index.

    A plain string literal is binary in our session: the column's values would be made bytes before comparing, which no
    index helps with. Introduced with the column's character set it is compared by the column's collation. ENUM and SET are
    compared by label, since MySQL finds nothing by number in ``(a, b) IN (...)``; but by number on MariaDB, which uses
    no index by label there. A FLOAT is compared as the DOUBLE that it is; the literal that writes it is shorter.
    """
    if column.type == Type.FLOAT and literal != NULL:
        return double_literal(*_SINGLE.unpack(_SINGLE.pack(float(literal.strip(b"'")))))
    if literal == NULL or column.charset in (0, BINARY) or column.introducer:
        return literal
    numbered = column.type in (Type.ENUM, Type.SET)
    if numbered and flavor == FLAVOR_MARIADB:
        return literal
    name = charset_name(column.charset)
    if name is None:
        raise DecodeError(
            f"a key column of an unknown collation (id {column.charset})",
            where=f"column {column.name}",
            remedy="use one of the collations that the server comes with",
        )
    return b"_%b%b" % (name.encode(), quoted(label(column, int(literal))) if numbered else literal)


def label(column: Column, value: int) -> bytes:
    """The label of an ENUM's or SET's number, in the column's character set; b"" for an ENUM's invalid value."""
    members = column.members
    if column.type == Type.ENUM:
        if not 0 <= value <= len(members):
            raise _misfit(column)
        return members[value - 1] if value else b""
    if not 0 <= value < 1 << len(members):
        raise _misfit(column)
    chosen = [member for i, member in enumerate(members) if value >> i & 1]
    return _comma(column).join(chosen)


def _comma(column: Column) -> bytes:
    name = charset_name(column.charset)
    return {"ucs2": b"\0,", "utf16": b"\0,", "utf16le": b",\0", "utf32": b"\0\0\0,"}.get(name or "", b",")


def needs_lenient(column: Column, literal: bytes) -> bool:
    """Whether a strict session refuses the literal though the column may hold it: the invalid value of an ENUM.

    Write such a row in a session without strict mode, and see that the only warning is of that column (1265).
    """
    return column.type == Type.ENUM and literal == b"0"


def _misfit(column: Column) -> DecodeError:
    return DecodeError(f"a value that does not fit its type {column.type_name}", where=f"column {column.name}")
