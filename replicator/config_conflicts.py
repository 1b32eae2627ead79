"""Conflict policies: from the file's ``conflicts`` to what ``conflict`` decides by."""

from __future__ import annotations

from typing import Any

from conflict import Policies, PolicyError, parse_policies

from .config_problems import shown
from .config_yaml import Key, Problem

__all__ = ["parse_conflicts"]


def parse_conflicts(key: Key, raw: dict[str, Any], problems: list[Problem]) -> Policies:
    """The parsed policies; what is wrong with them, at its place below ``key``, goes to ``problems``."""
    try:
        return parse_policies(raw)
    except PolicyError as error:
        for found in error.problems:
            place = (*key, *found.path)
            said = not found.path or found.value == found.path[-1]  # it is the key itself
            problems.append(Problem(place, found.what, found.remedy, None if said else shown(place, found.value)))
        return Policies()
