"""The wire format: how transactions lie in Kafka records. Pure; no I/O.

A record is self-contained: a reader can start at any of them. Its value is

    magic ``RPL`` | major version u8 | crc32 u32 of all that follows | header length u32 | header | body

with integers little endian. The header is a msgpack array (see ``RecordHeader``); the body is one zstd frame. A reader
refuses another major version; a newer minor may append fields to the header, which an older reader passes over.

The body of a data record holds the table maps its rows need (``u16 count``, then ``u32 length | bytes`` each: the
TABLE_MAP event after table id and flags) and then transactions, each

    sequence u64 | commit time u64 (µs since the epoch) | flags u8 | gtid length u8 | site length u8 | seen u64 if flags
    has bit 0 | gtid | site | events length u32 | events

``site`` names the site where it was first committed, empty for the stream's origin. ``seen`` is how far the origin had then
applied the stream that goes back (a sequence of that stream), 0 where it is not there. Its events are a packed run of

    type u8 | table map index u16 (0xFFFF: none) | length u32 | payload

where the payload is what stands behind the event's 19-byte header, without checksum. A QUERY event (type 2) has the
header's timestamp (``u32``, seconds) in front of that. Compressed events are shipped as what they decompress to.

A transaction that is too large for one record goes out as CHUNK records, then a MARKER. A chunk's body is that of a
data record with this one transaction, whose events are the next slice of the packed run, cut anywhere; its table maps are
those that came up since the chunk before, and indexes count over the maps of all chunks. All chunks of a transaction
carry the same sequence, GTID and times; chunk 0 starts it anew. The marker has an empty body; one whose last sequence is
below its first takes the transaction back.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator, Sequence

import msgspec
import zstandard

from ..errors import StreamError

__all__ = [
    "EVENT",
    "NO_TABLE",
    "QUERY",
    "Event",
    "Kind",
    "RecordHeader",
    "Transaction",
    "event_kinds",
    "pack_body",
    "pack_event",
    "pack_maps",
    "pack_record",
    "pack_transaction_head",
    "read_body",
    "read_events",
    "unpack_body",
    "unpack_header",
    "unpack_record",
    "whole_events",
]

MAGIC = b"RPL"
MAJOR = 1
NO_TABLE = 0xFFFF
MAX_BODY_BYTES = 256 << 20
"""A body that claims to be larger than this is corrupt: the source cuts records long before it."""

_PREFIX = struct.Struct("<3sBII")
_CRC_FROM = 8  # the checksum covers everything behind itself
_TRANSACTION = struct.Struct("<QQBBB")
_SEEN = 1
EVENT = struct.Struct("<BHI")
"""In front of each event of a run: type, table map index, length of the payload."""
QUERY = 2
"""Type of a statement's event, whose payload starts with the u32 timestamp of its header."""
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


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
    shipped: str = ""
    """Position whose committed transactions are all complete with this record, where that is more than ``resume``: a
    source stays behind with ``resume`` while an XA transaction is prepared and not yet committed."""
    seen: int = 0
    """How far the origin has applied the stream back, as of this position."""

    @property
    def position(self) -> str:
        """Whatever the origin committed up to here is complete with this record."""
        return self.shipped or self.resume


class Event(msgspec.Struct, frozen=True, gc=False):
    """One binlog event, raw."""

    type: int
    table: int
    payload: bytes


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """What the origin committed together; ``events`` is the packed run of its events."""

    sequence: int
    commit_time_us: int
    gtid: str
    events: bytes
    site: str = ""
    seen: int = 0

    def __iter__(self) -> Iterator[Event]:
        """Its events in order; raises StreamError where the run is cut short."""
        return read_events(self.events, where=f"sequence {self.sequence}, GTID {self.gtid}")


def read_events(run: bytes, *, where: str = "") -> Iterator[Event]:
    """The events of a packed run in order; raises StreamError where it is cut short."""
    at, end = 0, len(run)
    while at < end:
        if at + EVENT.size > end:
            raise StreamError("an event is cut short", where=where, remedy=_CORRUPT)
        kind, table, length = EVENT.unpack_from(run, at)
        at += EVENT.size
        if at + length > end:
            raise StreamError("an event is cut short", where=where, remedy=_CORRUPT)
        yield Event(kind, table, run[at : at + length])
        at += length


def event_kinds(run: bytes) -> set[int]:
    """The types of the events of a packed run."""
    kinds, at, end = set(), 0, len(run)
    while at < end:
        kinds.add(run[at])
        at += EVENT.size + EVENT.unpack_from(run, at)[2]
    return kinds


def whole_events(run: bytes | bytearray) -> int:
    """How many bytes of a run that may be cut anywhere are whole events."""
    at, end = 0, len(run)
    while at + EVENT.size <= end:
        after = at + EVENT.size + EVENT.unpack_from(run, at)[2]
        if after > end:
            break
        at = after
    return at


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RecordHeader)


_compressors: dict[int, zstandard.ZstdCompressor] = {}


def pack_event(kind: int, table: int, payload: bytes) -> bytes:
    """One event of a transaction's run."""
    return EVENT.pack(kind, table, len(payload)) + payload


def pack_maps(table_maps: Sequence[bytes]) -> bytes:
    """The table maps at the start of a body."""
    parts = [_U16.pack(len(table_maps))]
    for table_map in table_maps:
        parts += (_U32.pack(len(table_map)), table_map)
    return b"".join(parts)


def pack_transaction_head(
    sequence: int, commit_time_us: int, gtid: bytes, site: bytes, seen: int, events_bytes: int
) -> bytes:
    """What stands in a body before a transaction's run of that many bytes."""
    head = _TRANSACTION.pack(sequence, commit_time_us, _SEEN if seen else 0, len(gtid), len(site))
    if seen:
        head += _U64.pack(seen)
    return head + gtid + site + _U32.pack(events_bytes)


def pack_body(table_maps: Sequence[bytes], transactions: Sequence[Transaction]) -> bytes:
    """The body of a data record, not compressed."""
    parts = [pack_maps(table_maps)]
    for t in transactions:
        head = pack_transaction_head(t.sequence, t.commit_time_us, t.gtid.encode(), t.site.encode(), t.seen, len(t.events))
        parts += (head, t.events)
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
        sequence, time_us, flags, gtid_length, site_length = _TRANSACTION.unpack_from(body, at)
        at += _TRANSACTION.size
        if flags & ~_SEEN:
            raise StreamError(f"a transaction with unknown flags {flags}", remedy="upgrade the applier before the source")
        seen = 0
        if flags & _SEEN:
            (seen,) = _U64.unpack_from(body, at)
            at += _U64.size
        site_at = at + gtid_length
        gtid = body[at:site_at].decode("ascii")
        events, after = _take(body, site_at + site_length)
        site = body[site_at : site_at + site_length].decode("utf-8") if site_length else ""
        at = after
        transactions.append(Transaction(sequence, time_us, gtid, events, site, seen))
    return maps, transactions


def pack_record(header: RecordHeader, body: bytes, *, level: int = 1) -> bytes:
    """A record's value; ``body`` is compressed with zstd at that level."""
    if len(body) > MAX_BODY_BYTES:
        raise StreamError(f"a record's body of {len(body)} bytes is over the format's limit of {MAX_BODY_BYTES}")
    packed = _encoder.encode(header)
    compressor = _compressors.get(level)
    if compressor is None:
        compressor = _compressors[level] = zstandard.ZstdCompressor(level=level)
    rest = _U32.pack(len(packed)) + packed + compressor.compress(body)
    return MAGIC + bytes([MAJOR]) + _U32.pack(zlib.crc32(rest)) + rest


_CORRUPT = (
    "the record is damaged or not ours: keep the topic as it is for study, look at it with `replicator inspect`, and "
    "restore the topic or start the stream anew"
)


def unpack_record(value: bytes, *, where: str = "") -> tuple[RecordHeader, bytes]:
    """Header and body of a record's value; raises StreamError where anything at all is off.

    ``where`` names topic and offset for the error.
    """
    header, body_at = unpack_header(value, where=where)
    return header, unpack_body(value, body_at, where=where)


def unpack_header(value: bytes, *, where: str = "") -> tuple[RecordHeader, int]:
    """Header of a record's value and where its body begins; the checksum over all of it is checked."""
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
    body_at = _PREFIX.size + length
    try:
        return _decoder.decode(memoryview(value)[_PREFIX.size : body_at]), body_at
    except msgspec.MsgspecError as error:
        raise StreamError(f"the record cannot be read: {error}", where=where, remedy=_CORRUPT) from error


def unpack_body(value: bytes, body_at: int, *, where: str = "") -> bytes:
    """The body that begins there in a record's value, decompressed."""
    packed = memoryview(value)[body_at:]
    try:
        size = zstandard.frame_content_size(packed)
        if not 0 <= size <= MAX_BODY_BYTES:
            raise StreamError(f"a record claims a body of {size} bytes", where=where, remedy=_CORRUPT)
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY_BYTES)
    except zstandard.ZstdError as error:
        raise StreamError(f"the record cannot be read: {error}", where=where, remedy=_CORRUPT) from error
