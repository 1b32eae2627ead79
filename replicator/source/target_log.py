"""What a target's own applications commit, read from its binlog by the applier of a one-way pair: there is no stream back.

Its binlog becomes the records that a source would send, and these the items that an applier reads; nothing goes through Kafka.
What the applier itself wrote there is left out, as a source leaves it out. How far the binlog need not be read again is kept
in ``replicator.local_position``.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import meta
from ..errors import ApplyError, BinlogLostError, DatabaseError, DecodeError, SourceError
from ..gtid import parse_position
from ..model import StreamId
from ..sql.classify import StatementClass, classify_with
from ..stream.query import parse_query
from ..stream.reader import Item, LargeBegin, ReaderState, RecordEnd, StreamReader, Txn
from ..stream.wire import RecordHeader, pack_record
from .assembler import Assembler, Rules
from .connection import BinlogConnection
from .marks import Marks
from .origin import Origin
from .records import Sealed
from .statements import DROPPED, Statements

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["TargetLog"]

_RECORD_BYTES = 1 << 20
_SAMPLE_S = 1.0
_SAMPLES_MAX = 600
_SAVE_S = 30.0
_BACKOFF_S = 0.5


class _Statements(Statements):
    """What matters of a target's statements: that there was one, unless rows were changed by it."""

    def ships(self, payload: bytes, where: str) -> bool:
        """Whether it may have made a table another one. Raises SourceError where it may have changed rows that are wanted."""
        try:
            query = parse_query(payload, self._flavor)
            syntax = replace(query.syntax(), version=self._version, lower_names=self._lower_names)
        except DecodeError:
            return True
        statement = classify_with(query.statement, syntax, query.schema)
        if statement.cls is StatementClass.DML:
            return self._dml(statement, where)
        return statement.cls not in DROPPED


class TargetLog:
    """A ``LocalLog`` (see ``apply.local``). ``stream`` is the way back as if there were one: its origin is the target.

    Raises SourceError where the binlog does not tell all rows, DatabaseError where it cannot be read now.
    """

    def __init__(self, stream: StreamConfig) -> None:
        self._stream = stream
        way = stream.id
        self._reads = StreamId(way.pair, way.target, way.origin, way.stream)
        """The stream whose applier reads this."""
        self._server = Origin(stream)
        self._connection: BinlogConnection | None = None
        self.begins = 0
        self._closed = False
        self._sealed: list[bytes] = []
        self._offset = 0
        self._reader = StreamReader(stream=f"binlog of {stream.origin.name}", anywhere=True)
        try:
            self._server.check()
            self.flavor = self._server.facts.flavor
            self._resume = self._begin()
            self._assembler = self._assemble()
        except BaseException:
            self._server.close()
            raise
        self._heard_at = 0.0
        self._newest_us = 0
        self._samples: deque[tuple[str, int]] = deque()
        self._sampled_at = 0.0
        self._saved_at = time.monotonic()

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._closed = True
        self._disconnect()
        self._server.close()

    def poll(self, timeout_ms: int) -> list[Item]:
        """What was committed since; a lost connection is opened anew. Raises ApplyError where something is lost for good."""
        if self._closed:
            return []
        try:
            connection = self._connection or self._connect()
            if not connection.wait(timeout_ms / 1000):
                if time.monotonic() - self._heard_at > self._stream.source.read_timeout_s:
                    raise DatabaseError("the server was silent", where=f"site {self._stream.origin.name}")
                return []
            self._assembler.feed(connection.receive())
            self._heard_at = time.monotonic()
        except DatabaseError:
            self._disconnect()
            self._resume = self._assembler.restart()
            time.sleep(_BACKOFF_S)
        except SourceError as error:
            remedy = error.remedy
            if not remedy or isinstance(error, BinlogLostError):
                remedy = (
                    "give the table a policy that does not compare commit times; or go on without what is lost, which then "
                    f"counts as older: DELETE FROM {meta.LOCAL_POSITION} WHERE flow='{self._reads.flow}' at the target, then "
                    "`replicator resume`"
                )
            raise ApplyError(f"who wrote a row last cannot be known: {error.what}", where=error.where, remedy=remedy) from error
        self._assembler.records.seal()
        return list(self._items())

    def settled(self, passed_us: int) -> None:
        """All changes that are still to come were committed at that time or later: what is older here need not be read again."""
        now = time.monotonic()
        if now - self._sampled_at > _SAMPLE_S and len(self._samples) < _SAMPLES_MAX and not self._assembler.in_transaction:
            self._sampled_at = now
            self._samples.append((self._assembler.resume_position(), self._newest_us))
        if now - self._saved_at < _SAVE_S:
            return
        save = ""
        while self._samples and self._samples[0][1] < passed_us:
            save = self._samples.popleft()[0]
        if save:
            self._saved_at = now
            with contextlib.suppress(DatabaseError):  # it is only read again once more
                self._server.save_local_position(self._reads, save)

    def _begin(self) -> str:
        """Where the applier left off; at its first start, here and now."""
        known = self._server.local_position(self._reads)
        if known is None:
            known = self._server.position()
            self._server.save_local_position(self._reads, known)
        return known

    def _assemble(self) -> Assembler:
        stream = self._stream
        marks = Marks(stream.id, self.flavor)
        for connection_id, second, site in self._server.intents():
            marks.intent(connection_id, second, site)
        facts = self._server.facts
        statements = _Statements(stream.tables, flavor=facts.flavor, version=facts.version, lower_names=facts.lower_names)
        rules = Rules(self.flavor, stream.tables.wants, statements, marks, stream.direct)
        assembler = Assembler(
            rules,
            read=parse_position(self.flavor, self._resume),
            resume=parse_position(self.flavor, self._resume),
            sequence=0,
            record_bytes=_RECORD_BYTES,
            emit=self._emit,
            where=f"site {stream.origin.name}",
        )
        assembler.records.keeps_time = True
        return assembler

    def _connect(self) -> BinlogConnection:
        stream = self._stream
        self._server.check()
        read_timeout = stream.source.read_timeout_s
        settings = {"connect_timeout": 5, "read_timeout": read_timeout, **stream.origin.database.connect_args()}
        connection = self._connection = BinlogConnection(
            settings,
            flavor=self.flavor,
            server_id=stream.server_id,
            position=self._resume,
            heartbeat_s=min(1.0, read_timeout / 3),
        )
        self._heard_at = time.monotonic()
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _emit(self, sealed: Sealed) -> None:
        header = RecordHeader(
            sealed.kind,
            "local",
            1,
            "local",
            sealed.first,
            sealed.last,
            sealed.resume,
            self.flavor,
            sealed.origin_time_us,
            sealed.chunk,
            sealed.payload_bytes,
            sealed.payload_crc,
        )
        self._sealed.append(pack_record(header, sealed.body, level=1))

    def _items(self) -> list[Item]:
        """What the records hold that are ready; at their end, how far the binlog was read, also past what is left out."""
        sealed, self._sealed = self._sealed, []
        found: list[Item] = []
        for value in sealed:
            self._offset += 1
            for item in self._reader.feed(self._offset, value):
                if isinstance(item, Txn | LargeBegin):
                    self._newest_us = max(self._newest_us, item.commit_time_us)
                if not isinstance(item, RecordEnd):
                    found.append(item)
        state = ReaderState("local", 1, "local", self._assembler.records.sequence)
        found.append(RecordEnd(self._offset, str(self._assembler.position), state, self._offset))
        return found
