"""Versioned comments made plain, so that any server reads in a statement what its origin read."""

from __future__ import annotations

from .statement import Statement
from .tokens import Kind, tokenize

__all__ = ["expand_comments"]


def expand_comments(statement: Statement) -> bytes:
    """The statement with versioned comments resolved as the origin did: what it ran is plain text, what it skipped is gone.

    Another flavor or version would decide otherwise: MariaDB passes over ``/*!80000 … */``.
    """
    parts: list[bytes] = []
    for token in tokenize(statement.text, statement.syntax):
        skipped = token.kind is Kind.COMMENT and token.text.startswith((b"/*!", b"/*M!"))
        parts.append(b" " if skipped or token.kind in (Kind.OPEN, Kind.CLOSE) else token.text)
    return b"".join(parts)
