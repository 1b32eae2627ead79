"""Binary JSON as text, as the server prints it, and as SQL that keeps the JSON_TYPE of every node.

Text alone does not: an unsigned number that also fits a signed one, a decimal, a date, bytes read back as something else,
and the server's parser rounds many doubles by one bit. Such nodes are set by SQL values: JSON_REPLACE(document, path, value).
"""

from __future__ import annotations

import base64
import functools
import re
from typing import Any

from ..errors import DecodeError
from .decimals import decimal_text
from .floats import double_literal, double_text
from .jsonbinary import Node, Opaque, Unsigned, parse
from .jsondiff import Document
from .temporal import format_packed_date, format_packed_datetime, format_packed_time
from .types import Type

__all__ = ["json_literal", "json_text"]

_Path = tuple[Any, bytes, Any] | None
"""From the root to a node: the path to its parent, and the last step's form and key; put together only where it is needed."""

_ESCAPES = {bytes([i]): b"\\u%04x" % i for i in range(32)} | {
    b'"': b'\\"',
    b"\\": b"\\\\",
    b"\b": b"\\b",
    b"\f": b"\\f",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
}
_CONSTANTS = {None: b"null", True: b"true", False: b"false"}
_TO_ESCAPE = re.compile(rb'[\x00-\x1f"\\]')
_BLOB_NAMES = {
    Type.TINY_BLOB: b"TINYBLOB",
    Type.MEDIUM_BLOB: b"MEDIUMBLOB",
    Type.LONG_BLOB: b"LONGBLOB",
    Type.BLOB: b"BLOB",
}
_DATETIMES = frozenset({Type.TIMESTAMP_OLD, Type.DATETIME_OLD})
_INT64_MAX = (1 << 63) - 1
_EXACT_DIGITS_MAX = 15
_EXACT_POWER_MAX = 22
_HOURS_KEPT = 32
_HOURS_MAX = 838


def json_text(stored: bytes | Document) -> bytes:
    """The document as ``SELECT`` prints it."""
    out: list[bytes] = []
    _write(_root(stored), out, None, None)
    return b"".join(out)


def json_literal(stored: bytes | Document) -> bytes:
    """An SQL expression for a JSON column of MySQL that keeps every node's type and value.

    Raises DecodeError for an opaque value of a type that SQL cannot make.
    """
    out: list[bytes] = []
    special: list[tuple[bytes, bytes]] = []
    _write(_root(stored), out, None, special)
    if special and special[0][0] == b"$":
        return b"JSON_EXTRACT(JSON_ARRAY(%b), _utf8mb4'$[0]')" % special[0][1]
    document = b"_utf8mb4" + _quoted(b"".join(out))
    if not special:
        return document
    pairs = b"".join([b", _utf8mb4%b, %b" % (_quoted(path), value) for path, value in special])
    return b"JSON_REPLACE(%b%b)" % (document, pairs)


def _root(stored: bytes | Document) -> Node:
    return stored.root if isinstance(stored, Document) else parse(stored)


def _quoted(data: bytes) -> bytes:
    return b"'%b'" % data.replace(b"\\", b"\\\\").replace(b"'", b"''")


def _string(data: bytes) -> bytes:
    if _TO_ESCAPE.search(data) is None:
        return b'"%b"' % data
    return b'"%b"' % _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], data)


@functools.lru_cache(maxsize=4096)
def _key(data: bytes) -> bytes:
    return _string(data)


def _plain(item: Node, kind: type) -> bytes | None:
    """The text of the most common scalars, which always keeps their type; None for other nodes."""
    if kind is bytes:
        return _string(item)
    if kind is int:
        return b"%d" % item if item != _INT64_MAX else None
    return _CONSTANTS[item] if item is None or kind is bool else None


def _write(node: Node, out: list[bytes], path: _Path, special: list[tuple[bytes, bytes]] | None) -> None:
    """Append the node's text to ``out``.

    With ``special``, a null stands for each node that text does not keep, and its path and SQL value go there.
    """
    kind = type(node)
    if kind is dict:
        before = b"{"
        for key, item in node.items():
            quoted = _key(key)
            text = _plain(item, type(item))
            if text is not None:
                out.append(b"%b%b: %b" % (before, quoted, text))
            else:
                out.append(b"%b%b: " % (before, quoted))
                _write(item, out, (path, b".%b", quoted), special)
            before = b", "
        out.append(b"}" if node else b"{}")
    elif kind is list:
        before = b"["
        for i, item in enumerate(node):
            text = _plain(item, type(item))
            if text is not None:
                out.append(before + text)
            else:
                out.append(before)
                _write(item, out, (path, b"[%d]", i), special)
            before = b", "
        out.append(b"]" if node else b"[]")
    elif special is None or (value := _sql_value(node)) is None:
        out.append(_scalar(node))
    else:
        special.append((_path_text(path), value))
        out.append(b"null")


def _path_text(path: _Path) -> bytes:
    parts: list[bytes] = []
    while path is not None:
        path, form, step = path
        parts.append(form % step)
    return b"$" + b"".join(reversed(parts))


def _scalar(node: Node) -> bytes:
    kind = type(node)
    if kind is bytes:
        return _string(node)
    if kind is int or kind is Unsigned:
        return b"%d" % node
    if kind is float:
        return _double(node)
    if kind is Opaque:
        text = _opaque_text(node)
        return text if node.kind == Type.DECIMAL else b'"%b"' % text
    return _CONSTANTS[node]


def _double(number: float) -> bytes:
    text = double_text(number)
    return text if b"." in text or b"e" in text else text + b".0"


def _opaque_text(node: Opaque) -> bytes:
    kind, data = node.kind, node.data
    if kind == Type.DECIMAL:
        return decimal_text(data[2:], data[0], data[1])
    if kind in _DATETIMES or kind in (Type.DATE, Type.TIME_OLD):
        if len(data) != 8:
            raise ValueError("a date or time of another size")
        number = int.from_bytes(data, "little", signed=True)
        if kind == Type.DATE:
            return format_packed_date(number)
        return format_packed_time(number) if kind == Type.TIME_OLD else format_packed_datetime(number)
    # The server's base64 has lines of 76 characters.
    encoded = base64.encodebytes(data).rstrip(b"\n").replace(b"\n", b"\\n")
    return b"base64:type%d:%b" % (kind, encoded)


def _sql_value(node: Node) -> bytes | None:
    """An SQL expression that becomes this node, where its text would not."""
    kind = type(node)
    if kind is Unsigned:
        return b"CAST(%d AS UNSIGNED)" % node if node <= _INT64_MAX else None
    if kind is float:
        return None if _parses_exactly(node) else double_literal(node)
    if kind is Opaque:
        return _opaque_value(node)
    if kind is int and node == _INT64_MAX:  # as text it would come back unsigned
        return b"%d" % node
    return None


def _parses_exactly(number: float) -> bool:
    """Whether the server's JSON parser, which multiplies digits by a power of ten, is sure to meet the number."""
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).strip("-0")
    return len(digits) <= _EXACT_DIGITS_MAX and abs(int(exponent or 0)) + len(fraction) <= _EXACT_POWER_MAX


def _opaque_value(node: Opaque) -> bytes:
    kind, data = node.kind, node.data
    if kind == Type.DECIMAL:
        return _opaque_text(node)
    if kind == Type.DATE:
        return b"CAST('%b' AS DATE)" % _opaque_text(node)
    if kind == Type.DATETIME_OLD:
        return b"CAST('%b' AS DATETIME(6))" % _opaque_text(node)
    if kind == Type.TIME_OLD:
        return _time_value(_opaque_text(node))
    if kind == Type.TIMESTAMP_OLD:
        return _through_column(b"TIMESTAMP(6)", b"_utf8mb4'[\"%b\"]'" % _opaque_text(node))
    if kind == Type.BIT and 0 < len(data) <= 8:
        return _through_column(b"BIT(%d)" % (8 * len(data)), b"_utf8mb4'[%d]'" % int.from_bytes(data, "big"))
    if kind == Type.STRING and 0 < len(data) <= 255:
        return _through_column(b"BINARY(%d)" % len(data), b"JSON_ARRAY(x'%b')" % data.hex().encode())
    if kind in _BLOB_NAMES:
        return _through_column(_BLOB_NAMES[Type(kind)], b"JSON_ARRAY(x'%b')" % data.hex().encode())
    if kind in (Type.VARCHAR, Type.VAR_STRING, Type.STRING):
        return b"x'%b'" % data.hex().encode()
    raise DecodeError(
        f"a JSON document holds a value of SQL type {kind}, which cannot be made by SQL",
        remedy="store the value as a string or a number instead, or exclude the table",
    )


def _through_column(sql_type: bytes, document: bytes) -> bytes:
    """A value of a column type that no cast can name: the column of a derived table has it."""
    return (
        b"(SELECT JSON_EXTRACT(JSON_ARRAY(x), _utf8mb4'$[0]') FROM JSON_TABLE(%b, _utf8mb4'$[0]' COLUMNS "
        b"(x %b PATH _utf8mb4'$' NULL ON EMPTY ERROR ON ERROR)) AS t)" % (document, sql_type)
    )


def _time_value(text: bytes) -> bytes:
    """A TIME. MySQL 8.0 stores hours from 32 on wrong: it packs them as days of 32 hours and reads days of 24.

    So where the target does that, it is given the hours that it will take for the right ones.
    """
    sign, digits = (b"-", text[1:]) if text[:1] == b"-" else (b"", text)
    hour = int(digits[: digits.index(b":")])
    plain = b"CAST('%b' AS TIME(6))" % text
    skewed = hour // 24 * 32 + hour % 24
    if hour < _HOURS_KEPT or skewed > _HOURS_MAX:
        return plain
    other = b"CAST('%b%d%b' AS TIME(6))" % (sign, skewed, digits[digits.index(b":") :])
    right = b"CAST(CAST(CAST('33:00:00' AS TIME) AS JSON) AS TIME) = CAST('33:00:00' AS TIME)"
    return b"IF(%b, %b, %b)" % (right, plain, other)
