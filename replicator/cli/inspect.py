"""`replicator inspect`: what lies in a stream's topic, record by record, for people or as JSON lines. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..config import StreamConfig, load_config
from ..errors import ReplicatorError, UsageError
from ..observe.lag import utc
from ..row.decode import decoder
from ..row.tablemap import parse_table_map
from ..row.types import TableMap
from ..stream.consumer import RecordConsumer
from ..stream.query import parse_query
from ..stream.seek import offset_behind
from ..stream.wire import NO_TABLE, QUERY, Kind, RecordHeader, Transaction, read_body, unpack_record
from .common import choose_streams, config_option, flow_option, pair_option, stream_option

__all__ = ["inspect"]

_POLLS_SILENT_MAX = 10
"""The end may be behind records that never come out: a transaction's marks."""
_OPERATIONS = {23: "insert", 24: "update", 25: "delete", 30: "insert", 31: "update", 32: "delete", 39: "update"}
"""Rows events by type: v1, v2, partial updates."""
_STATEMENT_CHARS = 200


@click.command()
@config_option
@pair_option
@flow_option
@stream_option
@click.option("--from", "sequence", type=click.IntRange(min=1), help="Start with this sequence; default: the beginning.")
@click.option("--offset", type=click.IntRange(min=0), help="Start with this offset of the topic instead.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--follow", is_flag=True, help="Wait for more at the end.")
@click.option("--rows", is_flag=True, help="Show row values too. They may be confidential.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line and record.")
def inspect(
    config_path: Path,
    pair: str,
    flow: str | None,
    stream: str | None,
    sequence: int | None,
    offset: int | None,
    limit: int | None,
    follow: bool,
    rows: bool,
    as_json: bool,
) -> int:
    """Print the records of a stream. Exit code 1 when one of them is damaged."""
    streams = choose_streams(load_config(config_path), pair, flow, stream)
    if len(streams) > 1:
        names = ", ".join(str(s.id) for s in streams)
        raise UsageError(f"several streams are meant: {names}", remedy="choose one by --flow and --stream")
    damaged = 0
    consumer = RecordConsumer(streams[0])
    try:
        for number, record in enumerate(_records(consumer, sequence, offset, follow=follow), 1):
            document = _document(*record, streams[0], with_rows=rows)
            damaged += "error" in document
            click.echo(json.dumps(document, default=str) if as_json else "\n".join(_lines(document)))
            if number == limit:
                break
    finally:
        consumer.close()
    return 1 if damaged else 0


def _records(
    consumer: RecordConsumer, sequence: int | None, offset: int | None, *, follow: bool
) -> Iterator[tuple[int, bytes]]:
    """Records from the start that was asked for to the present end, or for ever."""
    consumer.assign(offset)
    if sequence is not None and offset is None:
        consumer.assign(offset_behind(consumer, sequence))
    end = consumer.end_offset()
    following = offset or 0
    silent = 0
    while follow or (following < end and silent < _POLLS_SILENT_MAX):
        records = consumer.poll(500)
        silent = 0 if records else silent + 1
        for at, value in records:
            following = at + 1
            yield at, value


def _document(offset: int, value: bytes, stream: StreamConfig, *, with_rows: bool) -> dict[str, Any]:
    where = f"topic {stream.id.topic}, offset {offset}"
    document: dict[str, Any] = {"offset": offset, "bytes": len(value)}
    try:
        header, body = unpack_record(value, where=where)
        document.update(_header(header))
        if header.kind in (Kind.DATA, Kind.CHUNK):
            maps, transactions = read_body(body)
            document["tables"] = [".".join(_names(table_map)) for table_map in maps]
            whole = header.kind == Kind.DATA
            document["transactions"] = [_transaction(t, maps, header.flavor, whole, with_rows) for t in transactions]
    except ReplicatorError as error:
        document["error"] = error.what
        document["remedy"] = error.remedy
    return document


def _header(header: RecordHeader) -> dict[str, Any]:
    try:
        kind = Kind(header.kind).name.lower()
    except ValueError:
        kind = f"unknown {header.kind}"
    return {
        "kind": kind,
        "epoch": header.epoch,
        "stream_id": header.stream_id,
        "source_id": header.source_id,
        "first_sequence": header.first_sequence,
        "last_sequence": header.last_sequence,
        "origin_time": utc(header.origin_time_us),
        "position": header.position,
        **({"chunk": header.chunk} if header.kind in (Kind.CHUNK, Kind.MARKER) else {}),
    }


def _names(table_map: bytes) -> tuple[str, str]:
    """Schema and table, which stand in front of every table map: length, bytes, zero, twice."""
    end = 1 + table_map[0]
    size = table_map[end + 1]
    return table_map[1:end].decode(errors="replace"), table_map[end + 2 : end + 2 + size].decode(errors="replace")


def _transaction(t: Transaction, maps: list[bytes], flavor: str, whole: bool, with_rows: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "sequence": t.sequence,
        "gtid": t.gtid,
        "commit_time": utc(t.commit_time_us),
        "bytes": len(t.events),
        **({"site": t.site} if t.site else {}),
    }
    if whole:  # a chunk's events may be cut anywhere
        document["events"] = [_event(e.type, e.table, e.payload, maps, flavor, with_rows) for e in t]
    return document


def _event(kind: int, table: int, payload: bytes, maps: list[bytes], flavor: str, with_rows: bool) -> dict[str, Any]:
    if kind == QUERY:
        query = parse_query(payload, flavor)
        text = query.statement.decode("utf-8", "replace")
        return {"type": "statement", "schema": query.schema, "statement": text if with_rows else text[:_STATEMENT_CHARS]}
    if table == NO_TABLE or table >= len(maps):
        return {"type": kind, "bytes": len(payload)}
    schema, name = _names(maps[table])
    document: dict[str, Any] = {"type": _OPERATIONS.get(kind, str(kind)), "table": f"{schema}.{name}", "bytes": len(payload)}
    if with_rows:
        table_map = parse_table_map(maps[table], flavor)
        images = decoder(table_map, before="text", after="text")(kind, payload)
        document["rows"] = [
            {name: _row(table_map, image) for name, image in (("before", old), ("after", new)) if image is not None}
            for old, new in images
        ]
    return document


def _row(table_map: TableMap, values: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if not isinstance(value, bytes):
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"hex": value.hex()}

    return {column.name: plain(value) for column, value in zip(table_map.columns, values, strict=True)}


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if "kind" not in document:
        yield f"offset {document['offset']}: {document['bytes']} bytes, damaged: {document['error']}"
        yield f"  to do: {document['remedy']}"
        return
    span = f"sequence {document['first_sequence']}"
    if document["last_sequence"] > document["first_sequence"]:
        span += f" to {document['last_sequence']}"
    part = f", part {document['chunk']}" if "chunk" in document else ""
    yield f"offset {document['offset']}: {document['kind']}{part}, epoch {document['epoch']}, {span}, {document['bytes']} bytes"
    if document["position"]:
        yield f"  position {document['position']}"
    for t in document.get("transactions", []):
        site = f", made at {t['site']}" if "site" in t else ""
        yield f"  transaction {t['sequence']}, GTID {t['gtid']}, committed {t['commit_time']}{site}"
        for event in t.get("events", []):
            if event["type"] == "statement":
                yield f"    statement in {event['schema'] or 'no database'}: {event['statement']}"
                continue
            yield f"    {event['type']} {event.get('table', '')}, {event['bytes']} bytes"
            for row in event.get("rows", []):
                for image, values in row.items():
                    yield f"      {image}: {json.dumps(values, ensure_ascii=False, default=str)}"
    if "error" in document:
        yield f"  damaged: {document['error']}"
