"""The stream's rules: what a reader accepts, drops and stops at."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import HistoryLostError, StreamError
from replicator.stream import wire
from replicator.stream.reader import (
    Heartbeat,
    Item,
    LargeAbort,
    LargeBegin,
    LargeEnd,
    LargePart,
    ReaderState,
    RecordEnd,
    StreamReader,
    Txn,
)
from replicator.stream.wire import Kind, RecordHeader, Transaction, pack_body, pack_event, pack_record


class Writer:
    """Writes records as a source would: one epoch and source id at a time."""

    def __init__(self, stream_id: str = "stream", epoch: int = 1, source_id: str = "a", sequence: int = 0) -> None:
        self.stream_id, self.epoch, self.source_id, self.sequence = stream_id, epoch, source_id, sequence

    def record(self, kind: Kind, last: int | None = None, body: bytes = b"", **more: int) -> bytes:
        last = self.sequence if last is None else last
        first = more.pop("first", self.sequence + 1)
        header = RecordHeader(
            kind, self.stream_id, self.epoch, self.source_id, first, last, f"0-1-{last}", "mariadb", 5, **more
        )
        return pack_record(header, body)

    def begin(self) -> bytes:
        return self.record(Kind.EPOCH)

    def data(self, count: int = 1) -> bytes:
        first, last = self.sequence + 1, self.sequence + count
        transactions = [
            Transaction(n, n * 10, f"0-1-{n}", pack_event(30, 0, b"row %d" % n), "east" if n % 2 else "")
            for n in range(first, last + 1)
        ]
        value = self.record(Kind.DATA, last, pack_body([b"map"], transactions))
        self.sequence = last
        return value

    def heartbeat(self) -> bytes:
        return self.record(Kind.HEARTBEAT)

    def large(self, run: bytes, cuts: Iterable[int], damage: int = 0) -> list[bytes]:
        """All chunks and the marker of one large transaction, its run cut at those places."""
        number = self.sequence + 1
        places = [0, *sorted(cuts), len(run)]
        values, crc, size = [], damage, 0
        for chunk, (start, end) in enumerate(pairwise(places)):
            maps = [b"map", b"other"] if chunk == 0 else [b"late %d" % chunk]
            body = pack_body(maps, [Transaction(number, 7, f"0-1-{number}", run[start:end])])
            crc, size = zlib.crc32(body, crc), size + len(body)
            values.append(self.record(Kind.CHUNK, self.sequence, body, chunk=chunk))
        marker = self.record(
            Kind.MARKER, number, pack_body([], []), chunk=len(values), payload_bytes=size, payload_crc=crc, first=number
        )
        self.sequence = number
        return [*values, marker]


RUN = b"".join(pack_event(30, n % 2, b"x" * (n * 7)) for n in range(1, 12))


def read(values: Iterable[bytes], reader: StreamReader | None = None, offset: int = 0) -> Iterator[Item]:
    """The items of records at consecutive offsets."""
    reader = reader or StreamReader(stream="t")
    for at, value in enumerate(values, offset):
        yield from reader.feed(at, value)


def sequences(items: Iterable[Item]) -> list[int]:
    """The transactions that came out, small and large."""
    return [item.sequence for item in items if isinstance(item, Txn | LargeEnd)]


def test_transactions_come_out_in_order_with_what_belongs_to_them() -> None:
    """Sequence, GTID, commit time, site, table maps, events, and the state after each record."""
    w = Writer()
    items = list(read([w.begin(), w.data(2), w.heartbeat()]))
    first, second = [i for i in items if isinstance(i, Txn)]
    assert (first.sequence, first.gtid, first.commit_time_us, first.site) == (1, "0-1-1", 10, "east")
    assert second.site == ""
    assert first.table_maps == (b"map",)
    assert [e.payload for e in wire.read_events(second.events)] == [b"row 2"]
    assert Heartbeat(5, "0-1-2") in items
    assert items[-1] == RecordEnd(2, "0-1-2", ReaderState("stream", 1, "a", 2), 3)


def test_a_gap_stops_and_names_the_missing_sequence() -> None:
    """A lost record is noticed at the next one, whatever kind that is."""
    for build in (Writer.data, Writer.heartbeat):
        w = Writer()
        values = [w.begin(), w.data()]
        w.sequence += 1
        with pytest.raises(StreamError, match="sequence 2 is missing"):
            list(read([*values, build(w)]))


def test_two_records_that_changed_places_stop() -> None:
    """Reordering shows as a gap."""
    w = Writer()
    begin, one, two = w.begin(), w.data(), w.data()
    with pytest.raises(StreamError, match="sequence 1 is missing"):
        list(read([begin, two, one]))


def test_an_offset_that_goes_backwards_stops() -> None:
    """Records must be fed in the log's order."""
    w = Writer()
    reader = StreamReader(stream="t")
    list(reader.feed(4, w.begin()))
    with pytest.raises(StreamError, match="offset 4"):
        list(reader.feed(4, w.data()))


def test_what_was_applied_already_is_dropped() -> None:
    """A reader that resumes gets each transaction once, from wherever it reads again."""
    w = Writer()
    values = [w.begin(), w.data(3), w.data(2)]
    state = ReaderState("stream", 1, "a", 2)
    assert sequences(read(values, StreamReader(stream="t", resume=state))) == [3, 4, 5]
    assert sequences(read(values[2:], StreamReader(stream="t", resume=ReaderState("stream", 1, "a", 3)), 2)) == [4, 5]


def test_a_superseded_source_is_not_heard() -> None:
    """Records of an older epoch, and of another source that claims the same epoch, are dropped."""
    old = Writer()
    values = [old.begin(), old.data()]
    new = Writer(epoch=2, source_id="b", sequence=1)
    late = old.data()
    rival = Writer(epoch=2, source_id="c", sequence=1)
    values += [new.begin(), late, rival.begin(), rival.data(), new.data()]
    items = list(read(values))
    assert sequences(items) == [1, 2]
    ends = [i for i in items if isinstance(i, RecordEnd)]
    assert [e.offset for e in ends] == [0, 1, 2, 6]
    assert ends[-1].state == ReaderState("stream", 2, "b", 2)


def test_records_of_an_epoch_that_never_began_stop() -> None:
    """Losing an EPOCH record is losing a record."""
    w = Writer()
    values = [w.begin(), w.data()]
    with pytest.raises(StreamError, match="epoch 2 is missing"):
        list(read([*values, Writer(epoch=2, source_id="b", sequence=1).data()]))


def test_another_stream_id_is_another_history() -> None:
    """A topic that was made anew must not be taken for the old one."""
    w = Writer(stream_id="new")
    with pytest.raises(HistoryLostError):
        list(read([w.begin()], StreamReader(stream="t", resume=ReaderState("old", 1, "a", 5))))


def test_a_stream_whose_beginning_is_gone_stops_a_new_applier() -> None:
    """Without a checkpoint the first record must be the first of all."""
    w = Writer(sequence=7)
    with pytest.raises(StreamError, match="beginning is gone"):
        list(read([w.data()]))
    with pytest.raises(StreamError, match="sequence 1 is missing"):
        list(read([w.begin()]))


def test_looking_may_begin_anywhere() -> None:
    """`inspect` reads from any record, even in the middle of a large transaction."""
    w = Writer(sequence=7)
    chunks = w.large(RUN, [10, 60])
    values = [*chunks[1:], w.data(), w.heartbeat()]
    assert sequences(read(values, StreamReader(stream="t", anywhere=True))) == [9]


@given(st.sets(st.integers(1, len(RUN) - 1), max_size=6))
def test_a_large_transaction_comes_out_as_it_went_in_wherever_it_is_cut(cuts: set[int]) -> None:
    """Chunks may cut an event anywhere; parts hold whole events and all the table maps so far."""
    w = Writer()
    begin = w.begin()
    large = w.large(RUN, cuts)
    items = list(read([begin, *large, w.data()]))
    parts = [i for i in items if isinstance(i, LargePart)]
    assert b"".join(p.events for p in parts) == RUN
    for part in parts:
        assert sum(1 for _ in wire.read_events(part.events)) > 0
    assert parts[-1].table_maps[:2] == (b"map", b"other")
    assert sequences(items) == [1, 2]
    begins = [i for i in items if isinstance(i, LargeBegin)]
    assert [(b.offset, b.gtid, b.commit_time_us) for b in begins] == [(1, "0-1-1", 7)]
    restarts = [i.restart_offset for i in items if isinstance(i, RecordEnd)]
    assert restarts == [1, *[1] * (len(large) - 1), len(large) + 1, len(large) + 2]


def test_heartbeats_may_stand_between_chunks() -> None:
    """Their position stays before the open transaction."""
    w = Writer()
    begin, beat = w.begin(), w.heartbeat()
    first, second, marker = w.large(RUN, [40])
    items = list(read([begin, first, beat, second, marker]))
    assert sequences(items) == [1]
    assert [i.restart_offset for i in items if isinstance(i, RecordEnd)] == [1, 1, 1, 1, 5]


def test_a_large_transaction_whose_source_died_is_undone() -> None:
    """The next epoch's source sends it again, whole."""
    w = Writer()
    begin = w.begin()
    unfinished = w.large(RUN, [40])[:1]
    new = Writer(epoch=2, source_id="b")
    items = list(read([begin, *unfinished, new.begin(), *new.large(RUN, [20])]))
    assert [type(i) for i in items if not isinstance(i, RecordEnd | LargePart)] == [
        LargeBegin,
        LargeAbort,
        LargeBegin,
        LargeEnd,
    ]
    assert next(i.restart_offset for i in items if isinstance(i, RecordEnd) and i.state.epoch == 2) == 3


def test_a_large_transaction_may_start_anew_when_its_source_reconnects() -> None:
    """Chunk 0 again in the same epoch undoes the first try."""
    w = Writer()
    begin = w.begin()
    first_try = w.large(RUN, [40])[0]
    w.sequence = 0
    items = list(read([begin, first_try, *w.large(RUN, [60])]))
    assert [type(i) for i in items if isinstance(i, LargeBegin | LargeAbort | LargeEnd)] == [
        LargeBegin,
        LargeAbort,
        LargeBegin,
        LargeEnd,
    ]


def test_a_large_transaction_may_be_taken_back() -> None:
    """A marker that completes nothing undoes the open transaction; its sequence goes to the next one."""
    w = Writer()
    begin = w.begin()
    chunk = w.large(RUN, [40])[0]
    w.sequence = 0
    items = list(read([begin, chunk, w.record(Kind.MARKER, chunk=1), w.data()]))
    assert [type(i) for i in items if not isinstance(i, RecordEnd | LargePart)] == [LargeBegin, LargeAbort, Txn]


def test_an_applied_large_transaction_is_dropped_when_read_again() -> None:
    """Neither its parts nor its end come out."""
    w = Writer()
    values = [w.begin(), *w.large(RUN, [40]), w.data()]
    items = list(read(values, StreamReader(stream="t", resume=ReaderState("stream", 1, "a", 1))))
    assert sequences(items) == [2]
    assert not [i for i in items if isinstance(i, LargeBegin | LargePart | LargeAbort)]


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_a_missing_chunk_or_marker_stops(lost: int) -> None:
    """Whichever record of a large transaction is lost, the stream stops before its end is believed."""
    w = Writer()
    begin = w.begin()
    large = w.large(RUN, [40, 80])
    del large[lost]
    with pytest.raises(StreamError):
        list(read([begin, *large, w.data()]))


def test_a_marker_that_tells_other_bytes_stops() -> None:
    """The marker proves that the chunks are those that were written."""
    w = Writer()
    with pytest.raises(StreamError, match="checksums"):
        list(read([w.begin(), *w.large(RUN, [40], damage=1)]))


@given(st.data())
def test_reading_in_pieces_gives_the_same_as_reading_at_once(data: st.DataObject) -> None:
    """Restarting at any record's restart offset with its state loses nothing and repeats nothing."""
    w = Writer()
    values = [w.begin()]
    for kind in data.draw(st.lists(st.sampled_from(["data", "large", "beat", "epoch"]), max_size=8)):
        if kind == "data":
            values.append(w.data(data.draw(st.integers(1, 3))))
        elif kind == "large":
            cuts = data.draw(st.sets(st.integers(1, len(RUN) - 1), max_size=3))
            whole = w.large(RUN, cuts)
            if data.draw(st.booleans()):
                w.sequence -= 1
                values += whole[: data.draw(st.integers(1, len(whole) - 1))]
                w = Writer(epoch=w.epoch + 1, source_id=f"s{w.epoch}", sequence=w.sequence)
                values.append(w.begin())
            else:
                values += whole
        elif kind == "beat":
            values.append(w.heartbeat())
        else:
            w = Writer(epoch=w.epoch + 1, source_id=f"s{w.epoch}", sequence=w.sequence)
            values.append(w.begin())
    at_once = sequences(read(values))
    assert at_once == list(range(1, w.sequence + 1))
    stop = data.draw(st.integers(0, len(values) - 1))
    before: list[Item] = list(read(values[: stop + 1]))
    end = next(i for i in reversed(before) if isinstance(i, RecordEnd))
    rest = read(values[end.restart_offset :], StreamReader(stream="t", resume=end.state), end.restart_offset)
    assert sequences(before) + sequences(rest) == at_once
