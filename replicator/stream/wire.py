"""The wire format: how transactions lie in Kafka records. Pure; no I/O.

A record is self-contained: a reader can start at any of them. Its value is

    magic ``RPL`` | major version u8 | crc32 u32 of all that follows | header length u32 | header | body

with integers little endian. The header is a msgpack array (see ``RecordHeader``); the body is one zstd frame. A reader
refuses another major version; a newer minor may append fields to the header, which an older reader passes over.

The body of a data record holds the table maps its rows need (``u16 count``, then ``u32 length | bytes`` each: the
TABLE_MAP event after table id and flags) and then transactions, each

    sequence u64 | commit time u64 (µs since the epoch) | gtid length u16 | gtid | events length u32 | events

and each event ``type u8 | table map index u16 (0xFFFF: none) | length u32 | payload after the 19-byte header``.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import zstandard

from ..errors import StreamError

__all__ = [
    "NO_TABLE",
    "Event",
    "Kind",
    "RecordHeader",
    "Transaction",
    "pack_body",
    "pack_record",
    "read_body",
    "unpack_record",
]

MAGIC = b"RPL"
MAJOR = 1
NO_TABLE = 0xFFFF
MAX_BODY_BYTES = 256 << 20
"""A body that claims to be larger than this is corrupt: the source cuts records long before it."""

_PREFIX = struct.Struct("<3sBII")
_CRC_FROM = 8  # the checksum covers everything behind itself
_TRANSACTION = struct.Struct("<QQH")
_EVENT = struct.Struct("<BHI")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")


class Kind(enum.IntEnum):
    """What a record is."""

    EPOCH = 1  # a source took the stream over
    DATA = 2  # whole transactions
    CHUNK = 3  # a part of one large transaction
    MARKER = 4  # the end of a large transaction: counts and checksum
    HEARTBEAT = 5  # a position and a time, no transaction


class RecordHeader(msgspec.Struct, frozen=True, array_like=True):
    """The header of every record; field order is the format."""

    kind: int
    stream_id: str
    """Random id of the stream, made with its first epoch: another id is another history."""
    epoch: int
    source_id: str
    """Random id of the process that writes; two that took the same epoch differ in it."""
    first_sequence: int
    """Of the first transaction in it; for records without transactions the next sequence to come."""
    last_sequence: int
    """Of the last transaction complete with this record; ``first_sequence - 1`` where none is."""
    resume: str
    """Position (GTID set) after the last transaction complete with this record: where a source goes on."""
    flavor: str
    origin_time_us: int
    chunk: int = 0
    """Number of the chunk inside its transaction, from 0; in a marker the number of chunks."""
    payload_bytes: int = 0
    """In a marker: bytes of all chunks' bodies."""
    payload_crc: int = 0
    """In a marker: crc32 over all chunks' bodies."""


@dataclass(frozen=True, slots=True)
class Event:
    """One binlog event, raw."""

    type: int
    table: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the origin committed together; ``events`` is the packed run of its events."""

    sequence: int
    commit_time_us: int
    gtid: str
    events: bytes

    def __iter__(self) -> Iterator[Event]:
        """Its events in order; raises StreamError where the run is cut short."""
        at, end = 0, len(self.events)
        while at < end:
            if at + _EVENT.size > end:
                raise StreamError("an event is cut short", where=f"sequence {self.sequence}, GTID {self.gtid}")
            kind, table, length = _EVENT.unpack_from(self.events, at)
            at += _EVENT.size
            if at + length > end:
                raise StreamError("an event is cut short", where=f"sequence {self.sequence}, GTID {self.gtid}")
            yield Event(kind, table, self.events[at : at + length])
            at += length


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RecordHeader)


def pack_event(kind: int, table: int, payload: bytes) -> bytes:
    """One event of a transaction's run."""
    return _EVENT.pack(kind, table, len(payload)) + payload


def pack_body(table_maps: Sequence[bytes], transactions: Sequence[Transaction]) -> bytes:
    """The body of a data record, not compressed."""
    parts = [_U16.pack(len(table_maps))]
    for table_map in table_maps:
        parts += (_U32.pack(len(table_map)), table_map)
    for t in transactions:
        gtid = t.gtid.encode()
        parts += (_TRANSACTION.pack(t.sequence, t.commit_time_us, len(gtid)), gtid, _U32.pack(len(t.events)), t.events)
    return b"".join(parts)


def read_body(body: bytes) -> tuple[list[bytes], list[Transaction]]:
    """The table maps and transactions of a data record's body; raises StreamError where it is malformed."""
    try:
        return _read_body(body)
    except (struct.error, UnicodeDecodeError) as error:
        raise StreamError(f"the body of a record is malformed: {error}", remedy=_CORRUPT) from error


def _take(body: bytes, at: int) -> tuple[bytes, int]:
    (length,) = _U32.unpack_from(body, at)
    end = at + 4 + length
    if end > len(body):  # a slice past the end would come back short without a word
        raise StreamError("the body of a record is cut short", remedy=_CORRUPT)
    return body[at + 4 : end], end


def _read_body(body: bytes) -> tuple[list[bytes], list[Transaction]]:
    (count,) = _U16.unpack_from(body, 0)
    at = 2
    maps = []
    for _ in range(count):
        table_map, at = _take(body, at)
        maps.append(table_map)
    transactions = []
    while at < len(body):
        sequence, time_us, gtid_length = _TRANSACTION.unpack_from(body, at)
        at += _TRANSACTION.size
        gtid = body[at : at + gtid_length].decode("ascii")
        events, at = _take(body, at + gtid_length)
        transactions.append(Transaction(sequence, time_us, gtid, events))
    return maps, transactions


def pack_record(header: RecordHeader, body: bytes, *, level: int = 1) -> bytes:
    """A record's value; ``body`` is compressed with zstd at that level."""
    if len(body) > MAX_BODY_BYTES:
        raise StreamError(f"a record's body of {len(body)} bytes is over the format's limit of {MAX_BODY_BYTES}")
    packed = _encoder.encode(header)
    rest = _U32.pack(len(packed)) + packed + zstandard.ZstdCompressor(level=level).compress(body)
    return MAGIC + bytes([MAJOR]) + _U32.pack(zlib.crc32(rest)) + rest


_CORRUPT = (
    "the record is damaged or not ours: keep the topic as it is for study, look at it with `replicator inspect`, and "
    "restore the topic or start the stream anew"
)


def unpack_record(value: bytes, *, where: str = "") -> tuple[RecordHeader, bytes]:
    """Header and body of a record's value; raises StreamError where anything at all is off.

    ``where`` names topic and offset for the error.
    """
    if len(value) < _PREFIX.size or value[:3] != MAGIC:
        raise StreamError("not a record of a replicator stream", where=where, remedy=_CORRUPT)
    _, major, crc, length = _PREFIX.unpack_from(value)
    if major != MAJOR:
        raise StreamError(
            f"the record has format version {major}, this program reads version {MAJOR}",
            where=where,
            remedy="upgrade the applier before the source",
        )
    if zlib.crc32(memoryview(value)[_CRC_FROM:]) != crc:
        raise StreamError("the record's checksum does not match", where=where, remedy=_CORRUPT)
    try:
        header = _decoder.decode(value[_PREFIX.size : _PREFIX.size + length])
        body = zstandard.ZstdDecompressor().decompress(value[_PREFIX.size + length :], max_output_size=MAX_BODY_BYTES)
    except (msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise StreamError(f"the record cannot be read: {error}", where=where, remedy=_CORRUPT) from error
    return header, body
