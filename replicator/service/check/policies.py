"""Conflict policies against the tables they are for: a `delta` on a text column is found before it is needed.

Also what would never be noticed: policies for tables that are not there, and conflicts that `detect: key` does not see.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from conflict import ColumnInfo, ColumnKind, ConflictType, PolicyName, TableInfo

from ...config import StreamConfig
from ...model import MAIN_STREAM
from .finding import Finding, error, few, warning
from .tables import Column, Table

__all__ = ["check_policies", "table_info"]

_KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), ColumnKind.INTEGER),
    "decimal": ColumnKind.DECIMAL,
    "float": ColumnKind.FLOAT,
    "double": ColumnKind.FLOAT,
    "date": ColumnKind.TEMPORAL,
    "datetime": ColumnKind.TEMPORAL,
    "timestamp": ColumnKind.TEMPORAL,
    "time": ColumnKind.TIME,
}
_TWO_VERSIONS = (
    ConflictType.INSERT_EXISTS,
    ConflictType.UPDATE_DIFFERING,
    ConflictType.DELETE_DIFFERING,
    ConflictType.MULTIPLE_UNIQUE_CONFLICTS,
)
_EACH_FOR_ITSELF = frozenset({PolicyName.APPLY_ORIGIN, PolicyName.KEEP_TARGET})
_TEXT = re.compile(r"char|varchar|(tiny|medium|long)?text")
_BINARY = re.compile(r"binary|varbinary|(tiny|medium|long)?blob")


def check_policies(
    stream: StreamConfig, tables: Iterable[Table], names: Collection[tuple[str, str]]
) -> Iterator[Finding]:
    """What of the pair's policies does not fit the origin's tables; ``tables`` are those of the stream, ``names`` those of all
    of the pair's tables at either site."""
    tables = list(tables)
    yield from _unmatched(stream, names)
    yield from _unknown_times(stream)
    yield from _unseen(stream, tables)
    yield from _diverging(stream, tables)
    for table in tables:
        for what, remedy in stream.misfits(table_info(table)):
            yield error(stream.id.flow, what, remedy)


def _unknown_times(stream: StreamConfig) -> Iterator[Finding]:
    """Commit times that nobody tells: the first such conflict would halt."""
    known = stream.target_log is not None or (stream.reverse is not None and not stream.unheard)
    for path in [] if known else stream.policies.comparing_commit_times:
        where = f"{stream.place(('conflicts', *path))}: {'.'.join(map(str, ('conflicts', *path)))}"
        what = f"{where}: nobody tells latest_timestamp who wrote a row last at {stream.target.name}, and will halt"
        remedy = "name a column that every write raises (docs/CONFLICTS.md: What latest_timestamp needs)"
        yield error(stream.id.flow, what, remedy)


def _unmatched(stream: StreamConfig, names: Collection[tuple[str, str]]) -> Iterator[Finding]:
    if stream.id.stream != MAIN_STREAM:
        return  # said once for the pair
    for policies in stream.policies.tables:
        if any(policies.matches(name) for name in names):
            continue
        where = f"{stream.place(('conflicts', 'tables', policies.pattern))}: conflicts.tables.{policies.pattern}"
        if policies.exact:
            what = f"{where}: {stream.origin.name} has no such table, or it is not one of this pair"
            yield error(stream.id.flow, what, "correct the name; if the table is yet to come, write the entry when it is there")
        else:
            what = f"{where}: no table of {stream.origin.name} in this pair has such a name now"
            yield warning(stream.id.flow, what, "correct the pattern; if the table is yet to come, nothing")


def _unseen(stream: StreamConfig, tables: list[Table]) -> Iterator[Finding]:
    of_pair = stream.apply.detect or stream.pair.detect
    by_key = []
    for table in tables:
        name = (table.schema, table.name)
        chosen, wanted = stream.policies.detect(name) or of_pair, stream.policies.needs_full(name)
        if chosen == "key" and wanted:
            what = f"detect: key does not see differing rows, for which {table} has a policy: it will never be asked"
            yield warning(stream.id.flow, what, "detect: full, or leave `detect` out")
        elif chosen is None and not wanted and stream.pair.mode != "bidirectional":
            by_key.append(str(table))
    if by_key:
        what = f"only keys are compared in {few(by_key, 3)}: a row changed at {stream.target.name} is overwritten unnoticed"
        yield warning(stream.id.flow, what, "detect: full to notice it, detect: key to say that it is meant")


def _diverging(stream: StreamConfig, tables: list[Table]) -> Iterator[Finding]:
    """Policies by which each of two sites that write decides for itself."""
    if stream.pair.mode != "bidirectional":
        return
    found: dict[str, list[str]] = {}
    for table in tables:
        for conflict in _TWO_VERSIONS:
            policy = stream.policies.policy_for(conflict, (table.schema, table.name)).name
            if policy in _EACH_FOR_ITSELF:
                found.setdefault(f"{conflict}: {policy}", []).append(str(table))
    for settled, names in found.items():
        what = f"{settled} in both directions: after such a conflict the sites differ in {few(names, 3)}"
        remedy = "choose one by which both decide alike (docs/CONFLICTS.md), unless only one of them writes it"
        yield warning(stream.id.flow, what, remedy)


def table_info(table: Table) -> TableInfo:
    """A table as policies see it."""
    columns = list(table.columns)
    places = {name: at for at, name in enumerate(columns)}
    keys = [tuple(places[name] for name in key if name in places) for key in table.keys]
    identity = keys[0] if keys and table.has_key else tuple(range(len(columns)))
    return TableInfo(
        table.schema,
        table.name,
        tuple(_column(column) for column in table.columns.values()),
        identity,
        tuple(key for key in keys if key != identity),
    )


def _column(column: Column) -> ColumnInfo:
    word = re.match(r"[a-z]*", column.type)
    name = word[0] if word else ""
    kind = _KINDS.get(name, ColumnKind.OTHER)
    if _TEXT.fullmatch(name):
        kind = ColumnKind.TEXT
    elif _BINARY.fullmatch(name):
        kind = ColumnKind.BINARY
    return ColumnInfo(column.name, kind, nullable=column.nullable, generated=column.generated)
