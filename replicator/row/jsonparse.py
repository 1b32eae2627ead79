"""JSON texts as MySQL takes them: MariaDB keeps a document as it was written, MySQL by what it says.

Spaces, the order of keys, a key that comes twice, escapes and the spelling of numbers are lost on the way; so images are
brought to MySQL's form before they are compared, and written so that no number is rounded by the server's parser.
"""

from __future__ import annotations

import json
import math
from typing import Any

from .jsonbinary import Node
from .jsondiff import Document
from .jsontext import json_literal, json_text

__all__ = ["parsed_literal", "parsed_text"]

_INT64_MIN, _UINT64_MAX = -(1 << 63), (1 << 64) - 1
_LONGEST_INTEGER = 20  # characters of what fits 64 bits


def parsed_text(text: bytes, codec: str = "utf-8") -> bytes:
    """The document as MySQL prints it; ``text`` itself where it is no document, which MySQL refuses."""
    document = _parsed(text, codec)
    return text if document is None else json_text(document)


def parsed_literal(text: bytes, codec: str = "utf-8") -> bytes:
    """An SQL expression for the document in a JSON column of MySQL; of a text that is none, what MySQL refuses."""
    document = _parsed(text, codec)
    if document is None:
        return b"_utf8mb4'%b'" % text.replace(b"\\", b"\\\\").replace(b"'", b"''")
    return json_literal(document)


def _parsed(text: bytes, codec: str) -> Document | None:
    try:
        return Document(_node(_DECODER.decode(text.decode(codec))))
    except (LookupError, ValueError, RecursionError):  # LookupError: a character set that this library does not know
        return None


def _node(value: Any) -> Node:
    """The tree with bytes for strings, and keys as MySQL orders them: by length, then by bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [_node(item) for item in value]
    if isinstance(value, dict):
        keys = sorted(((key.encode(), item) for key, item in value.items()), key=lambda pair: (len(pair[0]), pair[0]))
        return {key: _node(item) for key, item in keys}
    return value


def _integer(digits: str) -> int | float:
    """What fits neither 64 bits signed nor unsigned is a floating point number."""
    if len(digits) <= _LONGEST_INTEGER:
        number = int(digits)
        if _INT64_MIN <= number <= _UINT64_MAX:
            return number
    return _number(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number too large")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant)
