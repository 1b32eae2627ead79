"""System-versioned tables of MariaDB: the target keeps its own history, so only what happens to current rows is applied. Pure.

Their binlog holds the history as rows of its own: an update is followed by an insert of the old row with the moment at which it
ended, and a delete is an update of that moment alone. A current row ends at the largest TIMESTAMP there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["current_rows"]

Decode = Callable[[int, bytes], list[tuple[Any, Any]]]

_NEVER = frozenset({b"2038-01-19 03:14:07.999999", b"2106-02-07 06:28:15.999999"})
"""When a current row ends, to 11.4 and from 11.5 on."""


def current_rows(decode: Decode, row_end: int) -> Decode:
    """Decode, and turn the rows into changes of current rows; ``row_end`` is the ordinal of the moment at which a row ended."""

    def is_current(image: Any) -> bool:
        return image is not None and image[row_end].strip(b"'") in _NEVER

    def changes(kind: int, payload: bytes) -> list[tuple[Any, Any]]:
        kept = []
        for before, after in decode(kind, payload):
            was, stays = is_current(before), is_current(after)
            if was or stays:
                kept.append((before if was else None, after if stays else None))
        return kept

    return changes
