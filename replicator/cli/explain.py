"""`replicator explain`: which transactions, conflicts and decisions gave a row its present value."""

from __future__ import annotations

import itertools
import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from conflict.types import ConflictType

from ..apply.journal import key_text
from ..config import StreamConfig, load_config
from ..errors import ReplicatorError, UsageError
from ..observe.lag import utc
from ..row.decode import decoder
from ..row.tablemap import parse_table_map
from ..row.types import TableMap
from ..stream.consumer import RecordConsumer
from ..stream.reader import LargeBegin, LargePart, StreamReader, Txn
from ..stream.wire import NO_TABLE, read_events
from .common import choose_streams, config_option, flow_option, json_option, pair_option, print_json
from .conflicts import read_applied, read_conflicts, read_conflicts_of, read_held

__all__ = ["Told", "explain", "mark_last", "spellings"]

_SPELLINGS_MAX = 1024
_PAGE = 1000
_NOT_WRITTEN = ("keep", "skip", "quarantine", "would be ")
"""How decisions begin by which a change did not come into its row. What halted was written later, or skipped: unknown."""
_DECISIONS_MIN = 1000
"""So many are looked at, more than are shown: they say which of the changes shown were written."""
_KINDS = {23: "insert", 30: "insert", 24: "update", 31: "update", 39: "update", 25: "delete", 32: "delete"}


@click.command()
@config_option
@pair_option
@flow_option
@click.option("--table", "table_name", required=True, help="SCHEMA.TABLE, as at the origin.")
@click.option(
    "--key",
    required=True,
    help="The row's key: 5, or a JSON list where it has several columns: '[5, \"a\"]'. Bytes that are no text are written as "
    "in the conflict log: '[{\"hex\": \"ff00\"}]'.",
)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="The newest so many changes.")
@click.option("--rows", is_flag=True, help="Show row values too. They may be confidential.")
@json_option
def explain(
    config_path: Path, pair: str, flow: str | None, table_name: str, key: str, limit: int, rows: bool, as_json: bool
) -> int:
    """Show what the streams still hold about a row, oldest first, how its conflicts were settled, and what is known to have
    written it last at each site. Reads whole topics."""
    wanted = _key(key)
    keys = spellings(wanted)

    def is_it(logged: str) -> bool:
        return logged in keys if keys else _same_key(logged, wanted)

    schema, dot, table = table_name.partition(".")
    if not dot:
        raise UsageError(f"--table {table_name} is not of the form SCHEMA.TABLE", remedy="name the database too")
    streams = [s for s in choose_streams(load_config(config_path), pair, flow) if s.tables.wants(schema, table)]
    if not streams:
        raise UsageError(f"no stream of {pair} carries the table {table_name}", remedy="give its name at the origin")
    told = []
    for stream in streams:
        changes = deque(_changes(stream, (schema, table), wanted, with_rows=rows), maxlen=limit)
        applied = read_applied(stream)  # later: whatever is shown as applied was
        target = ".".join(stream.mapping.target_table(schema, table))
        decisions = list(_decisions(stream, target, wanted, keys, max(limit, _DECISIONS_MIN)))
        waiting = [h for h in read_held(stream, target, keys) if any(is_it(h[name]) for name in ("row_key", "new_key"))]
        told.append(Told(stream, applied, list(changes), decisions, waiting))
    for site in dict.fromkeys(site for one in told for site in (one.stream.id.origin, one.stream.id.target)):
        mark_last(site, told)
    found = [event for one in told for event in one.events(limit)]
    found.sort(key=lambda event: (event["time"] or "", event["sequence"]))
    if as_json:
        print_json(found)
    elif not found:
        click.echo("neither the streams nor the conflict log hold anything about this row")
    for event in [] if as_json else found:
        last = f"  <- the last known to write it at {', '.join(event['present_at'])}" if event["present_at"] else ""
        where = f"{event['time']}  {event['stream']}  sequence {event['sequence']}  GTID {event['gtid']}"
        click.echo(f"{where}  {event['what']}{last}")
        for image in ("before", "after"):
            if event.get(image) is not None:
                click.echo(f"    {image}: {json.dumps(event[image], ensure_ascii=False, default=str)}")
    return 0 if found else 1


@dataclass
class Told:
    """What one stream and its target tell about the row."""

    stream: StreamConfig
    applied: int
    """The sequence up to which the target has the stream."""
    changes: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    held: list[dict[str, Any]]

    def events(self, limit: int) -> Iterator[dict[str, Any]]:
        """All of it as it is shown: the newest so many of each kind."""
        for change in self.changes:
            if change["sequence"] > self.applied:
                change["what"] += f", not yet applied at {self.stream.id.target}"
            yield {name: value for name, value in change.items() if name != "seen"}
        yield from [_decision(self.stream, c) for c in self.decisions[:limit]]
        yield from [_held(self.stream, h) for h in self.held[:limit]]

    def written(self) -> list[dict[str, Any]]:
        """The changes that came into the target's row, or may have."""
        kept = {h["sequence"] for h in self.held}
        for conflict in self.decisions:
            but_columns = (conflict["conflict"], conflict["decision"]) == (ConflictType.TARGET_COLUMN_MISSING, "skip")
            if conflict["decision"].startswith(_NOT_WRITTEN) and not but_columns:
                kept.add(conflict["sequence"])
        return [c for c in self.changes if 0 < c["sequence"] <= self.applied and c["sequence"] not in kept]

    def tells(self, change: dict[str, Any]) -> bool:
        """Whether it is known that the change was written, and nothing of the stream behind it."""
        unknown = {c["sequence"] for c in self.decisions if c["decision"] == "halt"}
        later = any(h["state"] == "retried" for h in self.held)  # written when it was released, who knows behind what
        return not later and not self.stream.unheard and change["sequence"] not in unknown


def mark_last(site: str, told: list[Told]) -> None:
    """Say of the change that was the last to write the row at a site, and of the decision that made it so, that they were.

    A change made there says how far the stream to there was applied by then: so it is known which came first. Where it is not,
    nothing is said.
    """
    local = next((c for one in told for c in reversed(one.changes) if one.stream.id.origin == site and c["sequence"]), None)
    seen = local["seen"] if local else 0
    arriving = [one for one in told if one.stream.id.target == site]
    arrived = [(one, change) for one in arriving for change in one.written() if change["sequence"] > seen]
    if arrived:
        by, last = arrived[-1]
        if not by.tells(last):
            return
        last["present_at"].append(site)
        for decision in by.decisions:
            if decision["sequence"] == last["sequence"]:
                decision.setdefault("present_at", []).append(site)
    elif local is not None and all(one.tells(local) for one in arriving):
        local["present_at"].append(site)


def _key(text: str) -> list[str]:
    """The key's values as texts: a JSON list, or the only value as it stands."""
    try:
        values = json.loads(text)
    except ValueError:
        values = text
    return [_plain(value) for value in values] if isinstance(values, list) else [text]


def _plain(value: object) -> str:
    """A value as text; bytes that are no text as the conflict log has them."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            value = {"hex": value.hex()}
    if isinstance(value, dict):
        return json.dumps(value).lower()
    return "NULL" if value is None else str(value)


def spellings(wanted: list[str]) -> list[str]:
    """How the logs may have written a key whose values are these texts: a number or a text, NULL or the word.

    Empty where that would be too many.
    """
    columns = [_forms(text) for text in wanted]
    if math.prod([len(forms) for forms in columns]) > _SPELLINGS_MAX:
        return []
    return [key_text(values) for values in itertools.product(*columns)]


def _forms(text: str) -> list[object]:
    """The values that ``_plain`` writes as this text."""
    try:
        forms: list[object] = [text.encode()]
    except UnicodeEncodeError:
        return [text.encode("utf-8", "surrogateescape")]  # bytes of the command line that are no text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, int | float | dict) and not isinstance(value, bool) and _plain(value) == text:
        forms.append(value)
    return [*forms, None] if text == "NULL" else forms


def _decisions(
    stream: StreamConfig, table: str, wanted: list[str], keys: list[str], limit: int
) -> Iterator[dict[str, Any]]:
    """The newest entries of the conflict log about a row; ``keys`` are its ``spellings``."""
    if keys:
        yield from (c for c in read_conflicts_of(stream, table, keys, limit) if c["row_key"] in keys)
        return
    before = 1 << 63  # many columns that look like numbers: read all that there is of the table
    while limit:
        page = list(read_conflicts(stream, " AND table_name=%s AND id<%s", [table, before], _PAGE))
        alike = [c for c in page if _same_key(c["row_key"], wanted)][:limit]
        yield from alike
        limit -= len(alike)
        if len(page) < _PAGE:
            return
        before = page[-1]["id"]


def _same_key(logged: str, wanted: list[str]) -> bool:
    try:
        return [_plain(value) for value in json.loads(logged)] == wanted
    except ValueError:
        return False  # a key that was too long for the log


def _decision(stream: StreamConfig, conflict: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": conflict["time"],
        "stream": str(stream.id),
        "sequence": conflict["sequence"],
        "gtid": conflict["gtid"],
        "what": f"conflict {conflict['conflict']} by {conflict['operation']}: {conflict['decision']} "
        f"by policy {conflict['policy']} (number {conflict['id']}): {conflict['reason']}",
        "present_at": conflict.get("present_at", []),
    }


def _held(stream: StreamConfig, change: dict[str, Any]) -> dict[str, Any]:
    audit = f": {change['audit']}" if change["audit"] else ""
    return {
        "time": utc(change["time_us"]),
        "stream": str(stream.id),
        "sequence": change["sequence"],
        "gtid": change["gtid"],
        "what": f"{change['operation']} put into quarantine (change {change['id']}), {change['state']}{audit}",
        "present_at": [],
    }


def _changes(stream: StreamConfig, table: tuple[str, str], key: list[str], *, with_rows: bool) -> Iterator[dict[str, Any]]:
    """The row's changes in one stream's topic, in order."""
    try:
        for head, part, flavor in _transactions(stream):
            for change in _in_events(part, table, key, flavor, with_rows=with_rows):
                yield {
                    "time": utc(head.commit_time_us),
                    "stream": str(stream.id),
                    "sequence": head.sequence,
                    "gtid": head.gtid,
                    **change,
                    "what": f"{change['what']} made at {head.site or stream.id.origin}",
                    "present_at": [],
                    "seen": head.seen,
                }
    except ReplicatorError as error:
        if error.retry:
            raise
        what = f"the topic cannot be read any further: {error}"
        yield {"time": None, "stream": str(stream.id), "sequence": 0, "gtid": "", "what": what, "present_at": [], "seen": 0}


def _transactions(stream: StreamConfig) -> Iterator[tuple[Txn | LargeBegin, Txn | LargePart, str]]:
    """All that the topic holds up to its present end: whose it is, its events, the origin's flavor."""
    consumer = RecordConsumer(stream)
    reader = StreamReader(stream=stream.id.topic, anywhere=True)
    large: LargeBegin | None = None
    try:
        consumer.assign(None)
        end, following = consumer.end_offset(), 0
        while following < end:
            records = consumer.poll(2000)
            if not records:
                return
            for offset, value in records:
                following = offset + 1
                for item in reader.feed(offset, value):
                    if isinstance(item, LargeBegin):
                        large = item
                    elif isinstance(item, Txn):
                        yield item, item, reader.flavor
                    elif isinstance(item, LargePart) and large is not None:
                        yield large, item, reader.flavor
    finally:
        consumer.close()


def _in_events(
    item: Txn | LargePart, table: tuple[str, str], key: list[str], flavor: str, *, with_rows: bool
) -> Iterator[dict[str, Any]]:
    maps: dict[int, TableMap | None] = {}
    for event in read_events(item.events):
        if event.table == NO_TABLE or event.type not in _KINDS:
            continue
        if event.table not in maps:
            parsed = parse_table_map(item.table_maps[event.table], flavor)
            maps[event.table] = parsed if (parsed.schema, parsed.table) == table else None
        table_map = maps[event.table]
        if table_map is None:
            continue
        for before, after in decoder(table_map, before="text", after="text")(event.type, event.payload):
            images = [image for image in (before, after) if image is not None]
            if any([_plain(image[i]) for i in _identity(table_map)] == key for image in images):
                shown = {"before": _row(table_map, before), "after": _row(table_map, after)} if with_rows else {}
                yield {"what": _KINDS[event.type], **shown}


def _identity(table_map: TableMap) -> tuple[int, ...]:
    return table_map.primary_key or tuple(range(len(table_map.columns)))


def _row(table_map: TableMap, image: Any) -> dict[str, str | None] | None:
    if image is None:
        return None
    return {c.name: None if v is None else _plain(v) for c, v in zip(table_map.columns, image, strict=True)}
