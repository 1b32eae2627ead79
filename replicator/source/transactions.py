"""Groups binlog events into transactions; rows stay raw. Pure: bytes in, transactions out.

Every event type is either handled here, listed as carrying no data, or stops the flow: nothing is skipped unknown.
"""

from __future__ import annotations

import re
import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from ..errors import DecodeError, SourceError
from ..stream.wire import NO_TABLE, pack_event

__all__ = ["Grouped", "Grouper"]

HEADER_BYTES = 19
_HEADER = struct.Struct("<IBIIIH")  # timestamp, type, server id, size, end position, flags
_CHECKSUM_CRC32 = 1
_MAX_PAYLOAD_BYTES = 1 << 30

QUERY, ROTATE, FORMAT_DESCRIPTION, XID, TABLE_MAP, GTID, TRANSACTION_PAYLOAD, MARIADB_GTID = 2, 4, 15, 16, 19, 33, 40, 162
ROWS = frozenset({23, 24, 25, 30, 31, 32, 39})
# STOP, HEARTBEAT, ROWS_QUERY, PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE, HEARTBEAT_V2,
# MariaDB: ANNOTATE_ROWS, BINLOG_CHECKPOINT, GTID_LIST. INTVAR, RAND, USER_VAR only prepare a statement, which is judged.
NO_DATA = frozenset({3, 5, 13, 14, 27, 29, 35, 36, 37, 41, 160, 161, 163})
STOPPING = {
    26: ("an INCIDENT event: the origin says that its binlog lacks changes", "load the target anew"),
    34: ("an anonymous transaction", "set gtid_mode=ON at the origin"),
    38: ("an XA PREPARE event", "this version cannot ship XA transactions: commit them without XA"),
    42: ("a tagged GTID", "this version cannot ship them: use untagged GTIDs"),
    164: ("an encryption marker", "let the server decrypt what it sends"),
    **dict.fromkeys(range(165, 172), ("a compressed MariaDB event", "set log_bin_compress=OFF at the origin")),
}
_DDL = frozenset(b"CREATE ALTER DROP RENAME TRUNCATE GRANT REVOKE SET FLUSH ANALYZE OPTIMIZE REPAIR CHECK".split())
"""First words of statements that change no rows by themselves; whatever else comes as a statement stops the flow."""
_LEADING_COMMENTS = re.compile(rb"(?:\s+|/\*(?![!M])(?s:.*?)\*/|--\s[^\n]*\n|#[^\n]*\n)*")
_TABLE_MAP_SKIP = 8  # table id and flags: the same map has another id after every restart
_DUMMY_TABLE = b"\xff\xff\xff\x00\x00\x00"  # a rows event without rows that only ends a statement


@dataclass(frozen=True, slots=True)
class Grouped:
    """One transaction as the origin committed it, before it has a sequence.

    ``events`` is the packed run of ``stream.wire``, empty where the filter wants none of it; table indexes point into
    ``Grouper.table_maps``. Times are microseconds since the epoch; MariaDB's binlog knows whole seconds only.
    """

    gtid: str
    commit_time_us: int
    events: bytes


class Grouper:
    """Feed it events in order; it returns a transaction whenever one is complete.

    ``wants(schema, table)`` is the flow's table filter. ``table_maps`` collects the distinct maps that the transactions
    since the last ``reset_table_maps`` use.
    """

    def __init__(self, wants: Callable[[str, str], bool]) -> None:
        self._wants = wants
        self._checksum: bool | None = None  # unknown until the first FORMAT_DESCRIPTION
        self._known: dict[bytes, int] = {}
        self.table_maps: list[bytes] = []
        self._tables: dict[bytes, int] = {}  # table id -> index, of the present statement; -1: not wanted
        self._gtid = ""
        self._time_us = 0
        self._in_block = False
        self._run: list[bytes] = []

    def reset_table_maps(self) -> None:
        """Forget the collected maps: a new record begins. Only between transactions."""
        if self._gtid:
            raise SourceError("table maps may only be dropped between transactions")
        self._known = {}
        self.table_maps = []

    def feed(self, event: bytes) -> Grouped | None:
        """Take one event (with its header); raises SourceError on what cannot be shipped without loss."""
        if len(event) < HEADER_BYTES:
            raise SourceError("an event is shorter than its header", remedy="check the origin's binlog with mysqlbinlog")
        kind = event[4]
        if kind == FORMAT_DESCRIPTION:
            # Always sent with a checksum; the byte before it names the algorithm of the events that follow.
            self._checksum = event[-5] == _CHECKSUM_CRC32
            return None
        if kind == ROTATE or self._checksum is None:
            return None
        if self._checksum:
            if zlib.crc32(event[:-4]) != int.from_bytes(event[-4:], "little"):
                raise SourceError(
                    f"the checksum of an event of type {kind} does not match",
                    where=self._where(event),
                    remedy="the origin's binlog or the network damages data: check the origin's binlog with mysqlbinlog",
                )
            event = event[:-4]
        return self._take(kind, event)

    def _take(self, kind: int, event: bytes) -> Grouped | None:
        if kind == TABLE_MAP:
            self._table_map(event)
        elif kind in ROWS:
            self._rows(kind, event)
        elif kind == XID:
            return self._end()
        elif kind == QUERY:
            return self._query(event)
        elif kind in (GTID, MARIADB_GTID):
            self._begin(kind, event)
        elif kind == TRANSACTION_PAYLOAD:
            return self._payload(event)
        elif kind not in NO_DATA:
            what, remedy = STOPPING.get(kind, (f"an event of unknown type {kind}", "upgrade replicator"))
            raise SourceError(f"the binlog holds {what}", where=self._where(event), remedy=remedy)
        return None

    def _where(self, event: bytes) -> str:
        end = _HEADER.unpack_from(event)[4]
        return f"GTID {self._gtid or 'none'}, binlog end position {end}"

    def _begin(self, kind: int, event: bytes) -> None:
        if self._gtid:
            raise SourceError("a transaction begins before the last one ended", where=self._where(event))
        seconds, _, server_id, _, _, _ = _HEADER.unpack_from(event)
        try:
            if kind == MARIADB_GTID:
                number, domain = struct.unpack_from("<QI", event, HEADER_BYTES)
                self._gtid = f"{domain}-{server_id}-{number}"
                self._time_us = seconds * 1_000_000
                self._in_block = not event[HEADER_BYTES + 12] & 1  # FL_STANDALONE: one statement, no COMMIT follows
            else:
                self._gtid = f"{uuid.UUID(bytes=event[20:36])}:{struct.unpack_from('<q', event, 36)[0]}"
                self._time_us = _mysql_commit_time(event, seconds)
                self._in_block = False  # BEGIN tells
        except (struct.error, ValueError, IndexError) as error:
            raise SourceError("a GTID event is malformed", where=self._where(event)) from error
        self._run = []
        self._tables = {}

    def _table_map(self, event: bytes) -> None:
        body = event[HEADER_BYTES + _TABLE_MAP_SKIP :]
        index = self._known.get(body)
        if index is None:
            schema, table = _table_name(body, self._where(event))
            if self._wants(schema, table):
                index = len(self.table_maps)
                if index >= NO_TABLE:
                    raise SourceError(f"one record would need more than {NO_TABLE} table maps", where=self._where(event))
                self.table_maps.append(body)
            else:
                index = -1
            self._known[body] = index
        self._tables[event[HEADER_BYTES : HEADER_BYTES + 6]] = index

    def _rows(self, kind: int, event: bytes) -> None:
        table_id = event[HEADER_BYTES : HEADER_BYTES + 6]
        index = self._tables.get(table_id)
        if index is None:
            if table_id == _DUMMY_TABLE:
                return
            raise SourceError(
                f"rows for table id {int.from_bytes(table_id, 'little')} without a table map",
                where=self._where(event),
                remedy="the stream is damaged: check the origin's binlog with mysqlbinlog",
            )
        if not self._gtid:
            raise SourceError("rows outside of a transaction", where=self._where(event), remedy="set gtid_mode=ON")
        if index >= 0:
            self._run.append(pack_event(kind, index, event[HEADER_BYTES:]))

    def _query(self, event: bytes) -> Grouped | None:
        if not self._gtid:
            raise SourceError("a statement outside of a transaction", where=self._where(event), remedy="set gtid_mode=ON")
        statement = _statement(event, self._where(event))
        first = _first_word(statement)
        if first == b"BEGIN":
            self._in_block = True
            return None
        if first == b"COMMIT":
            return self._end()
        if first in (b"SAVEPOINT", b"ROLLBACK", b"RELEASE", b"XA"):
            raise SourceError(
                f"the binlog holds {first.decode()} inside a transaction",
                where=self._where(event),
                remedy="this version cannot ship it: keep non-transactional tables and XA out of the flow's transactions",
            )
        if first not in _DDL:
            raise SourceError(
                f"the binlog holds a {first.decode('ascii', 'replace') or 'strange'} statement instead of rows",
                where=self._where(event),
                remedy="set binlog_format=ROW at the origin, for every session, and load the tables it touched anew",
            )
        self._run.append(pack_event(QUERY, NO_TABLE, event[HEADER_BYTES:]))
        return None if self._in_block else self._end()

    def _payload(self, event: bytes) -> Grouped | None:
        """A compressed transaction: its events come without checksums of their own."""
        where = self._where(event)
        inner = _decompress_payload(event[HEADER_BYTES:], where)
        at, done = 0, None
        while at < len(inner):
            size = int.from_bytes(inner[at + 9 : at + 13], "little")
            if size < HEADER_BYTES or at + size > len(inner) or done is not None:
                raise SourceError("a compressed transaction is malformed", where=where)
            done = self._take(inner[at + 4], inner[at : at + size])
            at += size
        return done

    def _end(self) -> Grouped:
        done = Grouped(self._gtid, self._time_us, b"".join(self._run))
        self._gtid = ""
        self._run = []
        self._tables = {}
        return done


def _mysql_commit_time(event: bytes, seconds: int) -> int:
    """Original commit time of a MySQL GTID event, in µs: from 8.0.1 on behind the logical clock; else whole seconds."""
    at = HEADER_BYTES + 25 + 1 + 16
    if len(event) < at + 7:
        return seconds * 1_000_000
    immediate = int.from_bytes(event[at : at + 7], "little")
    if immediate & 1 << 55:  # the top bit says that the original time follows
        return int.from_bytes(event[at + 7 : at + 14], "little")
    return immediate


def _table_name(body: bytes, where: str) -> tuple[str, str]:
    try:
        end = 1 + body[0]
        size = body[end + 1]
        if body[end] or body[end + 2 + size] or end + 2 + size >= len(body):
            raise DecodeError("a table map's names are not closed by a zero byte")
        return body[1:end].decode(), body[end + 2 : end + 2 + size].decode()
    except (IndexError, UnicodeDecodeError) as error:
        raise SourceError("a table map is malformed", where=where) from error


def _first_word(statement: bytes) -> bytes:
    """The first word behind comments, in capitals; empty where it starts with anything else (a versioned comment, say)."""
    start = _LEADING_COMMENTS.match(statement)
    word = re.match(rb"[A-Za-z]+", statement[start.end() if start else 0 :])
    return word[0].upper() if word else b""


def _statement(event: bytes, where: str) -> bytes:
    if len(event) < HEADER_BYTES + 13:
        raise SourceError("a QUERY event is cut short", where=where)
    schema_length = event[HEADER_BYTES + 8]
    vars_length = int.from_bytes(event[HEADER_BYTES + 11 : HEADER_BYTES + 13], "little")
    return event[HEADER_BYTES + 13 + vars_length + schema_length + 1 :]


def _lenenc(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _decompress_payload(body: bytes, where: str) -> bytes:
    """Fields of type, length, value until type 0; then the data: 0 is zstd, 255 not compressed."""
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
        data, algorithm, size = body[at:], fields.get(2, 0), fields.get(3, 0)
        if algorithm == 255:
            return data
        if algorithm != 0 or size > _MAX_PAYLOAD_BYTES:
            raise SourceError(f"a compressed transaction of algorithm {algorithm}, {size} bytes", where=where)
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        if len(plain) != size:
            raise SourceError("a compressed transaction is cut short", where=where)
        return plain
    except (IndexError, KeyError, zstandard.ZstdError) as error:
        raise SourceError("a compressed transaction is malformed", where=where) from error
