"""A transaction that came in chunks: written part by part as it arrives, in one transaction of the target.

Memory stays bounded by a part, and nothing is visible before the last one is there. Other slots stand still meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import DatabaseError, StreamError
from ..stream.reader import LargeBegin, LargePart, Txn
from ..stream.wire import QUERY, event_kinds, pack_event, read_events
from .checkpoint import Checkpoint
from .writer import RetryBatch, Writer

if TYPE_CHECKING:
    from ..context import Worker
    from .ddl import DdlApplier

__all__ = ["Gathered", "LargeTransaction"]


class Gathered:
    """The chunks of a transaction that may still fit into a batch."""

    def __init__(self, begin: LargeBegin) -> None:
        self.begin = begin
        self.parts: list[LargePart] = []
        self.bytes = 0

    def add(self, part: LargePart) -> None:
        """Keep one more."""
        self.parts.append(part)
        self.bytes += len(part.events)

    def whole(self) -> Txn:
        """The transaction as if it had come in one record."""
        begin = self.begin
        table_maps = self.parts[-1].table_maps if self.parts else ()
        events = b"".join([part.events for part in self.parts])
        return Txn(begin.sequence, begin.gtid, begin.commit_time_us, begin.site, table_maps, events, begin.epoch, begin.seen)


class LargeTransaction:
    """The open large transaction. ``txn`` has its names but no events; ``checkpoint`` is the state after it."""

    def __init__(
        self, txn: Txn, checkpoint: Checkpoint, writer: Writer, ddl: DdlApplier, worker: Worker, *, skip: bool
    ) -> None:
        self._txn = txn
        self.checkpoint = checkpoint
        self._writer = writer
        self._ddl = ddl
        self._worker = worker
        self._skip = skip
        self._begun = False
        self._rows = 0
        self._events = 0

    def part(self, item: LargePart) -> None:
        """Write more of it. A deadlock gives all of it up: DatabaseError, and a restart reads it from its first chunk."""
        if self._skip:
            return
        events = item.events
        if QUERY in event_kinds(events):  # CREATE TABLE … SELECT: the statement, then rows
            events = self._statements(item)
        txn = msgspec.structs.replace(self._txn, table_maps=item.table_maps, events=events)
        try:
            if not self._begun:
                self._writer.begin(self.checkpoint)
                self._begun = True
            self._rows += self._writer.part(txn)
        except RetryBatch as error:
            raise DatabaseError(
                f"a large transaction met a lock and starts anew: {error.what}", where=f"GTID {txn.gtid}"
            ) from error
        self._worker.reporter.tick()
        self._worker.pauses.hit("applier:mid-transaction")

    def commit(self) -> None:
        """Make all of it visible."""
        try:
            if not self._begun:
                self._writer.begin(self.checkpoint)
            self._writer.finish()
        except RetryBatch as error:
            raise DatabaseError(f"a lock was in the way: {error.what}", where=f"GTID {self._txn.gtid}") from error
        self._worker.pauses.hit("applier:before-commit")
        self._writer.commit()
        self._worker.pauses.hit("applier:after-commit")
        self._worker.reporter.count("rows_applied", self._rows)
        self._worker.reporter.count("transactions_applied")

    def abort(self) -> None:
        """Its source died before its end: give up what was written."""
        if self._begun:
            self._writer.rollback()
        self._worker.log.info("an unfinished transaction of an older epoch was rolled back", gtid=self._txn.gtid)

    def _statements(self, item: LargePart) -> bytes:
        """Run the DDL statements of a part, which must come before all rows; returns the rest of its events."""
        if self._begun:
            raise StreamError("a statement follows rows in one transaction", where=f"GTID {self._txn.gtid}")
        rest = []
        for event in read_events(item.events):
            if event.type == QUERY:
                self._ddl.statement(self._txn, self._events, event.payload)
            else:
                rest.append(pack_event(event.type, event.table, event.payload))
            self._events += 1
        return b"".join(rest)
