"""What a check found."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Finding", "Level", "error", "few", "warning"]


class Level(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"  # a flow would fail or lose data
    WARNING = "warning"  # it works, but somebody should know


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, with what to do about it. ``place`` is a site, or a pair for what concerns both of its sites."""

    level: Level
    place: str
    what: str
    remedy: str


def error(place: str, what: str, remedy: str) -> Finding:
    """A finding that makes `check` fail."""
    return Finding(Level.ERROR, place, what, remedy)


def warning(place: str, what: str, remedy: str) -> Finding:
    """A finding that does not."""
    return Finding(Level.WARNING, place, what, remedy)


def few(names: Sequence[str], most: int = 8) -> str:
    """At most so many of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
