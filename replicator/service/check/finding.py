"""What a check found."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Level", "error", "warning"]


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
