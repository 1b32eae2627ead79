"""An independent judge: are tables on two servers equal, byte for byte? It asks the servers by SQL and shares no code with
the replicator.

Every value is turned into text that shows exactly what is stored (HEX of strings, 17 digits of floating point numbers,
label and index of ENUM and SET); each row's text is hashed in the server, and the hashes are summed, so that order does
not matter and multiplicity does. Only where sums differ are rows fetched, and only from the differing 1/4096th parts.

The servers must be at rest. Accounts need SELECT and see every row; generated columns are compared like others, MariaDB's
row start and row end times of system-versioned tables are not.
"""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

__all__ = ["Column", "checksum", "compare", "tables_of"]

_DIFFERENCES_MAX = 20
_BUCKETS_FETCHED_MAX = 64
_SHOWN_BYTES_MAX = 4096
_SYSTEM = ("mysql", "sys", "information_schema", "performance_schema")
_LONG = {"tinyblob", "blob", "mediumblob", "longblob", "tinytext", "text", "mediumtext", "longtext"}
_SPATIAL = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection",
    "geometrycollection",
}  # fmt: skip
_SESSION = "SET SESSION time_zone='+00:00', sql_mode='', group_concat_max_len=1048576"


class Server(Protocol):
    """What the judge needs of a server."""

    @property
    def flavor(self) -> str:
        """``mysql`` or ``mariadb``."""

    def connect(self, **options: Any) -> Any:
        """A new pymysql connection."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column as information_schema describes it."""

    name: str
    data_type: str
    column_type: str
    described: tuple[str, ...]
    """Everything that must be equal on servers of one flavor: type, nullability, default, character set, extra…"""

    @property
    def quoted(self) -> str:
        """The name, quoted for SQL."""
        return _quote(self.name)


def compare(
    a: Server,
    b: Server,
    tables: Iterable[str],
    *,
    structure: bool = True,
    rename: Mapping[str, str] | None = None,
) -> list[str]:
    """Compare the tables matching the globs ``schema.table`` on two servers; returns one line a difference, [] when equal.

    ``structure`` also compares column descriptions and indexes where both servers are of one flavor. ``rename`` maps
    ``schema.table`` or ``schema`` on ``a`` to its name on ``b``.
    """
    patterns = list(tables)
    names = dict(rename or {})
    found: list[str] = []
    with a.connect() as left, b.connect() as right:
        for connection in (left, right):
            _query(connection, _SESSION)
        here = {_renamed(pair, names): pair for pair in _tables(left, patterns)}
        wanted = [_renamed_pattern(p, names) for p in patterns]
        there = set(_tables(right, wanted + [name for name in names.values() if "." in name]))
        for missing in sorted(here.keys() - there):
            found.append(f"{'.'.join(missing)}: only on {_who(a, 'a')}")
        for missing in sorted(there - here.keys()):
            found.append(f"{'.'.join(missing)}: only on {_who(b, 'b')}")
        same_flavor = a.flavor == b.flavor
        with ThreadPoolExecutor(2) as pool:
            for target in sorted(here.keys() & there):
                found += _compare_table(left, right, here[target], target, pool, same_flavor, structure)
    return found


def checksum(server: Server, tables: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Rows and checksum of each table matching the globs: the same where, and only where, the rows are the same."""
    sums: dict[str, tuple[int, str]] = {}
    with server.connect() as connection:
        _query(connection, _SESSION)
        for pair in _tables(connection, list(tables)):
            columns = _columns(connection, pair)
            count, first, second = _sums(connection, pair, [_expression(c, c) for c in columns])
            sums[".".join(pair)] = (count, f"{int(first or 0) % 2**60:015x}{int(second or 0) % 2**60:015x}")
    return sums


def tables_of(server: Server, tables: Iterable[str]) -> list[str]:
    """The base tables matching the globs, as ``schema.table``."""
    with server.connect() as connection:
        return [".".join(pair) for pair in _tables(connection, list(tables))]


Pair = tuple[str, str]


def _compare_table(
    left: Any, right: Any, source: Pair, target: Pair, pool: ThreadPoolExecutor, same_flavor: bool, structure: bool
) -> list[str]:
    label = ".".join(source) if source == target else f"{'.'.join(source)} → {'.'.join(target)}"
    mine, theirs = _columns(left, source), _columns(right, target)
    if [c.name for c in mine] != [c.name for c in theirs]:
        only_a = [c.name for c in mine if c.name not in {t.name for t in theirs}]
        only_b = [c.name for c in theirs if c.name not in {m.name for m in mine}]
        order = "" if only_a or only_b else "; their order differs"
        return [f"{label}: columns differ: only on a: {only_a}, only on b: {only_b}{order}"]
    found = _compare_structure(left, right, source, target, mine, theirs, label) if structure and same_flavor else []
    documents = [i for i, (m, t) in enumerate(zip(mine, theirs, strict=True)) if not same_flavor and _prints_otherwise(m, t)]
    both = [(m, t) for i, (m, t) in enumerate(zip(mine, theirs, strict=True)) if i not in documents]
    plain = [_expression(m, t) for m, t in both]
    sums_a = pool.submit(_sums, left, source, plain)
    sums_b = _sums(right, target, plain)
    if sums_a.result()[0] != sums_b[0]:
        found.append(f"{label}: {sums_a.result()[0]} rows on a, {sums_b[0]} on b")
    if sums_a.result() != sums_b:
        primary = _primary(left, source)
        keys = [i for i, (m, _) in enumerate(both) if m.name in primary]
        shown = {m.name: _expression(m, t, readable=True) for m, t in both}
        found += _differing_rows(left, right, source, target, plain, shown, keys, label)
    elif documents:
        found += _compare_documents(left, right, source, target, mine, theirs, documents, label)
    return found


def _prints_otherwise(mine: Column, theirs: Column) -> bool:
    """Types that MySQL and MariaDB print in different ways, so that values are compared here instead of texts there.

    JSON is one in MySQL only, and differs in spaces and order of keys; of floating point numbers, one prints digits that the
    other rounds away, so between flavors 15 digits must do.
    """
    kinds = {mine.data_type, theirs.data_type}
    return bool(kinds & {"json", "float", "double"})


def _expression(mine: Column, theirs: Column, readable: bool = False) -> str:
    """SQL whose text shows exactly what is stored, equal on both sides; never NULL.

    ``readable`` shows the contents of long values, not only their hash.
    """
    name, kinds = mine.quoted, {mine.data_type, theirs.data_type}
    if kinds & {"float", "double"}:
        text = f"CAST(CAST({name} AS DOUBLE) AS CHAR)"  # a FLOAT's own text has six digits
    elif "bit" in kinds:
        text = f"HEX(CAST({name} AS UNSIGNED))"
    elif kinds & {"enum", "set"}:
        text = f"CONCAT(HEX({name}),':',CAST({name} AS UNSIGNED))"  # the index tells '' from the invalid value
    elif kinds == {"json"}:
        # Types print alike: 1.0 may be a double or a decimal, "2024-01-01" a string or a date.
        shown = f"CAST({name} AS CHAR)" if readable else f"SHA2(CAST({name} AS CHAR),256)"
        types = "GROUP_CONCAT(JSON_TYPE(judge_v))"
        types = types if readable else f"SHA2({types},256)"
        kinds_of = [
            f"(SELECT {types} FROM "
            f"JSON_TABLE({name}, '{path}' COLUMNS (judge_v JSON PATH '$')) AS judge_t)"
            for path in ("$**.*", "$**[*]")
        ]
        text = f"CONCAT_WS(':',{shown},JSON_TYPE({name}),{','.join(kinds_of)})"
    elif kinds & _LONG:
        text = f"CONCAT(LENGTH({name}),':',SHA2(CAST({name} AS BINARY),256))"
        if readable:
            text = f"IF(LENGTH({name}) <= {_SHOWN_BYTES_MAX},HEX({name}),{text})"
    elif kinds & {"char", "varchar", "binary", "varbinary", "vector"} or kinds & _SPATIAL:
        text = f"HEX({name})"
    else:
        text = f"CAST({name} AS CHAR)"
    return f"COALESCE({text},'NULL')"


def _row_hash(expressions: Sequence[str]) -> str:
    return f"SHA2(CONCAT_WS(',',{','.join(expressions) or '1'}),256)"


def _sums(connection: Any, table: Pair, expressions: Sequence[str], bucketed: bool = False) -> Any:
    """(rows, sum, sum) of the table, or {bucket: (rows, sum, sum)}."""
    # LIMIT keeps the server from merging the inner query, which would hash every row once for each use.
    inner = f"SELECT {_row_hash(expressions)} AS h FROM {_name(table)} LIMIT 18446744073709551615"
    sums = (
        "COUNT(*),SUM(CAST(CONV(SUBSTR(h,1,15),16,10) AS UNSIGNED)),SUM(CAST(CONV(SUBSTR(h,16,15),16,10) AS UNSIGNED))"
    )
    if not bucketed:
        return _query(connection, f"SELECT {sums} FROM ({inner}) AS hashed")[0]
    rows = _query(connection, f"SELECT SUBSTR(h,1,3) AS bucket,{sums} FROM ({inner}) AS hashed GROUP BY bucket")
    return {row[0]: row[1:] for row in rows}


def _differing_rows(
    left: Any,
    right: Any,
    source: Pair,
    target: Pair,
    expressions: Sequence[str],
    shown: Mapping[str, str],
    keys: Sequence[int],
    label: str,
) -> list[str]:
    """The rows that are on one side only, paired by primary key where there is one."""
    mine, theirs = _sums(left, source, expressions, True), _sums(right, target, expressions, True)
    buckets = sorted(b for b in mine.keys() | theirs.keys() if mine.get(b) != theirs.get(b))
    chosen = ",".join(f"'{b}'" for b in buckets[:_BUCKETS_FETCHED_MAX])
    where = f" WHERE SUBSTR({_row_hash(expressions)},1,3) IN ({chosen})"
    columns, names = ",".join(shown.values()) or "1", list(shown)
    only_a: Counter[tuple[str, ...]] = Counter(_query(left, f"SELECT {columns} FROM {_name(source)}{where}"))
    only_b: Counter[tuple[str, ...]] = Counter(_query(right, f"SELECT {columns} FROM {_name(target)}{where}"))
    only_a, only_b = only_a - only_b, only_b - only_a
    partner = {tuple(row[i] for i in keys): row for row in only_b} if keys else {}
    found: list[str] = []
    for row in sorted(only_a.elements()):
        other = partner.pop(tuple(row[i] for i in keys), None) if keys else None
        if other is None:
            found.append(f"{label}: row only on a: {_show(names, row)}")
        else:
            key = _show([names[i] for i in keys], [row[i] for i in keys])
            found += [
                f"{label}: row {key}: {name}: a={x} b={y}{_first_byte(x, y)}"
                for name, x, y in zip(names, row, other, strict=True)
                if x != y
            ]
            only_b[other] -= 1
    found += [f"{label}: row only on b: {_show(names, row)}" for row in sorted((+only_b).elements())]
    if not found:
        found = [f"{label}: checksums differ, but no row was found to; were the servers at rest?"]
    more = len(found) - _DIFFERENCES_MAX
    parts = f" in {len(buckets)} of 4096 parts" if len(buckets) > _BUCKETS_FETCHED_MAX else ""
    return found[:_DIFFERENCES_MAX] + ([f"{label}: … and {more} more lines{parts}"] if more > 0 or parts else [])


def _compare_documents(
    left: Any,
    right: Any,
    source: Pair,
    target: Pair,
    mine: Sequence[Column],
    theirs: Sequence[Column],
    documents: Sequence[int],
    label: str,
) -> list[str]:
    """Columns that print in different ways, by value; all other columns are known to be equal and identify the rows."""
    plain = [_expression(m, t) for i, (m, t) in enumerate(zip(mine, theirs, strict=True)) if i not in documents]
    texts = [
        f"CAST(CAST({mine[i].quoted} AS DOUBLE) AS CHAR)" if _is_float(mine[i]) else f"CONVERT({mine[i].quoted} USING utf8mb4)"
        for i in documents
    ]
    sql = f"SELECT {_row_hash(plain)},{','.join(texts)} FROM "
    sides = []
    for connection, table in ((left, source), (right, target)):
        rows = [
            (row[0], *[_canonical(text, _is_float(mine[i])) for i, text in zip(documents, row[1:], strict=True)])
            for row in _query(connection, sql + _name(table))
        ]
        sides.append(Counter(rows))
    names = ["row hash", *[mine[i].name for i in documents]]
    found = [f"{label}: values only on a: {_show(names, row)}" for row in (sides[0] - sides[1]).elements()]
    found += [f"{label}: values only on b: {_show(names, row)}" for row in (sides[1] - sides[0]).elements()]
    return found[:_DIFFERENCES_MAX]


def _is_float(column: Column) -> bool:
    return column.data_type in ("float", "double")


def _canonical(text: str | None, number: bool) -> str:
    if text is None:
        return "NULL"
    if number:
        return f"{float(text):.15g}"
    value = json.loads(text, parse_float=lambda digits: f"<{Decimal(digits).normalize()}>")
    return json.dumps(value, sort_keys=True)


def _compare_structure(
    left: Any, right: Any, source: Pair, target: Pair, mine: Sequence[Column], theirs: Sequence[Column], label: str
) -> list[str]:
    found = [
        f"{label}: column {m.name}: a={m.described} b={t.described}"
        for m, t in zip(mine, theirs, strict=True)
        if m.described != t.described
    ]
    indexes_a, indexes_b = _indexes(left, source), _indexes(right, target)
    found += [f"{label}: index only on a: {row}" for row in sorted(indexes_a - indexes_b)]
    found += [f"{label}: index only on b: {row}" for row in sorted(indexes_b - indexes_a)]
    return found


def _tables(connection: Any, patterns: Sequence[str]) -> list[Pair]:
    rows = _query(
        connection,
        "SELECT table_schema, table_name FROM information_schema.tables "
        f"WHERE table_type IN ('BASE TABLE','SYSTEM VERSIONED') AND table_schema NOT IN {_SYSTEM}",
    )
    return sorted((s, t) for s, t in rows if any(fnmatch.fnmatchcase(f"{s}.{t}", p) for p in patterns))


def _columns(connection: Any, table: Pair) -> list[Column]:
    rows = _query(
        connection,
        "SELECT column_name, data_type, column_type, is_nullable, column_default, character_set_name, collation_name, "
        "extra, generation_expression, column_comment FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        table,
    )
    columns = []
    for name, data_type, column_type, *rest in rows:
        if rest[5] in ("ROW START", "ROW END"):
            continue
        described = tuple(str(value) for value in (column_type, *rest))
        columns.append(Column(str(name), _text(data_type).lower(), _text(column_type), described))
    return columns


def _primary(connection: Any, table: Pair) -> set[str]:
    rows = _query(
        connection,
        "SELECT column_name FROM information_schema.statistics "
        "WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY'",
        table,
    )
    return {row[0] for row in rows}


def _indexes(connection: Any, table: Pair) -> set[tuple[str, ...]]:
    rows = _query(
        connection,
        "SELECT index_name, seq_in_index, non_unique, column_name, sub_part, collation, index_type "
        "FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s",
        table,
    )
    return {tuple(str(value) for value in row) for row in rows}


def _query(connection: Any, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [tuple(row) for row in cursor.fetchall()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _name(table: Pair) -> str:
    return f"{_quote(table[0])}.{_quote(table[1])}"


def _renamed(table: Pair, names: Mapping[str, str]) -> Pair:
    schema, name = table
    whole = names.get(f"{schema}.{name}")
    if whole is not None:
        schema, name = whole.split(".", 1)
        return schema, name
    return names.get(schema, schema), name


def _renamed_pattern(pattern: str, names: Mapping[str, str]) -> str:
    if pattern in names:
        return names[pattern]
    schema, _, table = pattern.partition(".")
    return f"{names.get(schema, schema)}.{table}"


def _who(server: Server, side: str) -> str:
    return f"{side} ({server.flavor})"


def _show(names: Sequence[str], values: Sequence[str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _first_byte(x: str, y: str) -> str:
    """Where two HEX texts part, counted in bytes."""
    for i, (p, q) in enumerate(zip(x, y, strict=False)):
        if p != q:
            return f" (from byte {i // 2})" if _is_hex(x) and _is_hex(y) else ""
    return f" (length {len(x) // 2} against {len(y) // 2})" if _is_hex(x) and _is_hex(y) else ""


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and not set(text) - set("0123456789ABCDEF")
