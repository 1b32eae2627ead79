"""Applies the differences of PARTIAL_UPDATE_ROWS to the document of the before image.

With ``binlog_row_value_options=PARTIAL_JSON`` an after image may hold, instead of a document, a list of changes: replace,
insert or remove at a path, to be made one after the other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .jsonbinary import Node, parse
from .tablemap import read_lenenc

__all__ = ["Document", "json_patched"]

_REPLACE, _INSERT, _REMOVE = range(3)
_LEG = re.compile(r'\[(\d+)\]|\.\s*("(?:[^"\\]|\\.)*"|[^\s."\[]+)', re.DOTALL)

Leg = bytes | int


@dataclass(frozen=True, slots=True)
class Document:
    """A document that exists only as a tree."""

    root: Node


def json_patched(before: bytes | None, differences: bytes) -> Document:
    """The document after ``differences``. Raises ValueError (or a relative) where they do not fit the one before."""
    if before is None:
        raise ValueError("differences to a document that is not there")
    root = parse(before)
    at = 0
    while at < len(differences):
        operation = differences[at]
        size, at = read_lenenc(differences, at + 1)
        path = _path(differences[at : at + size])
        at += size
        value: Node = None
        if operation != _REMOVE:
            size, at = read_lenenc(differences, at)
            if at + size > len(differences):
                raise IndexError("differences are cut short")
            value = parse(differences[at : at + size])
            at += size
        root = _apply(root, operation, path, value)
    if at != len(differences):
        raise IndexError("differences are cut short")
    return Document(root)


def _path(text: bytes) -> list[Leg]:
    """The legs of a path: keys and cells; only what the server writes into its binlog."""
    path = text.decode()
    if path[:1] != "$":
        raise ValueError("a path that does not start at the root")
    legs: list[Leg] = []
    at = 1
    while at < len(path):
        leg = _LEG.match(path, at)
        if leg is None:
            raise ValueError("a path that cannot be read")
        at = leg.end()
        cell, key = leg.groups()
        if cell is not None:
            legs.append(int(cell))
        else:
            legs.append((str(json.loads(key, strict=False)) if key[0] == '"' else key).encode())
    return legs


def _apply(root: Node, operation: int, path: list[Leg], value: Node) -> Node:
    if not path:
        if operation != _REPLACE:
            raise ValueError("an operation that the root cannot have")
        return value
    parent: Any = root
    for leg in path[:-1]:
        parent = _child(parent, leg)
    last: Any = path[-1]
    if operation == _REPLACE:
        _child(parent, last)
        parent[last] = value
    elif operation == _REMOVE:
        _child(parent, last)
        del parent[last]
    elif operation == _INSERT:
        _insert(parent, last, value)
    else:
        raise ValueError("an unknown operation")
    return root


def _child(parent: Any, leg: Any) -> Node:
    if not isinstance(parent, list if isinstance(leg, int) else dict):
        raise ValueError("a path that does not fit the document")
    return parent[leg]


def _insert(parent: Node, leg: Leg, value: Node) -> None:
    if isinstance(parent, list) and isinstance(leg, int):
        parent.insert(leg, value)
        return
    if not isinstance(parent, dict) or not isinstance(leg, bytes) or leg in parent:
        raise ValueError("a path that does not fit the document")
    parent[leg] = value
    if len(parent) > 1:  # keys are kept by length, then by bytes
        members = sorted(parent.items(), key=lambda member: (len(member[0]), member[0]))
        parent.clear()
        parent.update(members)
