"""Reads a real server's binlog as the source does, and gives what an applier would get of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dev import DatabaseServer
from replicator.filter import TableFilter
from replicator.gtid import parse_position
from replicator.model import StreamId
from replicator.source.assembler import Assembler, Rules
from replicator.source.connection import BinlogConnection
from replicator.source.marks import Marks
from replicator.source.records import Sealed
from replicator.source.statements import Statements
from replicator.stream.reader import Item, LargeBegin, LargeEnd, LargePart, RecordEnd, StreamReader, Txn
from replicator.stream.wire import Event, Kind, RecordHeader, pack_body, pack_record, read_events
from tests.harness import execute

STREAM = StreamId("test", "east", "west")


def position(server: DatabaseServer) -> str:
    """All that the server has committed."""
    column = "@@global.gtid_executed" if server.flavor == "mysql" else "@@global.gtid_binlog_pos"
    return str(execute(server, f"SELECT {column}")[0][0]).replace("\n", "")


def settings(server: DatabaseServer) -> dict[str, Any]:
    """For a connection."""
    return {"host": server.host, "port": server.port, "user": server.user, "password": server.password}


@dataclass
class Got:
    """One transaction that came out."""

    gtid: str
    commit_time_us: int
    site: str
    table_maps: tuple[bytes, ...]
    run: bytes
    large: bool = False

    @property
    def events(self) -> list[Event]:
        return list(read_events(self.run))

    @property
    def types(self) -> list[int]:
        return [event.type for event in self.events]


@dataclass
class Reading:
    """What came out of reading up to some position; ``assembler`` may go on."""

    transactions: list[Got]
    items: list[Item]
    sealed: list[Sealed]
    assembler: Assembler
    values: list[bytes] = field(default_factory=list)

    @property
    def maps(self) -> list[bytes]:
        return [m for t in self.transactions for m in t.table_maps]


def rules(server: DatabaseServer, tables: TableFilter, **more: Any) -> Rules:
    """For a flow from that server."""
    return Rules(
        server.flavor,
        tables.wants,
        Statements(tables, flavor=server.flavor, version=80031, lower_names=False),
        Marks(STREAM, server.flavor),
        **more,
    )


def read(
    server: DatabaseServer,
    start: str,
    tables: TableFilter | None = None,
    *,
    until: str | None = None,
    shipped: str = "",
    sequence: int = 0,
    record_bytes: int = 786432,
    before_feed: Callable[[bytes], bytes] = lambda piece: piece,
    make_rules: Callable[[DatabaseServer, TableFilter], Rules] = rules,
) -> Reading:
    """Everything from ``start`` (having shipped up to ``shipped``) up to ``until``, by default to now."""
    until = position(server) if until is None else until
    sealed: list[Sealed] = []
    assembler = Assembler(
        make_rules(server, tables or TableFilter()),
        read=parse_position(server.flavor, shipped or start),
        resume=parse_position(server.flavor, start),
        sequence=sequence,
        record_bytes=record_bytes,
        emit=sealed.append,
        where="test",
    )
    connection = BinlogConnection(settings(server), flavor=server.flavor, server_id=77, position=start, heartbeat_s=0.2)
    deadline = time.monotonic() + 60
    try:
        while not (assembler.position.covers(until) and not assembler.in_transaction and caught_up(assembler)):
            assert time.monotonic() < deadline, f"read {assembler.position}, wanted {until}"
            if connection.wait(1):
                assembler.feed(before_feed(connection.receive()))
    finally:
        connection.close()
    assembler.records.seal()
    return taken_apart(server.flavor, sealed, assembler, sequence)


def caught_up(assembler: Assembler) -> bool:
    """Whether nothing is read again any more."""
    return not assembler.rereading


def taken_apart(flavor: str, sealed: list[Sealed], assembler: Assembler, sequence: int = 0) -> Reading:
    """The records as an applier reads them."""
    header = RecordHeader(Kind.EPOCH, "s", 1, "a", 1, 0, "", flavor, 0)
    values = [pack_record(header, pack_body([], []))]
    for s in sealed:
        values.append(
            pack_record(
                RecordHeader(
                    s.kind, "s", 1, "a", s.first - sequence, s.last - sequence, s.resume, flavor, s.origin_time_us,
                    s.chunk, s.payload_bytes, s.payload_crc, s.shipped,
                ),
                s.body,
            )
        )  # fmt: skip
    items: list[Item] = []
    if sequence == 0:
        reader = StreamReader(stream="t")
        for offset, value in enumerate(values):
            items += reader.feed(offset, value)
    return Reading(transactions(items), items, sealed, assembler, values)


def transactions(items: list[Item]) -> list[Got]:
    """The complete transactions among a reader's items."""
    got: list[Got] = []
    begun: LargeBegin | None = None
    maps: tuple[bytes, ...] = ()
    parts: list[bytes] = []
    for item in items:
        if isinstance(item, Txn):
            got.append(Got(item.gtid, item.commit_time_us, item.site, item.table_maps, item.events))
        elif isinstance(item, LargeBegin):
            begun, maps, parts = item, (), []
        elif isinstance(item, LargePart):
            maps = item.table_maps
            parts.append(item.events)
        elif isinstance(item, LargeEnd):
            assert begun is not None
            got.append(Got(begun.gtid, begun.commit_time_us, begun.site, maps, b"".join(parts), large=True))
    return got


def positions(items: list[Item]) -> list[str]:
    """The position at the end of each record."""
    return [item.position for item in items if isinstance(item, RecordEnd)]
