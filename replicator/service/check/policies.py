"""Conflict policies against the tables they are for: a `delta` on a text column is found before it is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from conflict import ColumnInfo, ColumnKind, TableInfo

from ...config import StreamConfig
from .finding import Finding, error
from .tables import Column, Table

__all__ = ["check_policies", "table_info"]

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_KINDS = {
    "decimal": ColumnKind.DECIMAL,
    "float": ColumnKind.FLOAT,
    "double": ColumnKind.FLOAT,
    "year": ColumnKind.INTEGER,
    "date": ColumnKind.TEMPORAL,
    "datetime": ColumnKind.TEMPORAL,
    "timestamp": ColumnKind.TEMPORAL,
    "time": ColumnKind.TIME,
}
_TEXT = re.compile(r"char|varchar|(tiny|medium|long)?text")
_BINARY = re.compile(r"binary|varbinary|(tiny|medium|long)?blob")


def check_policies(stream: StreamConfig, tables: Iterable[Table]) -> Iterator[Finding]:
    """What of the pair's policies does not fit the origin's tables."""
    for table in tables:
        for problem in stream.policies.validate(table_info(table)):
            place = ".".join(map(str, ("conflicts", *problem.path)))
            yield error(stream.id.flow, f"{place}: {problem.what}", problem.remedy)


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
    low = high = None
    kind = _KINDS.get(name, ColumnKind.OTHER)
    if name in _BITS:
        kind = ColumnKind.INTEGER
        bits = _BITS[name]
        low, high = (0, 2**bits - 1) if "unsigned" in column.type else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    elif _TEXT.fullmatch(name):
        kind = ColumnKind.TEXT
    elif _BINARY.fullmatch(name):
        kind = ColumnKind.BINARY
    return ColumnInfo(column.name, kind, nullable=column.nullable, generated=column.generated, minimum=low, maximum=high)
