"""What the simulated sites ship: the configuration of their streams, and their transactions as records with real rows events."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from conflict import Change, Row, parse_policies
from replicator.apply.batch import kind_of
from replicator.apply.plans import Plans
from replicator.apply.target import TargetColumn, TargetTable
from replicator.config import StreamConfig, load_config
from replicator.row.encode import encode_table_map
from replicator.row.types import Column, TableMap, Type
from replicator.stream.wire import Kind, RecordHeader, Transaction, pack_body, pack_event, pack_record
from tests.property.database import COLUMNS, TABLE

__all__ = ["FLAVOR", "MAP", "data_record", "epoch_record", "events_of", "plans_of", "position", "sequence_of", "streams_of"]

FLAVOR = "mysql"
MAP = encode_table_map(
    TableMap(*TABLE, tuple([Column(n, Type.LONGLONG, nullable=n == "u") for n in COLUMNS]), (0,), (0,), FLAVOR)
)
_WRITE, _UPDATE, _DELETE = 30, 31, 32
_EPOCH = 1
_UUID = "00000000-0000-0000-0000-{:012x}"
_HEAD = struct.Struct("<6sHHB")
_LAST_OF_STATEMENT = 1
_BITMAP = b"\x3f"
_ALL = (_BITMAP, _BITMAP * 2)


@lru_cache(maxsize=64)
def _config(conflicts: str, sites: tuple[str, ...], mode: str) -> Mapping[tuple[str, str], StreamConfig]:
    places: dict[str, Any] = {
        name: {
            "database": {"host": "127.0.0.1", "port": 3306 + i, "user": "replicator", "password_file": "none"},
            "kafka": {"bootstrap_servers": ["127.0.0.1:9092"]},
        }
        for i, name in enumerate(sites)
    }
    pairs = [
        {
            "name": f"{origin}-{target}",
            "mode": mode,
            "origin": origin,
            "target": target,
            "tables": {"include": ["shop.*"]},
        }
        for i, origin in enumerate(sites)
        for target in sites[i + 1 :]
    ]
    config = load_config(Path("simulation.json"), text=json.dumps({"sites": places, "pairs": pairs}))
    # Not by the file: it refuses commit times in a mesh, as only the simulation has the memory of all writers there.
    policies = parse_policies(json.loads(conflicts))
    return {(stream.origin.name, stream.target.name): replace(stream, policies=policies) for stream in config.streams()}


def streams_of(conflicts: Mapping[str, Any], sites: Sequence[str], mode: str) -> Mapping[tuple[str, str], StreamConfig]:
    """The streams between sites, by origin and target, as a file would configure them."""
    return _config(json.dumps(conflicts), tuple(sites), mode)


class _Targets:
    """A target whose table never changes; in place of ``Targets``."""

    version = 0

    def find(self, schema: str, table: str) -> TargetTable | None:
        """The one table."""
        columns = tuple([TargetColumn(n, "bigint", False, n == "u", n == "u", "", "") for n in COLUMNS])
        return TargetTable(*TABLE, columns, (COLUMNS[0],), ((COLUMNS[1],),), False, (), (), ())

    def forget(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is open."""


_made: dict[int, tuple[StreamConfig, Plans]] = {}


def plans_of(stream: StreamConfig) -> Plans:
    """The plans of a stream, made once: they hold nothing of a schedule."""
    known = _made.get(id(stream))
    if known is None:
        plans = Plans(stream, _Targets())  # type: ignore[arg-type]
        plans.flavor = FLAVOR
        known = _made[id(stream)] = (stream, plans)
    return known[1]


def events_of(changes: Sequence[Change], sequence: int) -> bytes:
    """The changes of a transaction as a packed run; adjacent ones of a kind share an event in every other transaction."""
    runs: list[tuple[int, list[Change]]] = []
    for change in changes:
        kind = (_WRITE, _UPDATE, _DELETE)[kind_of(change.before, change.after)]
        if runs and runs[-1][0] == kind and sequence % 2:
            runs[-1][1].append(change)
        else:
            runs.append((kind, [change]))
    return b"".join([pack_event(kind, 0, _rows_event(kind, run, sequence)) for kind, run in runs])


def _rows_event(kind: int, changes: Sequence[Change], sequence: int) -> bytes:
    """The table id, which means nothing to an applier, is the sequence: ``sequence_of`` tells whose an event is."""
    head = _HEAD.pack(sequence.to_bytes(6, "little"), _LAST_OF_STATEMENT, 2, len(COLUMNS))
    images = [_image(row) for change in changes for row in (change.before, change.after) if row is not None]
    return head + _ALL[kind == _UPDATE] + b"".join(images)


def sequence_of(payload: bytes) -> int:
    """The sequence of the transaction that a rows event is of."""
    return int.from_bytes(payload[:6], "little")


def _image(row: Row) -> bytes:
    nulls = sum(1 << i for i, value in enumerate(row) if value is None)
    values = [v for v in row if v is not None]
    return bytes([nulls]) + struct.pack(f"<{len(values)}q", *values)


def position(site: int, sequence: int) -> str:
    """All that a site committed up to a sequence, as a set of GTIDs; the first one is of the rows that were there before."""
    return f"{_UUID.format(site)}:1-{sequence + 1}"


def epoch_record(stream: StreamConfig, site: int) -> bytes:
    """The first record of a stream."""
    header = RecordHeader(Kind.EPOCH, str(stream.id), _EPOCH, "source", 1, 0, position(site, 0), FLAVOR, 0)
    return pack_record(header, pack_body([], []))


def data_record(stream: StreamConfig, site: int, sequence: int, time_us: int, events: bytes, seen: int) -> bytes:
    """A record of one transaction."""
    gtid = f"{_UUID.format(site)}:{sequence + 1}"
    header = RecordHeader(
        Kind.DATA, str(stream.id), _EPOCH, "source", sequence, sequence, position(site, sequence), FLAVOR, time_us, seen=seen
    )
    return pack_record(header, pack_body([MAP], [Transaction(sequence, time_us, gtid, events, "", seen)]))
