"""One line that says all that a test wants to know of a classified statement."""

from __future__ import annotations

from replicator.sql.classify import Statement

__all__ = ["describe"]


def describe(s: Statement) -> str:
    """``class+further classes schema.table:role … object schema.name schemas name … flags``; flags in capitals.

    DESTROYS only where the class does not imply it; an unknown statement is the one word.
    """
    if s.cls == "unknown":
        return "unknown"
    words = ["+".join([s.cls, *sorted(s.also)])]
    words += [f"{t.schema}.{t.table}:{t.role}" for t in s.tables]
    if s.object:
        words.append(f"object {s.object.schema}.{s.object.name}")
    if s.schemas:
        words.append("schemas " + " ".join(s.schemas))
    if s.destructive != bool(s.classes & {"drop", "truncate", "sequence"}):
        words.append("DESTROYS" if s.destructive else "KEEPS")
    if s.unrepeatable:
        words.append("UNREPEATABLE")
    if s.if_exists:
        words.append("IF")
    return " ".join(words)
