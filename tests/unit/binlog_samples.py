"""Writes binlog packets as MySQL sends them, from a list of transactions: for tests without a server."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

SID = bytes(range(16))
UUID = "00010203-0405-0607-0809-0a0b0c0d0e0f"
FORMAT = b"\x04\x00" + b"8.0.31".ljust(50, b"\0") + bytes(4) + b"\x13" + bytes(41)


def event(kind: int, body: bytes, *, checksum: bool = True) -> bytes:
    """One event with its header."""
    size = 19 + len(body) + (4 if checksum else 0)
    raw = struct.pack("<IBIIIH", 1_700_000_000, kind, 1, size, 0, 0) + body
    return raw + struct.pack("<I", zlib.crc32(raw)) if checksum else raw


def packets(events: list[bytes]) -> bytes:
    """As they come over a connection; long ones in pieces of 16 MiB."""
    parts: list[bytes] = []
    for number, e in enumerate(events):
        payload = b"\0" + e
        while True:
            piece, payload = payload[:0xFFFFFF], payload[0xFFFFFF:]
            parts.append(struct.pack("<I", len(piece) | (number % 256) << 24) + piece)
            if len(piece) < 0xFFFFFF:
                break
    return b"".join(parts)


def format_description() -> bytes:
    return event(15, FORMAT + b"\x01")


def gtid(number: int) -> bytes:
    time = 1_700_000_000_000_000 + number
    return event(33, b"\x01" + SID + struct.pack("<q", number) + b"\x02" + bytes(16) + time.to_bytes(7, "little"))


def query(statement: bytes, schema: bytes = b"shop") -> bytes:
    return event(2, struct.pack("<IIBHH", 7, 0, len(schema), 0, 0) + schema + b"\0" + statement)


def mariadb_alter(number: int, statement: bytes, flags: int, *, compressed: bool) -> list[bytes]:
    """One part of an ALTER as MariaDB logs it with ``binlog_alter_two_phase``: flags 2 its start, 4 its commit, 8 its rollback.

    Both events carry the flags, and from the commit or rollback on the number of the start.
    """
    start = struct.pack("<Q", 1) if flags > 2 else b""
    variables = bytes([130, flags]) + start
    head = struct.pack("<IIBHH", 7, 0, 4, 0, len(variables)) + variables + b"shop\0"
    if compressed:
        statement = bytes([0x81, len(statement)]) + zlib.compress(statement)
    gtid = struct.pack("<QIBB", number, 0, 0x21, flags) + start
    return [event(162, gtid), event(165 if compressed else 2, head + statement)]


def table_map(table: bytes, table_id: int) -> bytes:
    body = struct.pack("<Q", table_id)[:6] + b"\1\0\4shop\0" + bytes([len(table)]) + table + b"\0\1\3\0\0"
    return event(19, body)


def rows(table_id: int, data: bytes) -> bytes:
    return event(30, struct.pack("<Q", table_id)[:6] + b"\1\0\2\0\1\xff" + data)


def xid() -> bytes:
    return event(16, bytes(8))


@dataclass
class Sample:
    """One transaction: what it does, as events, and the row payloads that a flow of `shop.a*` must get of it."""

    events: list[bytes]
    wanted: list[bytes] = field(default_factory=list)


def transaction(number: int, changes: list[tuple[str, int]], end: str = "commit") -> Sample:
    """``changes`` are (table, bytes of a row), or ("savepoint" | "back", 0)."""
    events = [gtid(number), query(b"BEGIN")]
    wanted: list[bytes] = []
    saved: int | None = None
    for at, (table, size) in enumerate(changes):
        if table == "savepoint":
            events.append(query(b"SAVEPOINT `s`"))
            saved = len(wanted)
        elif table == "back":
            if saved is not None:
                events.append(query(b"ROLLBACK TO `s`"))
                del wanted[saved:]
        else:
            data = bytes([number % 256, at % 256]) * (size // 2 + 1)
            row = rows(ord(table[-1]), data)
            events += [table_map(table.encode(), ord(table[-1])), row]
            if table.startswith("a"):
                wanted.append(row[19:-4])
    events.append(xid() if end == "commit" else query(b"ROLLBACK"))
    return Sample(events, wanted if end == "commit" else [])
