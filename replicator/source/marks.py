"""Our own tables in the binlog: how a source knows what was applied by replication, and that the origin lives.

An applier's transaction begins with its row in ``replicator.checkpoint``, which says where the transaction was first
committed. Around DDL, an intent row tells the connection and the second in which the statement runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import DecodeError, SourceError
from ..model import META_SCHEMA, StreamId
from ..row.decode import decoder
from ..row.tablemap import parse_table_map

__all__ = ["Applied", "Marks"]

_INTENTS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Applied:
    """The present transaction came by replication."""

    site: str
    commit_time_us: int
    seen: int = 0
    """The sequence that was applied with it, if it came with the stream back."""


class Marks:
    """Reads the rows of our tables for one flow's source."""

    CHECKPOINT, INTENT, HEARTBEAT = "checkpoint", "ddl_intent", "heartbeat"

    def __init__(self, stream: StreamId, flavor: str) -> None:
        self._stream = stream
        self._back = StreamId(stream.pair, stream.target, stream.origin, stream.stream)
        self._flavor = flavor
        self._intents: OrderedDict[tuple[int, int], str] = OrderedDict()

    def concerns(self, schema: str, table: str) -> bool:
        """Whether rows of that table must be read."""
        return schema == META_SCHEMA and table in (self.CHECKPOINT, self.INTENT, self.HEARTBEAT)

    def rows(self, table_map: bytes, kind: int, payload: bytes, where: str) -> Applied | int | None:
        """Take a rows event: what the transaction is, or our heartbeat's time (µs); None where it says nothing."""
        try:
            parsed = parse_table_map(table_map, self._flavor)
            changes = decoder(parsed, before="text", after="text")(kind, payload)
        except DecodeError as error:
            raise SourceError(error.what, where=where, remedy=error.remedy) from error
        names = [column.name for column in parsed.columns]
        after = [dict(zip(names, image, strict=True)) for _, image in changes if image is not None]
        before = [dict(zip(names, image, strict=True)) for image, _ in changes if image is not None]
        if parsed.table == self.INTENT:
            self._remember(after)
            return None
        if parsed.table == self.CHECKPOINT:
            for row in after:
                return Applied(_text(row["site"]), _number(row["commit_time_us"]), self._seen(before, after))
            return None
        for row in after:
            if (_text(row["flow"]), _text(row["stream"])) == (self._stream.flow, self._stream.stream):
                return _number(row["time_us"])
        return None

    def _seen(self, before: list[dict[str, bytes | None]], after: list[dict[str, bytes | None]]) -> int:
        """What of the stream back is applied with this transaction; 0 where it only takes the stream over."""
        if len(before) != 1 or len(after) != 1 or before[0]["sequence"] == after[0]["sequence"]:
            return 0
        row = after[0]
        back = (_text(row["flow"]), _text(row["stream"])) == (self._back.flow, self._back.stream)
        return _number(row["sequence"]) if back else 0

    def _remember(self, rows: Iterable[dict[str, bytes | None]]) -> None:
        for row in rows:
            self.intent(_number(row["connection_id"]), _number(row["statement_time"]), _text(row["site"]))

    def intent(self, connection_id: int, statement_time: int, site: str) -> None:
        """An applier's connection is going to run a statement of that site in that second."""
        key = (connection_id & 0xFFFFFFFF, statement_time & 0xFFFFFFFF)
        self._intents[key] = site
        self._intents.move_to_end(key)
        if len(self._intents) > _INTENTS_MAX:
            self._intents.popitem(last=False)

    def site_of(self, thread_id: int, timestamp: int) -> str:
        """The site whose statement this is, by its thread and the second it ran in; empty if it is the origin's own."""
        return self._intents.get((thread_id, timestamp), "")


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _number(value: bytes | None) -> int:
    return int(value or 0)
