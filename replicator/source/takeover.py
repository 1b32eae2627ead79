"""Taking a stream over: where it ends, and that from now on it is ours.

The topic's tail is the source's checkpoint. The control topic tells, for certain, how it stood at some offset not long ago; the
headers of the records behind that tell the rest. An EPOCH record then claims the stream: the log's order decides which records of
the last source still count, and a source that finds a newer EPOCH record gives up.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ..context import now_us
from ..errors import START_ANEW, FencedError, HistoryLostError, KafkaFailure, StreamError
from ..stream.consumer import RecordConsumer
from ..stream.producer import ControlRecord, RecordProducer
from ..stream.wire import Kind, RecordHeader, pack_body, pack_record, unpack_header
from .division import check_division, division_of

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Beginning", "Tail", "check_between", "take_over"]

_READ_TIMEOUT_S = 60.0
_ACK_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a stream goes on, or starts: a GTID set, and how far the stream back has been applied by then."""

    position: str
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Tail:
    """How a stream stands. ``sequence`` is of its last whole transaction; ``offset`` of its last record."""

    stream_id: str
    epoch: int
    source_id: str
    sequence: int
    resume: str
    shipped: str
    offset: int
    gtid: str = ""
    seen: int = 0
    time_us: int = 0


class _Scan:
    """Follows the headers by the reader's rules: what counts is of the newest epoch before the next EPOCH record."""

    def __init__(self, tail: Tail | None) -> None:
        self.tail = tail

    def take(self, offset: int, header: RecordHeader, where: str) -> None:
        tail = self.tail
        if tail is None:
            self.tail = Tail(
                header.stream_id,
                header.epoch,
                header.source_id,
                header.last_sequence,
                header.resume,
                header.shipped,
                offset,
                seen=header.seen,
                time_us=0 if header.kind == Kind.EPOCH else header.origin_time_us,
            )
            return
        if header.stream_id != tail.stream_id:
            raise HistoryLostError(
                "the topic holds records of another stream: its history is not ours",
                where=where,
                remedy="restore the topic, or delete the stream's topics and start it anew (docs/WHAT-IF.md)",
            )
        if header.kind == Kind.EPOCH:
            if header.epoch > tail.epoch:
                tail = replace(tail, epoch=header.epoch, source_id=header.source_id)
        elif header.epoch > tail.epoch:
            raise _lost(where, f"the record that begins epoch {header.epoch} is not there, behind one of epoch {tail.epoch}")
        elif header.epoch == tail.epoch and header.source_id == tail.source_id and header.kind != Kind.CHUNK:
            if header.first_sequence > tail.sequence + 1:
                raise _lost(where, f"sequence {header.first_sequence} comes behind {tail.sequence}")
            tail = replace(
                tail,
                sequence=max(tail.sequence, header.last_sequence),
                resume=header.resume,
                shipped=header.shipped,
                seen=header.seen,
                time_us=max(tail.time_us, header.origin_time_us),
            )
        self.tail = replace(tail, offset=offset)


def take_over(
    stream: StreamConfig, producer: RecordProducer, *, flavor: str, begin: Callable[[], Beginning], known_id: str
) -> Tail:
    """Claim the stream; returns its tail as this source has to continue it.

    ``begin`` tells where a new stream starts. ``known_id`` is the stream id that the origin remembers, "" if none.
    Raises HistoryLostError where there was a history and the topic does not have it, FencedError, KafkaFailure.
    """
    remembered = _remembered(stream, stream.id.control_topic)
    check_division(stream, remembered, partial(_remembered, stream))
    consumer = RecordConsumer(stream)
    try:
        tail = _find_tail(stream, consumer, remembered, known_id)
        beginning = begin() if tail is None else Beginning(tail.resume, tail.seen)
        return _claim(stream, producer, consumer, tail, flavor, beginning)
    finally:
        consumer.close()


def _remembered(stream: StreamConfig, topic: str) -> ControlRecord | None:
    """The newest record of a control topic."""
    with closing(RecordConsumer(stream, topic=topic)) as control:
        control.assign(None)
        newest = None
        for _, value in _until_end(control):
            newest = msgspec.json.decode(value, type=ControlRecord)
        return newest


def _find_tail(stream: StreamConfig, consumer: RecordConsumer, remembered: ControlRecord | None, known_id: str) -> Tail | None:
    consumer.assign(None)
    end = consumer.end_offset()
    where = f"topic {stream.id.topic}"
    if remembered is None:
        scan = _Scan(None)
    else:
        if known_id and remembered.stream_id != known_id:
            raise _lost(where, "the control topic tells of another stream than the origin remembers")
        if end <= remembered.offset:
            raise _lost(where, f"the topic ends at offset {end}, and there was a record at {remembered.offset}")
        scan = _Scan(
            Tail(
                remembered.stream_id,
                remembered.epoch,
                remembered.source_id,
                remembered.sequence,
                remembered.resume,
                remembered.shipped,
                remembered.offset,
                remembered.gtid,
                remembered.seen,
                remembered.time_us,
            )
        )
        consumer.assign(remembered.offset + 1)
    _follow(scan, consumer, end, where)
    if scan.tail is None and end > 0:
        raise _lost(where, f"its {end} records were all deleted, and the control topic tells nothing of them")
    if scan.tail is None and known_id:
        raise _lost(where, f"the topic is empty, but the origin remembers the stream {known_id}")
    if scan.tail is not None and scan.tail.offset != end - 1 and end > 0:
        raise _lost(where, f"records up to offset {end - 1} were deleted before they could be followed")
    if known_id and scan.tail is not None and scan.tail.stream_id != known_id:
        raise _lost(where, f"the topic holds the stream {scan.tail.stream_id}, and the origin remembers {known_id}")
    return scan.tail


def _follow(scan: _Scan, consumer: RecordConsumer, end: int, where: str) -> None:
    expected = None if scan.tail is None else scan.tail.offset + 1
    for offset, value in _until_end(consumer, end):
        if expected is not None and offset != expected:
            raise _lost(where, f"the records from offset {expected} to {offset - 1} are gone")
        header, _ = unpack_header(value, where=f"{where}, offset {offset}")
        scan.take(offset, header, f"{where}, offset {offset}")
        expected = offset + 1


def _claim(
    stream: StreamConfig, producer: RecordProducer, consumer: RecordConsumer, tail: Tail | None, flavor: str, begin: Beginning
) -> Tail:
    source_id = uuid.uuid4().hex
    stream_id = tail.stream_id if tail else uuid.uuid4().hex
    epoch = tail.epoch + 1 if tail else 1
    shipped = tail.shipped if tail else ""
    sequence = tail.sequence if tail else 0
    header = RecordHeader(
        Kind.EPOCH,
        stream_id,
        epoch,
        source_id,
        sequence + 1,
        sequence,
        begin.position,
        flavor,
        now_us(),
        shipped=shipped,
        seen=begin.seen,
    )
    producer.send(pack_record(header, pack_body([], [])), "epoch")
    ((_, claimed),) = producer.drain(_ACK_TIMEOUT_S)
    where = f"topic {stream.id.topic}"
    scan = _Scan(tail)
    if tail is not None or claimed > 0:
        consumer.assign(tail.offset + 1 if tail else None)
        _follow(scan, consumer, claimed, where)
    before = scan.tail
    if before is not None and (before.stream_id != stream_id or before.epoch >= epoch):
        raise FencedError(
            f"another source took the stream over at the same time, epoch {before.epoch}",
            where=where,
            remedy="run one source for each stream; this one tries again",
            retry=True,
        )
    mine = Tail(
        stream_id,
        epoch,
        source_id,
        before.sequence if before else 0,
        before.resume if before else begin.position,
        before.shipped if before else "",
        claimed,
        before.gtid if before else "",
        before.seen if before else begin.seen,
        before.time_us if before else 0,
    )
    producer.expect(claimed, lambda first, last: check_between(stream, mine, first, last))
    producer.remember(
        ControlRecord(
            stream_id,
            epoch,
            source_id,
            mine.sequence,
            mine.gtid,
            mine.resume,
            flavor,
            claimed,
            mine.shipped,
            mine.seen,
            mine.time_us,
            division_of(stream, stream.id.stream),
        )
    )
    producer.flush_control()
    return mine


def check_between(stream: StreamConfig, mine: Tail, first: int, last: int) -> None:
    """Other records got between ours: late ones of the source before us mean nothing. Raises FencedError where one of them
    takes the stream over."""
    where = f"topic {stream.id.topic}"
    consumer = RecordConsumer(stream)
    try:
        consumer.assign(first)
        for offset, value in _until_end(consumer, last + 1):
            header, _ = unpack_header(value, where=f"{where}, offset {offset}")
            if header.kind == Kind.EPOCH and header.epoch > mine.epoch:
                raise FencedError(
                    f"another source took the stream over, with epoch {header.epoch}; ours is {mine.epoch}",
                    where=f"{where}, offset {offset}",
                    remedy="run one source for each stream; `replicator resume` lets this one take it over again",
                )
    finally:
        consumer.close()


def _until_end(consumer: RecordConsumer, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The records before ``end`` (default: the topic's present end)."""
    stop = consumer.end_offset() if end is None else end
    deadline = time.monotonic() + _READ_TIMEOUT_S
    while consumer.next_offset < stop:
        records = [r for r in consumer.poll(500) if r[0] < stop]
        yield from records
        if records:
            deadline = time.monotonic() + _READ_TIMEOUT_S
        elif consumer.next_offset >= stop:
            break
        elif time.monotonic() > deadline:
            raise KafkaFailure("the stream's tail cannot be read", remedy="check that the brokers run")


def _lost(where: str, what: str) -> StreamError:
    return HistoryLostError(
        f"the stream's history is gone: {what}",
        where=where,
        remedy=f"restore the topic; or, if it is lost, {START_ANEW}",
    )
