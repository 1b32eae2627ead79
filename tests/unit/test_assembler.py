"""Bytes of a binlog connection to records, without a server: any cut of the bytes, any record size, any restart."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from replicator.errors import DatabaseError, ReplicatorError, SourceError
from replicator.filter import TableFilter
from replicator.gtid import MySqlGtidSet, parse_position
from replicator.model import StreamId
from replicator.source.assembler import Assembler, Rules
from replicator.source.marks import Marks
from replicator.source.records import Sealed
from replicator.source.statements import Statements
from replicator.stream.reader import Item, LargeBegin, LargeEnd, LargePart, StreamReader, Txn
from replicator.stream.wire import Kind, RecordHeader, pack_body, pack_record, read_body, read_events
from tests.unit.binlog_samples import (
    UUID,
    Sample,
    event,
    format_description,
    gtid,
    mariadb_alter,
    packets,
    query,
    rows,
    table_map,
    transaction,
    xid,
)

WANTED = TableFilter(("shop.a*",))
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["a1", "a2", "b3"]), st.sampled_from([0, 10, 300, 3000])),
        st.sampled_from([("savepoint", 0), ("back", 0)]),
    ),
    max_size=8,
)
TRANSACTIONS = st.lists(st.tuples(CHANGES, st.sampled_from(["commit", "commit", "rollback"])), min_size=1, max_size=8)


def assembler(
    emit: list[Sealed], read: str = "", sequence: int = 0, record_bytes: int = 4096, flavor: str = "mysql"
) -> Assembler:
    rules = Rules(
        flavor,
        WANTED.wants,
        Statements(WANTED, flavor=flavor, version=80031, lower_names=False),
        Marks(StreamId("p", "east", "west"), flavor),
    )
    return Assembler(
        rules,
        read=parse_position(flavor, read),
        resume=parse_position(flavor, read),
        sequence=sequence,
        record_bytes=record_bytes,
        emit=emit.append,
    )


def samples(drawn: list[tuple[list[tuple[str, int]], str]]) -> list[Sample]:
    return [transaction(n, changes, end) for n, (changes, end) in enumerate(drawn, 1)]


def connection(chosen: list[Sample]) -> bytes:
    return packets([format_description(), *[e for sample in chosen for e in sample.events]])


def shipped(sealed: list[Sealed]) -> list[list[bytes]]:
    """The rows of each complete transaction, as an applier gets them."""
    header = RecordHeader(Kind.EPOCH, "s", 1, "a", 1, 0, "", "mysql", 0)
    values = [pack_record(header, pack_body([], []))]
    for s in sealed:
        values.append(
            pack_record(
                RecordHeader(s.kind, "s", 1, "a", s.first, s.last, s.resume, "mysql", s.origin_time_us, s.chunk,
                             s.payload_bytes, s.payload_crc, s.shipped), s.body)
        )  # fmt: skip
    reader = StreamReader(stream="t")
    items: list[Item] = [item for offset, value in enumerate(values) for item in reader.feed(offset, value)]
    found: list[list[bytes]] = []
    large: list[bytes] = []
    for item in items:
        if isinstance(item, Txn):
            found.append([e.payload for e in read_events(item.events)])
        elif isinstance(item, LargeBegin):
            large = []
        elif isinstance(item, LargePart):
            large += [e.payload for e in read_events(item.events)]
        elif isinstance(item, LargeEnd):
            found.append(large)
    return found


@given(TRANSACTIONS, st.data(), st.sampled_from([256, 4096, 1 << 20]))
def test_any_cut_of_the_bytes_gives_the_same(drawn: list, data: st.DataObject, record_bytes: int) -> None:  # type: ignore[type-arg]
    """What the filter wants comes whole and in order, nothing rolled back among it, wherever the bytes are cut."""
    chosen = samples(drawn)
    raw = connection(chosen)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=12)))
    sealed: list[Sealed] = []
    a = assembler(sealed, record_bytes=record_bytes)
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        a.feed(raw[start:end])
        if data.draw(st.booleans()):
            a.records.seal()
    a.records.seal()
    assert shipped(sealed) == [s.wanted for s in chosen if s.wanted]
    assert str(a.position) == str(MySqlGtidSet(f"{UUID}:1-{len(chosen)}"))


@given(TRANSACTIONS, st.data(), st.sampled_from([256, 4096]))
def test_a_lost_connection_loses_and_doubles_nothing(drawn: list, data: st.DataObject, record_bytes: int) -> None:  # type: ignore[type-arg]
    """Cut anywhere, the server sends again what the position does not have."""
    chosen = samples(drawn)
    raw = connection(chosen)
    sealed: list[Sealed] = []
    a = assembler(sealed, record_bytes=record_bytes)
    a.feed(raw[: data.draw(st.integers(0, len(raw)))])
    have = MySqlGtidSet(a.restart())
    a.feed(connection([s for n, s in enumerate(chosen, 1) if not have.contains(f"{UUID}:{n}")]))
    a.records.seal()
    assert shipped(sealed) == [s.wanted for s in chosen if s.wanted]


@given(TRANSACTIONS, st.data())
def test_a_new_source_goes_on_where_any_record_says(drawn: list, data: st.DataObject) -> None:  # type: ignore[type-arg]
    """Each record's position and sequence belong together."""
    chosen = samples(drawn)
    sealed: list[Sealed] = []
    a = assembler(sealed, record_bytes=256)
    a.feed(connection(chosen))
    a.records.seal()
    if not sealed:
        return
    keep = data.draw(st.integers(1, len(sealed)))
    last = sealed[keep - 1]
    have = MySqlGtidSet(last.resume)
    more: list[Sealed] = []
    b = assembler(more, read=last.resume, sequence=last.last, record_bytes=4096)
    b.feed(connection([s for n, s in enumerate(chosen, 1) if not have.contains(f"{UUID}:{n}")]))
    b.records.seal()
    complete = shipped(sealed[:keep])
    assert len(complete) == last.last
    assert complete + shipped_from(more, last.last) == [s.wanted for s in chosen if s.wanted]


def shipped_from(sealed: list[Sealed], sequence: int) -> list[list[bytes]]:
    """As a stream of its own."""
    for s in sealed:
        s.first -= sequence
        s.last -= sequence
        if s.kind in (Kind.DATA, Kind.CHUNK):
            maps, transactions = read_body(s.body)
            s.body = pack_body(maps, [replace(t, sequence=t.sequence - sequence) for t in transactions])
    crc = size = 0
    for s in sealed:
        if s.kind == Kind.CHUNK:
            crc, size = (0, 0) if s.chunk == 0 else (crc, size)
            crc, size = zlib.crc32(s.body, crc), size + len(s.body)
        elif s.kind == Kind.MARKER and s.last == s.first:
            s.payload_crc, s.payload_bytes = crc, size
    return shipped(sealed)


@settings(max_examples=300)
@given(st.data())
def test_damage_is_an_error_or_nothing(data: st.DataObject) -> None:
    """A changed byte in any event is noticed by its checksum; in a packet's frame, it never makes another row."""
    chosen = samples([([("a1", 300), ("b3", 10), ("a2", 3000)], "commit"), ([("a1", 10)], "commit")])
    raw = bytearray(connection(chosen))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    sealed: list[Sealed] = []
    a = assembler(sealed)
    try:
        a.feed(bytes(raw))
    except ReplicatorError:
        pass
    a.records.seal()
    whole = [s.wanted for s in chosen]
    assert shipped(sealed) in (whole[:0], whole[:1], whole)


def test_events_out_of_their_place_stop() -> None:
    """Rows, maps and ends without a beginning are signs of damage."""
    for events in (
        [table_map(b"a1", 1)],
        [rows(1, b"x")],
        [xid()],
        [query(b"BEGIN")],
        [gtid(1), gtid(2)],
        [gtid(1), query(b"BEGIN"), rows(1, b"x")],
        [event(77, b"")],
        [event(26, b"")],
        [event(34, bytes(30))],
    ):
        with pytest.raises(SourceError):
            assembler([]).feed(packets([format_description(), *events]))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("table", [b"a1", b"b3"])
@pytest.mark.parametrize("flags", [2, 4, 8])
def test_no_part_of_an_alter_in_two_phases_is_shipped_or_passed_over(flags: int, table: bytes, *, compressed: bool) -> None:
    """Start, commit and rollback stop, of a table that the flow carries and of another: never is one of them dropped alone."""
    sent: list[Sealed] = []
    feeding = assembler(sent, flavor="mariadb", read="0-1-4")
    statement = b"ALTER TABLE " + table + b" ADD x INT"
    with pytest.raises(SourceError, match="two phases") as stopped:
        feeding.feed(packets([format_description(), *mariadb_alter(5, statement, flags, compressed=compressed)]))
    assert "GTID 0-1-5" in stopped.value.where
    feeding.restart()
    assert sent == []
    assert str(feeding.position) == "0-1-4"


@pytest.mark.parametrize(
    ("statements", "ships"),
    [
        ([b"DROP TABLE IF EXISTS `a1`/* Generated to handle failed CREATE OR REPLACE */"], True),
        ([b"CREATE TABLE a1 (id INT)"], False),
        ([b"DROP TABLE a1", b"CREATE TABLE a1 (id INT)"], False),
    ],
)
def test_only_a_drop_outlasts_a_rollback(statements: list[bytes], *, ships: bool) -> None:
    """MariaDB logs so the DROP of a CREATE OR REPLACE that failed. Any other statement that is rolled back stops the source."""
    sent: list[Sealed] = []
    feeding = assembler(sent, flavor="mariadb", read="0-1-4")
    group = [event(162, struct.pack("<QIB", 5, 0, 0) + bytes(6)), *map(query, statements), query(b"ROLLBACK")]
    if ships:
        feeding.feed(packets([format_description(), *group]))
        assert str(feeding.position) == "0-1-5" and feeding.records.sequence == 1
    else:
        with pytest.raises(SourceError, match="rolled back transaction with DDL"):
            feeding.feed(packets([format_description(), *group]))
        assert sent == [] and str(feeding.position) == "0-1-4"


def test_an_error_of_the_server_is_sorted_by_whether_another_try_helps() -> None:
    """1236: the binlog is gone; anything else, and the end of the stream, may be over soon."""
    for payload, kind in (
        (b"\xff\xd4\x04#HY000purged", SourceError),
        (b"\xff\x1d\x04#08S01shutdown", DatabaseError),
        (b"\xfe\x00\x00\x02\x00", DatabaseError),
    ):
        with pytest.raises(kind):
            assembler([]).feed(len(payload).to_bytes(3, "little") + b"\0" + payload)


def test_a_row_over_16_mib_comes_whole() -> None:
    """Its packets are put together, however they are cut."""
    sample = transaction(1, [("a1", 34_000_000)])
    raw = connection([sample])
    sealed: list[Sealed] = []
    a = assembler(sealed, record_bytes=1 << 20)
    for at in range(0, len(raw), 1_000_003):
        a.feed(raw[at : at + 1_000_003])
    assert shipped(sealed) == [sample.wanted]


def test_rows_that_no_table_map_explains_stop_the_flow() -> None:
    """Nothing of their transaction is shipped; what came before it is."""
    sent: list[Sealed] = []
    feeding = assembler(sent)
    good = [gtid(1), query(b"BEGIN"), table_map(b"a1", 7), rows(7, b"x" * 10), xid()]
    bad = [gtid(2), query(b"BEGIN"), table_map(b"a1", 7), rows(8, b"x" * 10), xid()]
    with pytest.raises(SourceError, match="rows for table id 8 without a table map"):
        feeding.feed(packets([format_description(), *good, *bad]))
    feeding.records.drop_transaction()
    feeding.records.seal()
    assert [one.last for one in sent] == [1]
