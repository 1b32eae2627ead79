"""What stands in the binlog's events, where we must know it: GTIDs, table names, XA ids, compressed transactions. Pure.

Every function takes the body of an event: what stands behind the 19-byte header, without checksum. Whatever does not follow
the format raises SourceError.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator
from typing import Final, NamedTuple

import zstandard

from ..errors import SourceError

__all__ = [
    "HEADER_BYTES",
    "NO_DATA",
    "ROWS",
    "STOPPING",
    "Begin",
    "QueryParts",
    "Xid",
    "mariadb_gtid",
    "mysql_gtid",
    "payload_events",
    "query_parts",
    "table_name",
    "tagged_gtid",
    "xa_prepare",
    "xa_statement",
]

HEADER_BYTES: Final = 19

ROWS: Final = frozenset({23, 24, 25, 30, 31, 32, 39})
"""WRITE, UPDATE, DELETE of version 1 and 2, PARTIAL_UPDATE."""

NO_DATA: Final = frozenset({3, 4, 5, 13, 14, 27, 28, 29, 35, 36, 37, 41, 160, 161, 163})
"""STOP, ROTATE, INTVAR, RAND, USER_VAR, HEARTBEAT, IGNORABLE, ROWS_QUERY, PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE,
HEARTBEAT_V2; MariaDB: ANNOTATE_ROWS, BINLOG_CHECKPOINT, GTID_LIST. INTVAR, RAND, USER_VAR only prepare a statement, which
is judged itself."""

STOPPING: Final = {
    26: (
        "an INCIDENT event: the origin says that its binlog lacks changes",
        "load the target anew, and start the stream anew behind that (docs/WHAT-IF.md)",
    ),
    34: ("an anonymous transaction", "set gtid_mode=ON at the origin, then start the stream anew behind it"),
    164: ("an encryption marker", "let the server decrypt what it sends"),
}
"""Event types that stop the flow, with what they are and the remedy."""

_XA_PREPARED, _XA_COMPLETED = 0x40, 0x80
_STANDALONE, _GROUP_COMMIT_ID = 0x01, 0x02
_PLAIN_BYTES_MAX = 4 << 30
_PIECE_BYTES = 1 << 20


class Xid(NamedTuple):
    """The name of an XA transaction."""

    format: int
    global_id: bytes
    branch_id: bytes


class Begin(NamedTuple):
    """How a transaction begins."""

    gtid: bytes
    commit_time_us: int
    block: bool
    """It ends with XID, COMMIT or XA PREPARE; else with its first statement (MySQL: unless that is BEGIN)."""
    prepares: Xid | None = None
    """MariaDB: the XA transaction that this group prepares."""


def mysql_gtid(body: bytes, seconds: int, server_id: int) -> Begin:
    """MySQL's GTID event: flags u8, uuid, number i64, logical clock (25 bytes), then commit times of 7 bytes from 8.0.1 on."""
    if len(body) < 25:
        raise SourceError("a GTID event is cut short")
    gtid = f"{uuid.UUID(bytes=body[1:17])}:{int.from_bytes(body[17:25], 'little')}"
    time_us = seconds * 1_000_000
    if len(body) >= 49:
        time_us = int.from_bytes(body[42:49], "little")
        if time_us >> 55:  # the top bit says that the original time follows
            time_us = int.from_bytes(body[49:56], "little")
    return Begin(gtid.encode(), time_us, block=False)


def mariadb_gtid(body: bytes, seconds: int, server_id: int) -> Begin:
    """MariaDB's: number u64, domain u32, flags u8, then by flags a group commit id or the XA transaction's name."""
    if len(body) < 13:
        raise SourceError("a GTID event is cut short")
    number, domain, flags = struct.unpack_from("<QIB", body)
    prepares = None
    if flags & (_XA_PREPARED | _XA_COMPLETED):
        at = 13 + (8 if flags & _GROUP_COMMIT_ID else 0)
        form, global_bytes, branch_bytes = struct.unpack_from("<IBB", body, at)
        name = body[at + 6 : at + 6 + global_bytes + branch_bytes]
        if len(name) != global_bytes + branch_bytes:
            raise SourceError("a GTID event is cut short")
        if flags & _XA_PREPARED:
            prepares = Xid(form, name[:global_bytes], name[global_bytes:])
    gtid = b"%d-%d-%d" % (domain, server_id, number)
    return Begin(gtid, seconds * 1_000_000, block=not flags & _STANDALONE, prepares=prepares)


def tagged_gtid(body: bytes, seconds: int, server_id: int) -> Begin:
    """MySQL's GTID_TAGGED: numbered fields, each a variable-length integer or made of such.

    An integer's first byte ends with as many 1 bits as bytes follow; what is left of all of them is the value.
    """
    fields = _Fields(body)
    if fields.integer() != 1:
        raise SourceError("a tagged GTID event of an unknown version", remedy="upgrade replicator")
    fields.integer()  # its size
    fields.integer()  # the last field that must be understood
    sid, tag, number, immediate, original = b"", "", 0, 0, 0
    while not fields.done:
        field = fields.integer()
        if field == 1:
            sid = bytes([fields.integer() for _ in range(16)])
        elif field == 2:
            number = fields.signed()
        elif field == 3:
            tag = fields.text()
        elif field == 6:
            immediate = fields.integer()
        elif field == 7:
            original = fields.integer()
        elif field in (0, 4, 5, 8, 9, 10, 11):  # flags, logical clock, length, versions, ticket: plain integers
            fields.integer()
        elif number and sid:
            break  # later fields are not for us
        else:
            raise SourceError(f"a tagged GTID event with an unknown field {field}", remedy="upgrade replicator")
    if not sid or number < 1:
        raise SourceError("a tagged GTID event without its GTID")
    gtid = f"{uuid.UUID(bytes=sid)}:{tag}:{number}" if tag else f"{uuid.UUID(bytes=sid)}:{number}"
    return Begin(gtid.encode(), original or immediate or seconds * 1_000_000, block=False)


class _Fields:
    """MySQL's serialization of variable-length integers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._data)

    def integer(self) -> int:
        if self._at >= len(self._data):
            raise SourceError("a tagged GTID event is cut short")
        first = self._data[self._at]
        more = (~first & (first + 1)).bit_length() - 1  # trailing 1 bits
        end = self._at + 1 + more
        if end > len(self._data):
            raise SourceError("a tagged GTID event is cut short")
        value = int.from_bytes(self._data[self._at : end], "little") >> min(more + 1, 8)
        self._at = end
        return value

    def signed(self) -> int:
        value = self.integer()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def text(self) -> str:
        size = self.integer()
        end = self._at + size
        if end > len(self._data):
            raise SourceError("a tagged GTID event is cut short")
        text = self._data[self._at : end].decode("ascii", "replace")
        self._at = end
        return text


def table_name(body: bytes) -> tuple[str, str]:
    """Schema and table of a TABLE_MAP event; ``body`` begins behind its table id and flags."""
    try:
        end = 1 + body[0]
        size = body[end + 1]
        if body[end] or body[end + 2 + size] or end + 2 + size >= len(body):
            raise SourceError("a table map's names are not closed by a zero byte")
        return body[1:end].decode(), body[end + 2 : end + 2 + size].decode()
    except (IndexError, UnicodeDecodeError) as error:
        raise SourceError("a table map is malformed") from error


class QueryParts(NamedTuple):
    """What of a QUERY event decides who handles it."""

    thread_id: int
    schema: bytes
    statement: bytes


def query_parts(body: bytes) -> QueryParts:
    """Thread id, default schema and statement of a QUERY event."""
    if len(body) < 13:
        raise SourceError("a QUERY event is cut short")
    at = 13 + int.from_bytes(body[11:13], "little")
    end = at + body[8]
    if end >= len(body) or body[end]:
        raise SourceError("a QUERY event is malformed")
    return QueryParts(int.from_bytes(body[:4], "little"), body[at:end], body[end + 1 :])


def xa_prepare(body: bytes) -> tuple[bool, Xid]:
    """An XA_PREPARE event: whether it commits at once (ONE PHASE), and whose it is."""
    if len(body) < 13:
        raise SourceError("an XA_PREPARE event is cut short")
    one_phase, form, global_bytes, branch_bytes = struct.unpack_from("<BIII", body)
    name = body[13 : 13 + global_bytes + branch_bytes]
    if len(name) != global_bytes + branch_bytes:
        raise SourceError("an XA_PREPARE event is cut short")
    return bool(one_phase), Xid(form, name[:global_bytes], name[global_bytes:])


_XA = re.compile(rb"XA (START|END|COMMIT|ROLLBACK) X'([0-9a-fA-F]*)',X'([0-9a-fA-F]*)',(\d+)(?: ONE PHASE)?")


def xa_statement(statement: bytes) -> tuple[bytes, Xid]:
    """The verb and the name of an XA statement as servers log it."""
    match = _XA.fullmatch(statement)
    if match is None:
        raise SourceError("an XA statement of unknown form", remedy="upgrade replicator")
    return match[1], Xid(int(match[4]), bytes.fromhex(match[2].decode()), bytes.fromhex(match[3].decode()))


def _lenenc(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}[first]
    if at + 1 + width > len(data):
        raise IndexError("a length is cut short")
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def payload_events(body: bytes) -> Iterator[bytes]:
    """The events inside a TRANSACTION_PAYLOAD, with their headers; they have no checksums. Decompressed piece by piece.

    The body has fields of type, length, value until type 0; then the data. Type 2 is the algorithm (0 zstd, 255 none), type 3
    the plain size.
    """
    try:
        fields: dict[int, int] = {}
        at = 0
        while True:
            field, at = _lenenc(body, at)
            if field == 0:
                break
            length, at = _lenenc(body, at)
            fields[field], _ = _lenenc(body, at)
            at += length
    except (IndexError, KeyError) as error:
        raise SourceError("a compressed transaction is malformed") from error
    algorithm, size = fields.get(2, 0), fields.get(3, 0)
    if algorithm == 255:
        pieces: Iterator[bytes] = iter([body[at:]])
        size = len(body) - at
    elif algorithm == 0 and size <= _PLAIN_BYTES_MAX:
        pieces = _decompressed(body, at)
    else:
        raise SourceError(f"a compressed transaction of algorithm {algorithm}, {size} bytes", remedy="upgrade replicator")
    yield from _split(pieces, size)


def _decompressed(body: bytes, at: int) -> Iterator[bytes]:
    try:
        with zstandard.ZstdDecompressor().stream_reader(memoryview(body)[at:], read_across_frames=True) as reader:
            while piece := reader.read(_PIECE_BYTES):
                yield piece
    except zstandard.ZstdError as error:
        raise SourceError("a compressed transaction is malformed") from error


def _split(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    held = b""
    seen = 0
    for piece in pieces:
        held += piece
        seen += len(piece)
        at = 0
        while at + 13 <= len(held):
            length = int.from_bytes(held[at + 9 : at + 13], "little")
            if length < HEADER_BYTES:
                raise SourceError("a compressed transaction is malformed")
            if at + length > len(held):
                break
            yield held[at : at + length]
            at += length
        held = held[at:]
    if held or seen != size:
        raise SourceError("a compressed transaction is cut short")

