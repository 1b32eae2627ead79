"""What the target's tables look like: columns, keys, foreign keys, read from information_schema and remembered.

Remembered until ``forget``: our own DDL calls it. Somebody else's DDL at the target shows as an error of a statement, after which
the applier forgets and tries again, or to ``TargetWatch``, which looks every second.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pymysql

from ..errors import DatabaseError
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL, qualified
from ..sql.guard import is_guarded

__all__ = ["ForeignKey", "TargetColumn", "TargetTable", "TargetWatch", "Targets"]

_LOOK_S = 1.0
_LOOK_SHARE = 0.02
"""Of the time, at most, goes into looking for what others changed of the target's tables."""
_CASCADING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One column of the target. ``type`` is information_schema's COLUMN_TYPE; ``collation`` is '' where it has none."""

    name: str
    type: str
    generated: bool
    nullable: bool
    has_default: bool
    collation: str
    charset: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of ``table`` on ``parent``; ``cascades`` when a change of the parent changes children by itself."""

    table: tuple[str, str]
    parent: tuple[str, str]
    cascades: bool
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetTable:
    """One table of the target. Keys are tuples of lower-case column names."""

    schema: str
    name: str
    columns: tuple[TargetColumn, ...]
    primary_key: tuple[str, ...]
    unique_keys: tuple[tuple[str, ...], ...]
    """The other unique keys; one over an expression or a column's prefix is in ``opaque_unique`` instead."""
    opaque_unique: bool
    not_null_unique: tuple[str, ...]
    """A unique key without NULLs, for tables without a primary key; () if there is none."""
    parents: tuple[ForeignKey, ...]
    children: tuple[ForeignKey, ...]
    triggers: tuple[str, ...] = ()
    """Names of triggers that are not guarded: they would act on replicated rows, whose effects arrive by themselves."""
    engine: str = ""
    flavor: str = FLAVOR_MYSQL
    """Of the target's server."""
    row_end: str = ""
    """Of a system-versioned table: the lower-case name of the column that tells when a row ended."""

    @property
    def quoted(self) -> str:
        """``schema``.``table``, quoted."""
        return qualified(self.schema, self.name)

    @property
    def identity(self) -> tuple[str, ...]:
        """The key by which rows are found: primary key, else a unique key without NULLs, else ()."""
        return self.primary_key or self.not_null_unique

    def column(self, name: str) -> TargetColumn | None:
        """The column of that name, as the server compares names."""
        folded = name.lower()
        return next((c for c in self.columns if c.name.lower() == folded), None)


class Targets:
    """Looks tables up; asks the server once for each."""

    def __init__(self, settings: dict[str, Any], site: str) -> None:
        self._settings = settings
        self._site = site
        self._connection: Any = None
        self._flavor = FLAVOR_MYSQL
        self._tables: dict[tuple[str, str], TargetTable | None] = {}
        self.version = 0
        """Rises with every ``forget``; plans made with an older one are stale."""

    def forget(self) -> None:
        """Forget all tables: a DDL statement ran."""
        self._tables.clear()
        self.version += 1

    @property
    def known(self) -> dict[tuple[str, str], TargetTable | None]:
        """What is remembered."""
        return dict(self._tables)

    def opened(self) -> int:
        """How many table definitions the server has opened. It does so anew for every statement that changes a table, at the
        latest when the table is used next. Raises DatabaseError."""
        return int(self._query("SHOW GLOBAL STATUS LIKE 'Opened_table_definitions'")[0][1])

    def differ(self, known: Mapping[tuple[str, str], TargetTable | None]) -> bool:
        """Whether a table is another one by now than is known. Raises DatabaseError."""
        return any(self._load(*name) != table for name, table in known.items())

    def find(self, schema: str, table: str) -> TargetTable | None:
        """The table, or None if the target has none of that name. Raises DatabaseError."""
        key = (schema, table)
        if key not in self._tables:
            self._tables[key] = self._load(schema, table)
        return self._tables[key]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _load(self, schema: str, table: str) -> TargetTable | None:
        columns = self._columns(schema, table)
        if not columns:
            return None
        ((engine, table_type),) = self._query(
            "SELECT engine, table_type FROM information_schema.tables WHERE table_schema=%s AND table_name=%s", schema, table
        ) or [("", "")]
        columns, row_end = _versioned(columns, str(table_type))
        primary, unique, opaque = self._keys(schema, table, row_end)
        nullable = {c.name.lower() for c in columns if c.nullable}
        not_null = next((k for k in unique if not nullable & set(k)), ())
        parents, children = self._foreign_keys(schema, table)
        triggers = self._query(
            "SELECT trigger_name, action_statement FROM information_schema.triggers"
            " WHERE event_object_schema=%s AND event_object_table=%s",
            schema,
            table,
        )
        unguarded = tuple([str(name) for name, body in triggers if not is_guarded(_bytes(body))])
        return TargetTable(
            schema,
            table,
            columns,
            primary,
            tuple(unique),
            opaque,
            not_null,
            parents,
            children,
            unguarded,
            str(engine or ""),
            self._flavor,
            row_end,
        )

    def _columns(self, schema: str, table: str) -> tuple[TargetColumn, ...]:
        rows = self._query(
            "SELECT column_name, column_type, extra, is_nullable, column_default, collation_name, character_set_name,"
            " generation_expression FROM information_schema.columns WHERE table_schema=%s AND table_name=%s"
            " ORDER BY ordinal_position",
            schema,
            table,
        )
        found = []
        for name, kind, extra, nullable, default, collation, charset, expression in rows:
            words = str(extra or "").upper()
            # MariaDB's row start and end of system versioning are written by the server alone.
            if str(expression or "").upper() == "ROW END":
                kind = f"{kind} row end"
            generated = bool(expression) or "GENERATED" in words.replace("DEFAULT_GENERATED", "")
            has_default = default is not None or nullable == "YES" or "AUTO_INCREMENT" in words or "DEFAULT_GENERATED" in words
            found.append(
                TargetColumn(
                    str(name), str(kind), generated, nullable == "YES", has_default, str(collation or ""), str(charset or "")
                )
            )
        return tuple(found)

    def _keys(self, schema: str, table: str, row_end: str) -> tuple[tuple[str, ...], list[tuple[str, ...]], bool]:
        rows = self._query(
            "SELECT index_name, column_name, sub_part FROM information_schema.statistics"
            " WHERE table_schema=%s AND table_name=%s AND non_unique=0 ORDER BY index_name, seq_in_index",
            schema,
            table,
        )
        parts: dict[str, list[tuple[str | None, Any]]] = defaultdict(list)
        for index, column, sub_part in rows:
            if not row_end or str(column).lower() != row_end:  # the server adds it to every unique key, for its history
                parts[str(index)].append((None if column is None else str(column).lower(), sub_part))
        primary: tuple[str, ...] = ()
        unique: list[tuple[str, ...]] = []
        opaque = False
        for index, members in parts.items():
            names = tuple([name for name, sub_part in members if name is not None and sub_part is None])
            if len(names) != len(members):
                opaque = True  # over a prefix or an expression: equality of columns does not tell equality of keys
            elif index == "PRIMARY":
                primary = names
            else:
                unique.append(names)
        return primary, unique, opaque

    def _foreign_keys(self, schema: str, table: str) -> tuple[tuple[ForeignKey, ...], tuple[ForeignKey, ...]]:
        select = (
            "SELECT k.constraint_name, k.table_schema, k.table_name, k.referenced_table_schema, k.referenced_table_name,"
            " k.column_name, k.referenced_column_name, r.update_rule, r.delete_rule"
            " FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r"
            " ON r.constraint_schema=k.constraint_schema AND r.constraint_name=k.constraint_name AND r.table_name=k.table_name"
            " WHERE {} ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
        )
        own = self._query(select.format("k.table_schema=%s AND k.table_name=%s"), schema, table)
        others = self._query(select.format("k.referenced_table_schema=%s AND k.referenced_table_name=%s"), schema, table)
        return _group_foreign_keys(own), _group_foreign_keys(others)

    def _query(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        for attempt in (1, 2):
            try:
                if self._connection is None:
                    self._connection = pymysql.connect(
                        **{"connect_timeout": 10, "read_timeout": 60, **self._settings}, charset="utf8mb4", autocommit=True
                    )
                    mariadb = "mariadb" in self._connection.get_server_info().lower()
                    self._flavor = FLAVOR_MARIADB if mariadb else FLAVOR_MYSQL
                    with self._connection.cursor() as cursor:
                        if not mariadb:
                            cursor.execute("SET SESSION information_schema_stats_expiry=0")
                with self._connection.cursor() as cursor:
                    cursor.execute(query, values)
                    return list(cursor.fetchall())
            except pymysql.MySQLError as error:
                self._connection = None
                if attempt == 2 or not isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError):
                    raise DatabaseError(
                        f"cannot read the target's table descriptions: {error}",
                        where=f"site {self._site}",
                        remedy="check that the target's database runs and that the user may SELECT on the replicated tables",
                    ) from error
        raise AssertionError("unreachable")


class TargetWatch:
    """Looks, from a thread of its own, whether somebody else's statement made a remembered table another one.

    With hundreds of tables a look takes seconds, which the applier must not stand still for.
    """

    def __init__(self, targets: Targets, looker: Targets) -> None:
        self._targets = targets
        self._looker = looker  # with a connection of its own
        self._found: int | None = None
        self._error: BaseException | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tables", daemon=True)
        self._thread.start()

    def changed(self) -> bool:
        """Whether it was so since the tables were forgotten last. Raises what the thread met, DatabaseError mostly."""
        if self._error is not None:
            raise self._error
        found, self._found = self._found, None
        return found == self._targets.version

    def close(self) -> None:
        """Stop looking; safe to call twice."""
        self._closed.set()
        self._thread.join(1)

    def _run(self) -> None:
        pause_s, seen = 0.0, -1
        while not self._closed.wait(pause_s):
            began = time.monotonic()
            try:
                # First: what changes behind it, though a table be remembered only then, is looked for the next time.
                opened = self._looker.opened()
                version = self._targets.version
                if opened != seen and self._looker.differ(self._targets.known):
                    self._found = version
                seen = opened
            except BaseException as error:  # noqa: BLE001  (raised by ``changed``)
                self._error = error
                break
            pause_s = max(_LOOK_S, (time.monotonic() - began) / _LOOK_SHARE)
        self._looker.close()


def _versioned(columns: tuple[TargetColumn, ...], table_type: str) -> tuple[tuple[TargetColumn, ...], str]:
    """With the columns of a system-versioned table that information_schema hides, and the name of its row end."""
    explicit = next((c.name.lower() for c in columns if c.generated and c.type.endswith(" row end")), "")
    if explicit or table_type != "SYSTEM VERSIONED":
        return columns, explicit
    hidden = [TargetColumn(name, "timestamp(6)", True, False, True, "", "") for name in ("row_start", "row_end")]
    return (*columns, *hidden), "row_end"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _group_foreign_keys(rows: list[tuple[Any, ...]]) -> tuple[ForeignKey, ...]:
    grouped: dict[tuple[str, str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[(str(row[1]), str(row[2]), str(row[0]))].append(row)
    return tuple(
        ForeignKey(
            (str(members[0][1]), str(members[0][2])),
            (str(members[0][3]), str(members[0][4])),
            str(members[0][7]) in _CASCADING or str(members[0][8]) in _CASCADING,
            tuple([str(m[5]).lower() for m in members]),
            tuple([str(m[6]).lower() for m in members]),
        )
        for members in grouped.values()
    )
