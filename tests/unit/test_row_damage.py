"""Damaged input gives the right rows or a DecodeError: never another exception, a hang, or rows made of what is not there."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_samples import SAMPLES

from replicator.errors import DecodeError
from replicator.row.compressed import uncompress_query, uncompress_rows
from replicator.row.decode import decoder
from replicator.row.tablemap import parse_table_map
from replicator.row.types import TableMap

EVENTS = [
    (flavor, kind, bytes.fromhex(table_map), bytes.fromhex(payload))
    for flavor, events in SAMPLES.items()
    for kind, table_map, payload in events
]
MODES: list[Any] = ["literal", "text", "value"]


def rows_of(table_map: TableMap, kind: int, payload: bytes, mode: Any) -> list[Any] | None:
    """The rows, or None where the decoder refuses the payload."""
    started = time.monotonic()
    try:
        return decoder(table_map, before=mode, after=mode)(kind, payload)
    except DecodeError:
        return None
    finally:
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event[0]}-{event[1]}")
def test_every_cut_is_noticed(event: tuple[str, int, bytes, bytes]) -> None:
    """A payload cut anywhere is refused; only at a row's end are the rows before it a whole event of their own."""
    flavor, kind, body, payload = event
    table_map = parse_table_map(body, flavor)
    for mode in MODES:
        whole = rows_of(table_map, kind, payload, mode)
        assert whole
        cuts = [rows_of(table_map, kind, payload[:size], mode) for size in range(len(payload))]
        decoded = [rows for rows in cuts if rows is not None]
        assert decoded == [whole[:count] for count in range(len(whole))]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event[0]}-{event[1]}")
def test_every_appended_byte_is_noticed(event: tuple[str, int, bytes, bytes]) -> None:
    """One byte more than the rows need is never overlooked."""
    flavor, kind, body, payload = event
    table_map = parse_table_map(body, flavor)
    for byte in (0, 1, 0xFF):
        assert rows_of(table_map, kind, payload + bytes([byte]), "literal") is None


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(EVENTS), st.sampled_from(MODES), st.data())
def test_mutated_rows(event: tuple[str, int, bytes, bytes], mode: Any, data: st.DataObject) -> None:
    """Bytes changed, taken out or put in: rows of the right width, or a refusal."""
    flavor, kind, body, payload = event
    table_map = parse_table_map(body, flavor)
    mutated = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        size = data.draw(st.integers(0, 5))
        mutated[at : at + size] = data.draw(st.binary(max_size=6))
    rows = rows_of(table_map, kind, bytes(mutated), mode)
    for before, after in rows or ():
        for image in (before, after):
            assert image is None or len(image) == len(table_map.columns)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(EVENTS), st.data())
def test_mutated_table_maps(event: tuple[str, int, bytes, bytes], data: st.DataObject) -> None:
    """A damaged table map is refused, or parses into one whose decoder refuses or reads rows of its width."""
    flavor, kind, body, payload = event
    mutated = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        table_map = parse_table_map(bytes(mutated), flavor)
        decode = decoder(table_map, before="text", after="literal")
        rows = decode(kind, payload)
    except DecodeError:
        return
    for before, after in rows:
        for image in (before, after):
            assert image is None or len(image) == len(table_map.columns)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Bytes that were never an event are refused, or happen to be one."""
    for call in (
        lambda: parse_table_map(data, "mysql"),
        lambda: uncompress_query(data),
        lambda: uncompress_rows(data, 169),
    ):
        try:
            call()
        except DecodeError:
            pass


def test_unknown_event_types_are_refused() -> None:
    """Only rows events hold rows."""
    flavor, _, body, payload = EVENTS[0]
    with pytest.raises(DecodeError, match="type 33"):
        decoder(parse_table_map(body, flavor), before="text", after="text")(33, payload)
