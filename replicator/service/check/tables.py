"""Tables: those that a flow carries, compared between its origin and its target."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...config import Mapping, StreamConfig
from ...filter import SYSTEM_SCHEMAS, TableFilter, parse_pattern
from .finding import Finding, error, few, warning
from .probe import Probe

__all__ = ["Table", "check_tables", "check_triggers", "read_tables", "schemas_of"]

GUARD = "@replicator_applying"


@dataclass(frozen=True, slots=True)
class Column:
    """What must be alike for a value to be the same at both sites."""

    name: str
    type: str
    nullable: bool
    charset: str
    collation: str
    generated: bool
    has_default: bool


@dataclass(slots=True)
class Table:
    """One base table."""

    schema: str
    name: str
    engine: str
    columns: dict[str, Column] = field(default_factory=dict)  # by name, folded
    keys: list[list[str]] = field(default_factory=list)
    """Unique keys as folded column names: the primary key first, then those without NULLs."""
    has_key: bool = False
    """Whether the first of them can stand for a row's identity."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def schemas_of(stream: StreamConfig, probe: Probe, *, here: bool = False) -> list[str]:
    """The databases of the target that the flow writes: those named outright, and those there that match.

    ``here``: of the origin, by their names there.
    """
    present = [str(row[0]) for row in probe.rows("SELECT schema_name FROM information_schema.schemata")]
    mapping = Mapping() if here else stream.mapping
    names: dict[str, None] = {}
    for text in stream.pair.tables.include:
        pattern = parse_pattern(text)
        literal = pattern.schema if not any(c in pattern.schema for c in "*?[") else None
        if literal is not None:
            names[mapping.target_schema(literal)] = None
        else:
            matching = [s for s in present if pattern.schema_re.match(s) and s.lower() not in SYSTEM_SCHEMAS]
            names.update(dict.fromkeys(mapping.target_schema(schema) for schema in matching))
    for rules in mapping.tables.values():
        if rules.to is not None:
            names[mapping.names(rules.to)[0]] = None
    return list(names)


def read_tables(probe: Probe, wanted: TableFilter | None = None, names: Iterable[tuple[str, str]] = ()) -> dict[str, Table]:
    """Base tables that a filter wants, or that are named; keyed by ``schema.table``."""
    chosen = {f"{schema}.{name}" for schema, name in names}
    tables: dict[str, Table] = {}
    rows = probe.rows(
        "SELECT table_schema, table_name, engine FROM information_schema.tables"
        " WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_schema, table_name"
    )
    for schema, name, engine in rows:
        if (wanted is not None and wanted.wants(schema, name)) or f"{schema}.{name}" in chosen:
            tables[f"{schema}.{name}"] = Table(schema, name, str(engine or ""))
    for schema in dict.fromkeys(table.schema for table in tables.values()):
        _add_columns(probe, schema, tables)
        _add_keys(probe, schema, tables)
    return tables


def _add_columns(probe: Probe, schema: str, tables: dict[str, Table]) -> None:
    rows = probe.rows(
        "SELECT table_name, column_name, column_type, is_nullable, character_set_name, collation_name, extra,"
        " generation_expression, column_default FROM information_schema.columns WHERE table_schema=%s"
        " ORDER BY table_name, ordinal_position",
        schema,
    )
    for table, name, kind, nullable, charset, collation, extra, generation, default in rows:
        found = tables.get(f"{schema}.{table}")
        if found is not None:
            extras = str(extra or "").lower()
            found.columns[name.casefold()] = Column(
                name,
                _normal(kind),
                nullable == "YES",
                _charset(charset),
                _charset(collation),
                bool(generation),
                default is not None or "default_generated" in extras or "auto_increment" in extras,
            )


def _normal(kind: object) -> str:
    """A column type without what only some servers still show: display widths."""
    text = kind.decode() if isinstance(kind, bytes) else str(kind)
    lowered = text if "(" in text and text.startswith(("enum", "set")) else text.lower()
    head, bracket, rest = lowered.partition("(")
    if bracket and head in ("tinyint", "smallint", "mediumint", "int", "bigint", "year"):
        return head + rest.partition(")")[2]
    return lowered


def _charset(name: object) -> str:
    return str(name or "").replace("utf8mb3", "utf8") if name else ""


def _add_keys(probe: Probe, schema: str, tables: dict[str, Table]) -> None:
    rows = probe.rows(
        "SELECT table_name, index_name, column_name, nullable FROM information_schema.statistics"
        " WHERE table_schema=%s AND non_unique=0 ORDER BY table_name, index_name, seq_in_index",
        schema,
    )
    for (table, _), members in itertools.groupby(rows, key=lambda row: (row[0], row[1])):
        found = tables.get(f"{schema}.{table}")
        columns = list(members)
        if found is None or any(name is None for _, _, name, _ in columns):
            continue  # a key over an expression
        key = [str(name).casefold() for _, _, name, _ in columns]
        if columns[0][1] == "PRIMARY":
            found.keys.insert(0, key)
            found.has_key = True
        elif not any(nullable == "YES" for _, _, _, nullable in columns):
            found.keys.insert(len(found.keys) if found.keys and found.has_key else 0, key)
            found.has_key = True
        else:
            found.keys.append(key)


def check_tables(stream: StreamConfig, origin: Probe, target: Probe, *, started: bool) -> Iterator[Finding]:
    """One stream's tables at both sites. ``started``: the target has a checkpoint, so it should have the tables too."""
    place = stream.id.flow
    here = read_tables(origin, stream.tables)
    names = {text: stream.mapping.target_table(table.schema, table.name) for text, table in here.items()}
    there = read_tables(target, names=names.values())
    if not here and stream.id.stream == "main" and not stream.pair.streams:
        yield warning(place, f"no table of {origin.name} matches the pair's tables now", "check tables: in the configuration")
    keyless = [str(table) for table in here.values() if not table.has_key]
    if keyless:
        what = f"no primary key (nor a unique one without NULLs): {few(keyless)}; each change has to compare whole rows"
        yield warning(place, what, "ALTER TABLE … ADD PRIMARY KEY, at the origin")
    missing = [".".join(names[text]) for text in here if ".".join(names[text]) not in there]
    if missing:
        yield from _missing(stream, target, missing, started=started)
    for text, table in here.items():
        twin = there.get(".".join(names[text]))
        if twin is not None:
            yield from _differences(stream, table, twin, target)
        if table.engine and table.engine != "InnoDB":
            what = f"{text} at {origin.name} is {table.engine}: its changes are not part of transactions"
            yield warning(place, what, f"ALTER TABLE {text} ENGINE=InnoDB")
    yield from _missing_columns(stream, here)
    if stream.pair.mode == "bidirectional":
        yield from _cascades(stream, here, origin)


def _missing(stream: StreamConfig, target: Probe, missing: list[str], *, started: bool) -> Iterator[Finding]:
    what = f"missing at {target.name}: {few(missing)}"
    remedy = "create them there as they are at the origin, or load them from a dump"
    if started or stream.start != "earliest":
        yield error(stream.id.flow, what, remedy)
    else:
        yield warning(stream.id.flow, what, f"{remedy}, unless the origin's binlogs still hold their creation")


def _differences(stream: StreamConfig, table: Table, twin: Table, target: Probe) -> Iterator[Finding]:
    place = stream.id.flow
    rules = stream.mapping.rules(table.schema, table.name)
    dropped = {name.casefold() for name in rules.drop_columns} if rules else set()
    masked = {name.casefold() for name in rules.masks} if rules else set()
    if twin.engine != "InnoDB":
        what = f"{twin} at {target.name} is {twin.engine or 'of no engine'}: what is applied there cannot be rolled back"
        yield error(place, what, f"ALTER TABLE {twin} ENGINE=InnoDB")
    for key, column in table.columns.items():
        if key in dropped:
            continue
        other = twin.columns.get(key)
        if other is None:
            what = f"{twin} at {target.name} lacks the column {column.name} {column.type}"
            yield error(place, what, f"ALTER TABLE {twin} ADD COLUMN as at the origin, or mapping.tables.{table}.drop_columns")
            continue
        unlike = _unlike(column, other) if key not in masked else []
        if unlike:
            what = f"{twin}.{column.name} differs at {target.name}: {'; '.join(unlike)}"
            yield error(place, what, f"ALTER TABLE {twin} MODIFY COLUMN {column.name} as at the origin")
        elif key not in masked and column.collation != other.collation:
            # The other flavor may not have the origin's at all; values arrive all the same.
            what = f"{twin}.{column.name} has the collation {other.collation} at {target.name}, {column.collation} at the origin"
            remedy = "a unique key may take other values for equal there; give both one that both servers know, if it matters"
            yield warning(place, what, remedy)
    for key, column in twin.columns.items():
        if key in table.columns and key not in dropped:
            continue
        if not (column.nullable or column.has_default or column.generated):
            what = f"{twin}.{column.name} exists only at {target.name}, without a default: inserts would fail"
            yield error(place, what, f"ALTER TABLE {twin} ALTER COLUMN {column.name} SET DEFAULT …, or drop it")


def _unlike(a: Column, b: Column) -> list[str]:
    found = []
    for name, left, right in (
        ("type", a.type, b.type),
        ("character set", a.charset, b.charset),
        ("NULL", a.nullable, b.nullable),
        ("generated", a.generated, b.generated),
    ):
        if left != right:
            found.append(f"{name} {left} at the origin, {right} here")
    return found


def _missing_columns(stream: StreamConfig, tables: dict[str, Table]) -> Iterator[Finding]:
    """Columns that the mapping names must exist."""
    for text, rules in stream.mapping.tables.items():
        table = tables.get(".".join(stream.mapping.names(text)))
        if table is None:
            continue
        named = [*rules.drop_columns, *rules.masks, *([rules.rows.column] if rules.rows else [])]
        for name in named:
            if name.casefold() not in table.columns:
                what = f"the mapping names the column {name}, which {table} does not have"
                yield error(stream.id.flow, what, "correct mapping.tables in the configuration")


def _cascades(stream: StreamConfig, tables: dict[str, Table], origin: Probe) -> Iterator[Finding]:
    acting = "('CASCADE', 'SET NULL', 'SET DEFAULT')"
    rows = origin.rows(
        "SELECT DISTINCT constraint_schema, table_name FROM information_schema.referential_constraints"
        f" WHERE delete_rule IN {acting} OR update_rule IN {acting}"
    )
    named = {(str(schema).casefold(), str(table).casefold()) for schema, table in rows}
    children = [str(t) for t in tables.values() if (t.schema.casefold(), t.name.casefold()) in named]
    if children:
        what = f"foreign keys change rows of {few(children)} by themselves: {origin.name} does not log that, no policy sees it"
        remedy = "ON DELETE RESTRICT, and let the application delete the children itself (docs/CONFLICTS.md)"
        yield warning(stream.id.flow, what, remedy)


def check_triggers(stream: StreamConfig, target: Probe) -> Iterator[Finding]:
    """Triggers at the target would act on replicated rows too, whose effects arrive from the origin already."""
    wanted = _TargetFilter(stream)
    rows = target.rows(
        "SELECT trigger_schema, trigger_name, event_object_table, action_statement FROM information_schema.triggers"
    )
    for schema, name, table, body in rows:
        text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
        if wanted.writes(schema, table) and GUARD not in text.lower():
            what = f"the trigger {schema}.{name} on {schema}.{table} would fire again for replicated rows"
            yield error(
                f"{stream.id.flow}",
                f"{what} at {target.name}",
                f"let its body run only IF {GUARD} IS NULL THEN … END IF, or DROP TRIGGER there",
            )


class _TargetFilter:
    """Which tables of the target a stream writes, whatever they are called there."""

    def __init__(self, stream: StreamConfig) -> None:
        self._stream = stream
        self._schemas = {new: old for old, new in stream.mapping.databases.items()}
        self._tables = {stream.mapping.names(r.to): stream.mapping.names(t) for t, r in stream.mapping.tables.items() if r.to}

    def writes(self, schema: str, table: str) -> bool:
        """Whether that table of the target is one."""
        origin = self._tables.get((schema, table)) or (self._schemas.get(schema, schema), table)
        return self._stream.mapping.target_table(*origin) == (schema, table) and self._stream.tables.wants(*origin)
