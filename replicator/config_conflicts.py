"""Conflict policies: from the file's ``conflicts`` to what ``conflict`` decides by."""

from __future__ import annotations

import importlib.util
from typing import Any

from .config_yaml import Key, Problem

__all__ = ["parse_conflicts"]


def parse_conflicts(key: Key, raw: dict[str, Any], problems: list[Problem]) -> Any:
    """The parsed policies; what is wrong with them goes to ``problems``."""
    if importlib.util.find_spec("conflict.policy") is None:
        return None
    raise NotImplementedError
