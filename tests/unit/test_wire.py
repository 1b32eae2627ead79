"""The wire format: what goes in comes out, and nothing damaged is ever taken for right."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import StreamError
from replicator.stream import wire

HEADER = wire.RecordHeader(wire.Kind.DATA, "stream-a", 3, "source-a", 7, 8, "0-1-8", "mariadb", 1_700_000_000_000_000)


def body() -> bytes:
    """Two transactions over one table map."""
    run = wire.pack_event(19, 0, b"map") + wire.pack_event(30, 0, b"rows")
    return wire.pack_body([b"table map"], [wire.Transaction(7, 10, "0-1-7", run), wire.Transaction(8, 11, "0-1-8", b"")])


def test_a_record_comes_out_as_it_went_in() -> None:
    """Header, table maps, transactions and events survive."""
    header, raw = wire.unpack_record(wire.pack_record(HEADER, body()))
    assert header == HEADER
    maps, transactions = wire.read_body(raw)
    assert maps == [b"table map"]
    assert [t.gtid for t in transactions] == ["0-1-7", "0-1-8"]
    assert [(e.type, e.table, e.payload) for e in transactions[0]] == [(19, 0, b"map"), (30, 0, b"rows")]


@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    """One changed bit anywhere in the value makes an error, never another record."""
    value = bytearray(wire.pack_record(HEADER, body()))
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StreamError):
        wire.unpack_record(bytes(value))


def test_any_truncation_is_noticed() -> None:
    """A record cut at any byte is an error."""
    value = wire.pack_record(HEADER, body())
    for length in range(len(value)):
        with pytest.raises(StreamError):
            wire.unpack_record(value[:length])


def test_any_truncated_body_is_noticed_or_ends_between_transactions() -> None:
    """A body cut short never gives a transaction that was not there."""
    whole = body()
    full = wire.read_body(whole)[1]
    for length in range(len(whole)):
        try:
            _, transactions = wire.read_body(whole[:length])
        except StreamError:
            continue
        assert transactions == full[: len(transactions)]


def test_a_newer_major_version_is_refused_with_the_remedy() -> None:
    """An applier older than its source says so instead of guessing."""
    value = bytearray(wire.pack_record(HEADER, body()))
    value[3] += 1
    with pytest.raises(StreamError, match="upgrade the applier"):
        wire.unpack_record(bytes(value))


def test_fields_that_a_newer_minor_appends_are_passed_over() -> None:
    """The header may grow at its end."""
    grown = msgspec.msgpack.encode([*msgspec.to_builtins(HEADER), 0, 0, 0, "new"][: len(HEADER.__struct_fields__) + 1])
    assert msgspec.msgpack.decode(grown, type=wire.RecordHeader).resume == HEADER.resume


def test_an_event_cut_short_is_an_error_that_names_the_gtid() -> None:
    """The run of events inside a transaction has lengths of its own."""
    cut = wire.pack_event(30, 0, b"rows")[:-1]
    with pytest.raises(StreamError, match="0-1-9"):
        list(wire.Transaction(9, 0, "0-1-9", cut))
