"""How a pair's tables are divided into streams, remembered beside each stream's history.

Streams are ordered in themselves alone. A table that moves from one to another would change its order against itself, and lose
what lies between the end of the one and the start of the other: a source that finds the division changed stops.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import START_ANEW, HistoryLostError
from ..model import MAIN_STREAM
from ..stream.topics import topic_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config import StreamConfig
    from ..stream.producer import ControlRecord

__all__ = ["check_division", "division_of"]


def division_of(stream: StreamConfig, name: str) -> str:
    """What decides which of the pair's tables its stream ``name`` has: its own globs, or for ``main`` those of all others."""
    parts: dict[str, Any] = {
        other: {"include": sorted(tables.include), "exclude": sorted(tables.exclude)}
        for other, tables in sorted(stream.pair.streams.items())
    }
    return msgspec.json.encode(parts if name == MAIN_STREAM else parts.get(name)).decode()


def check_division(
    stream: StreamConfig, remembered: ControlRecord | None, read: Callable[[str], ControlRecord | None]
) -> None:
    """Raises HistoryLostError where the stream has, or a new one takes, other tables than when ``main`` or it was written last.

    ``remembered`` is the stream's newest control record; ``read`` reads that of another control topic.
    """
    name = stream.id.stream
    if remembered is None and name != MAIN_STREAM:
        name = MAIN_STREAM  # from there it takes its tables
        topic = replace(stream.id, stream=name).control_topic
        remembered = read(topic) if topic_id(stream.kafka, topic) else None
    if remembered is not None and remembered.division is not None and remembered.division != division_of(stream, name):
        raise HistoryLostError(
            f"the pair's `streams` divide its tables otherwise than when {name} was written last: then {remembered.division}",
            where=f"pair {stream.id.pair}, stream {stream.id.stream}",
            remedy="put `streams` back, because a table that moves would change its order against itself; or, for all streams "
            f"that lose or get tables, and main, {START_ANEW}",
        )
