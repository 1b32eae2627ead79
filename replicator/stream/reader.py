"""What a stream's records mean, in the log's order: a pure state machine, used by the applier and by `inspect`.

The rules (a source obeys them, the reader checks them):

- The topic's first record is an EPOCH record; it gives the stream its random id. Records of another id are another
  history: HistoryLostError.
- An EPOCH record counts if its epoch is higher than the present one. From there on, records of older epochs, and of another
  source that claims the same epoch, are dropped: their writer was superseded. A large transaction that was open is dropped
  with it; the new source sends the whole again.
- Sequences are gapless. A transaction whose sequence was applied already is dropped; a missing one stops.
- A marker that completes no transaction undoes the open large one: it was rolled back, or its source lost the connection
  to the origin in its middle. Chunk 0 that comes again does the same. Between chunks only heartbeats may stand.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from ..errors import START_ANEW, HistoryLostError, StreamError
from .wire import Kind, RecordHeader, read_body, unpack_body, unpack_header, whole_events

__all__ = [
    "Heartbeat",
    "Item",
    "LargeAbort",
    "LargeBegin",
    "LargeEnd",
    "LargePart",
    "ReaderState",
    "RecordEnd",
    "StreamReader",
    "Txn",
]


class ReaderState(msgspec.Struct, frozen=True):
    """How far a reader has come: keep it with what was applied, and resume from it."""

    stream_id: str
    epoch: int
    source_id: str
    sequence: int
    """Of the last transaction that was whole."""


class Txn(msgspec.Struct, frozen=True):
    """A whole transaction. ``events`` is a packed run (``wire.read_events``); its indexes count over ``table_maps``.

    Transactions of one record share one ``table_maps`` tuple.
    """

    sequence: int
    gtid: str
    commit_time_us: int
    site: str
    """Where it was first committed; empty for the stream's origin."""
    table_maps: tuple[bytes, ...]
    events: bytes
    epoch: int
    seen: int = 0
    """How far the origin had applied the stream back; 0 where that is not told."""


class LargeBegin(msgspec.Struct, frozen=True):
    """A large transaction begins; it counts only when its LargeEnd comes."""

    sequence: int
    gtid: str
    commit_time_us: int
    site: str
    offset: int
    """Of its first chunk: where to read again after a restart in the middle."""
    epoch: int
    seen: int = 0


class LargePart(msgspec.Struct, frozen=True):
    """More of the open large transaction: whole events only."""

    table_maps: tuple[bytes, ...]
    """All of the transaction so far; earlier indexes stay."""
    events: bytes


class LargeEnd(msgspec.Struct, frozen=True):
    """The open large transaction is whole."""

    sequence: int


class LargeAbort(msgspec.Struct, frozen=True):
    """The open large transaction never ended: undo what was done of it."""


class Heartbeat(msgspec.Struct, frozen=True):
    """The origin was alive then; ``position`` is complete up to here."""

    origin_time_us: int
    """Commit time of the heartbeat's row at the origin; 0 where the origin cannot be written to: unknown."""
    position: str
    seen: int = 0
    """How far the origin had applied the stream back: no later transaction tells less."""


class RecordEnd(msgspec.Struct, frozen=True):
    """A record was accepted and all of its items were given out."""

    offset: int
    position: str
    """GTID set: everything the origin committed in it is complete up to here. Empty: nothing is known."""
    state: ReaderState
    restart_offset: int
    """Where to read again after a restart: the first chunk of an open large transaction, else the next record."""


Item = Txn | LargeBegin | LargePart | LargeEnd | LargeAbort | Heartbeat | RecordEnd


@dataclass(slots=True)
class _Large:
    """The large transaction whose chunks are coming; ``skip``: it was applied already, or its beginning was not read."""

    sequence: int
    gtid: str
    offset: int
    skip: bool
    chunks: int = 0
    table_maps: list[bytes] = field(default_factory=list)
    rest: bytearray = field(default_factory=bytearray)
    body_bytes: int = 0
    body_crc: int = 0


class StreamReader:
    """Feed it a topic's records in order of their offsets; iterate what each gives before feeding the next.

    ``stream`` names the topic for errors. ``resume`` is the state kept with what was applied last; None: from the stream's
    beginning. ``anywhere`` takes whatever record comes first as the beginning, for looking only.
    """

    def __init__(self, *, stream: str, resume: ReaderState | None = None, anywhere: bool = False) -> None:
        self._stream = stream
        self.stream_id = resume.stream_id if resume else ""
        """Empty until the first record was read."""
        self._epoch = resume.epoch if resume else 0
        self.source_id = resume.source_id if resume else ""
        """Of the source that writes the epoch."""
        self._sequence = resume.sequence if resume else 0
        self._anywhere = anywhere and resume is None
        self._position = ""
        self._large: _Large | None = None
        self._offset = -1
        self.flavor = ""
        """Of the origin's server, by the last record read."""

    @property
    def state(self) -> ReaderState:
        """Where the reader stands now."""
        return ReaderState(self.stream_id, self._epoch, self.source_id, self._sequence)

    def feed(self, offset: int, value: bytes) -> Iterator[Item]:
        """The items of one record. Raises StreamError (or HistoryLostError) where the stream breaks its rules."""
        where = f"topic {self._stream}, offset {offset}"
        if offset <= self._offset:
            raise StreamError(f"the record at offset {self._offset} was read before this one", where=where, remedy=_DEFECT)
        self._offset = offset
        header, body_at = unpack_header(value, where=where)
        self._check_stream(header, where)
        self.flavor = header.flavor
        if header.kind == Kind.EPOCH:
            if header.epoch > self._epoch:
                yield from self._begin_epoch(header, where)
                yield self._end(offset)
            return
        if not self._counts(header, where):
            return
        if header.kind == Kind.DATA:
            yield from self._data(header, value, body_at, where)
        elif header.kind == Kind.CHUNK:
            yield from self._chunk(header, unpack_body(value, body_at, where=where), offset, where)
        elif header.kind == Kind.MARKER:
            yield from self._marker(header, where)
        elif header.kind == Kind.HEARTBEAT:
            if header.first_sequence > self._sequence + 1:
                self._gap(header, where)
            yield Heartbeat(header.origin_time_us, header.position, header.seen)
        else:
            raise StreamError(f"a record of unknown kind {header.kind}", where=where, remedy=_UPGRADE)
        self._position = header.position
        yield self._end(offset)

    def _check_stream(self, header: RecordHeader, where: str) -> None:
        if not self.stream_id:
            if header.kind != Kind.EPOCH and not self._anywhere:
                raise StreamError(
                    f"the stream's beginning is gone: its first record holds sequence {header.first_sequence}",
                    where=where,
                    remedy=f"Kafka's retention deleted it before it was applied: {START_ANEW}",
                )
            if header.kind == Kind.EPOCH and header.first_sequence != 1 and not self._anywhere:
                self._gap(header, where)
            self.stream_id = header.stream_id
            if self._anywhere:
                self._sequence = header.first_sequence - 1
        elif header.stream_id != self.stream_id:
            raise HistoryLostError(
                "the topic holds another stream than the one that was applied: the old one's history is gone",
                where=f"{where}, stream id {header.stream_id} instead of {self.stream_id}",
                remedy=f"restore the topic; or {START_ANEW}",
            )

    def _begin_epoch(self, header: RecordHeader, where: str) -> Iterator[Item]:
        if self._large is not None:
            skipped, self._large = self._large.skip, None
            if not skipped:
                yield LargeAbort()
        self._epoch = header.epoch
        self.source_id = header.source_id
        # Its sequence and position are what the new source knew before it had read the old one's last records.
        self._position = self._position or header.position

    def _counts(self, header: RecordHeader, where: str) -> bool:
        if header.epoch == self._epoch and header.source_id == self.source_id:
            return True
        if self._anywhere and header.epoch > self._epoch:
            self._epoch, self.source_id = header.epoch, header.source_id
            return True
        if header.epoch > self._epoch:
            raise StreamError(
                f"the record that begins epoch {header.epoch} is missing: the last one seen is {self._epoch}",
                where=f"{where}, sequence {header.first_sequence}",
                remedy=f"the topic lost records: {START_ANEW}",
            )
        return False

    def _data(self, header: RecordHeader, value: bytes, body_at: int, where: str) -> Iterator[Item]:
        if self._large is not None:
            raise StreamError(
                "a large transaction is followed by another one before its end",
                where=f"{where}, sequence {self._large.sequence}, GTID {self._large.gtid}",
                remedy=_DEFECT,
            )
        if header.last_sequence <= self._sequence:
            return  # all of it was applied already
        if header.first_sequence > self._sequence + 1:
            self._gap(header, where)
        table_maps, transactions = read_body(unpack_body(value, body_at, where=where))
        maps = tuple(table_maps)
        expected = header.first_sequence
        for t in transactions:
            if t.sequence != expected:
                raise StreamError(
                    f"sequence {expected} should be here",
                    where=f"{where}, sequence {t.sequence}, GTID {t.gtid}",
                    remedy=_DEFECT,
                )
            expected += 1
            if t.sequence > self._sequence:
                self._sequence = t.sequence
                yield Txn(t.sequence, t.gtid, t.commit_time_us, t.site, maps, t.events, self._epoch, t.seen)
        if expected != header.last_sequence + 1:
            raise StreamError(f"the record ends before sequence {expected}", where=where, remedy=_DEFECT)

    def _chunk(self, header: RecordHeader, body: bytes, offset: int, where: str) -> Iterator[Item]:
        table_maps, transactions = read_body(body)
        if len(transactions) != 1 or transactions[0].sequence != header.first_sequence:
            raise StreamError("a chunk holds another transaction than it says", where=where, remedy=_DEFECT)
        (part,) = transactions
        where = f"{where}, sequence {part.sequence}, GTID {part.gtid}"
        if header.chunk == 0:
            if self._large is not None and not self._large.skip:
                yield LargeAbort()
            if part.sequence > self._sequence + 1:
                self._gap(header, where)
            self._large = _Large(part.sequence, part.gtid, offset, skip=part.sequence <= self._sequence)
            if not self._large.skip:
                yield LargeBegin(
                    part.sequence, part.gtid, part.commit_time_us, part.site, offset, self._epoch, part.seen
                )
        elif self._large is None and (self._anywhere or part.sequence <= self._sequence):
            self._large = _Large(part.sequence, part.gtid, offset, skip=True, chunks=header.chunk)
        large = self._large
        if large is None or (large.sequence, large.gtid, large.chunks) != (part.sequence, part.gtid, header.chunk):
            raise StreamError(
                f"chunk {header.chunk} of a large transaction does not follow what came before it",
                where=where,
                remedy=f"the topic lost records: {START_ANEW}",
            )
        large.chunks += 1
        large.body_bytes += len(body)
        large.body_crc = zlib.crc32(body, large.body_crc)
        if large.skip:
            return
        large.table_maps += table_maps
        large.rest += part.events
        whole = whole_events(large.rest)
        if whole:
            run = bytes(memoryview(large.rest)[:whole])
            del large.rest[:whole]
            yield LargePart(tuple(large.table_maps), run)

    def _marker(self, header: RecordHeader, where: str) -> Iterator[Item]:
        large, self._large = self._large, None
        sequence = header.last_sequence
        if sequence < header.first_sequence:
            if large is not None and not large.skip:
                yield LargeAbort()
            return
        if (large is None and sequence <= self._sequence) or (large is not None and large.skip):
            self._sequence = max(self._sequence, sequence)
            return
        if large is None or large.sequence != sequence:
            self._gap(header, where)
        if (large.chunks, large.body_bytes, large.body_crc) != (header.chunk, header.payload_bytes, header.payload_crc):
            raise StreamError(
                f"a large transaction has {large.chunks} chunks, {large.body_bytes} bytes; its marker says {header.chunk}, "
                f"{header.payload_bytes}, or the checksums differ",
                where=f"{where}, sequence {sequence}, GTID {large.gtid}",
                remedy=f"the topic is damaged: {START_ANEW}",
            )
        if large.rest:
            raise StreamError(
                "a large transaction ends inside an event",
                where=f"{where}, sequence {sequence}, GTID {large.gtid}",
                remedy=_DEFECT,
            )
        self._sequence = sequence
        yield LargeEnd(sequence)

    def _end(self, offset: int) -> RecordEnd:
        large = self._large
        restart = large.offset if large is not None and not large.skip else offset + 1
        return RecordEnd(offset, self._position, self.state, restart)

    def _gap(self, header: RecordHeader, where: str) -> NoReturn:
        raise StreamError(
            f"sequence {self._sequence + 1} is missing: the stream goes on with {header.first_sequence}",
            where=where,
            remedy=f"the topic lost records, by retention or otherwise: {START_ANEW}",
        )


_DEFECT = "this is a defect of the source that wrote it: keep the topic for study and report it with this message"
_UPGRADE = "upgrade the applier before the source"
