"""Random schemas and random work on them, as SQL, for Hypothesis: what ``make fuzz`` sends through the real pipeline.

``scripts(flavor)`` draws a ``Script``: statements for one session in a database of their own. Statements may fail at the
origin (a duplicate key, a value that does not fit); what counts is only that the target holds what the origin holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.generate_columns import Column, columns

__all__ = ["COMMON", "Script", "scripts"]

COMMON = "common"
"""In place of a flavor: only what MySQL and MariaDB both have."""


@dataclass(frozen=True, slots=True)
class Script:
    """What to run."""

    statements: tuple[str, ...]
    sql_mode: str
    settings: tuple[str, ...] = ()
    """Other variables of the session, as SET takes them."""

    def __repr__(self) -> str:
        return "Script:\n" + "\n".join(f"  {statement};" for statement in self.statements)


_SETTINGS = {
    "mysql": ("binlog_row_value_options = PARTIAL_JSON", "binlog_transaction_compression = ON"),
    "mariadb": ("system_versioning_alter_history = KEEP",),
}
_SETTINGS["mysql97"] = _SETTINGS["mysql"]
_ID = Column("id", "INT AUTO_INCREMENT", st.integers(0, 15).map(str), "id")
_PARENT = Column("parent", "INT", st.integers(1, 15).map(str), "parent")


class Table:
    """A table as the script knows it: the columns may change by ALTER."""

    def __init__(self, draw: st.DrawFn, name: str, flavor: str, others: Sequence[Table] = ()) -> None:
        self.draw = draw
        self.name = name
        self.flavor = flavor
        self.columns = [draw(columns(f"c{i}", flavor)) for i in range(draw(st.integers(1, 6)))]
        self._next = len(self.columns)
        self._style = draw(st.sampled_from(["auto", "auto", "natural", "unique", "none"]))
        parents = [table for table in (*others, self) if table._style == "auto"]
        self._parent = draw(st.sampled_from(parents)) if parents and draw(st.integers(0, 2)) == 0 else None

    def _written(self) -> list[Column]:
        """The columns that a statement gives values for."""
        written = [*self.columns, _PARENT] if self._parent else list(self.columns)
        return [_ID, *written] if self._style == "auto" and self.draw(st.integers(0, 3)) == 0 else written

    def create(self) -> str:
        """CREATE TABLE with a key or without."""
        draw, parts = self.draw, []
        keyable = [c for c in self.columns if c.key]
        style = self._style
        primary: list[Column] = []
        if style == "natural" and keyable:
            primary = draw(st.lists(st.sampled_from(keyable), min_size=1, max_size=2, unique_by=lambda c: c.name))
        if style == "auto":
            parts.append("id INT AUTO_INCREMENT PRIMARY KEY")
        for column in self.columns:
            parts.append(f"{column.name} {column.ddl}{' NOT NULL' if column in primary and ' NULL' not in column.ddl else ''}")
        if primary:
            parts.append("PRIMARY KEY (" + ", ".join(c.key for c in primary) + ")")
        if style == "unique" and keyable:
            parts.append(f"UNIQUE KEY u1 ({draw(st.sampled_from(keyable)).key})")
        for n in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))) if keyable else ():
            chosen = draw(st.lists(st.sampled_from(keyable), min_size=1, max_size=2, unique_by=lambda c: c.name))
            parts.append(f"UNIQUE KEY u{n + 2} (" + ", ".join(c.key for c in chosen) + ")")
        if keyable and draw(st.booleans()):
            parts.append(f"KEY k1 ({draw(st.sampled_from(keyable)).key})")
        if draw(st.integers(0, 3)) == 0 and self.flavor != COMMON:  # MariaDB takes fewer expressions
            stored = draw(st.sampled_from(["STORED", "VIRTUAL"]))
            parts.append(f"g1 INT AS (LENGTH(COALESCE(HEX({self.columns[0].name}), ''))) {stored}")
        if self._parent:
            parts += ["parent INT", f"FOREIGN KEY (parent) REFERENCES {self._parent.name} (id) {self._reactions()}"]
        versioned = self.flavor == "mariadb" and not self._parent and draw(st.integers(0, 7)) == 0
        return f"CREATE TABLE {self.name} (" + ", ".join(parts) + ")" + (" WITH SYSTEM VERSIONING" if versioned else "")

    def _reactions(self) -> str:
        reaction = st.sampled_from(["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
        return f"ON DELETE {self.draw(reaction)} ON UPDATE {'RESTRICT' if self._parent is self else self.draw(reaction)}"

    def value(self, column: Column) -> str:
        """A literal, sometimes NULL."""
        if self.draw(st.integers(0, 6)) == 0:
            return "NULL"
        literal = self.draw(column.literal)
        if self.flavor == COMMON and (literal == "-0.0e0" or literal.endswith("e+308")):
            return "0e0"  # MariaDB has no minus zero; and MySQL rounds the largest to infinity when it prints them
        return literal

    def change(self) -> str:
        """One statement that changes rows."""
        draw, written = self.draw, self._written()
        names = ", ".join(c.name for c in written)
        kind = draw(st.sampled_from(["insert", "insert", "insert", "ignore", "replace", "update", "update", "delete", "copy"]))
        if kind in ("insert", "ignore", "replace"):
            rows = ["(" + ", ".join(self.value(c) for c in written) + ")" for _ in range(draw(st.integers(1, 6)))]
            verb = {"insert": "INSERT", "ignore": "INSERT IGNORE", "replace": "REPLACE"}[kind]
            return f"{verb} INTO {self.name} ({names}) VALUES " + ", ".join(rows)
        if kind == "copy":
            return f"INSERT IGNORE INTO {self.name} ({names}) SELECT {names} FROM {self.name} LIMIT 3"
        some = f"RAND({draw(st.integers(0, 9))})"  # of a fixed seed, so that a script does the same each time
        where = draw(st.sampled_from(["TRUE", f"{some} < 0.5", f"{some} < 0.2"]))
        if kind == "delete":
            return f"DELETE FROM {self.name} WHERE {where} LIMIT {draw(st.integers(1, 5))}"
        if self._style == "auto" and draw(st.integers(0, 3)) == 0:
            return f"UPDATE {self.name} SET id = id + {draw(st.integers(1, 20))} WHERE {where} ORDER BY id DESC"
        column = draw(st.sampled_from(written))
        if column.ddl == "JSON" and draw(st.booleans()):
            return (
                f"UPDATE {self.name} SET {column.name} = JSON_SET({column.name}, '$.k', {draw(st.integers(0, 9))}) WHERE {where}"
            )
        return f"UPDATE IGNORE {self.name} SET {column.name} = {self.value(column)} WHERE {where}"

    def alter(self) -> str:
        """One statement that changes the table."""
        draw = self.draw
        kind = draw(st.sampled_from(["add", "drop", "rename", "index", "truncate", "table", "retype"]))
        if kind == "add":
            column = draw(columns(f"c{self._next}", self.flavor))
            self._next += 1
            self.columns.append(column)
            place = draw(st.sampled_from(["", " FIRST"]))
            return f"ALTER TABLE {self.name} ADD COLUMN {column.name} {column.ddl}{place}"
        if kind == "drop" and len(self.columns) > 1:
            column = draw(st.sampled_from(self.columns[1:]))
            self.columns.remove(column)
            return f"ALTER TABLE {self.name} DROP COLUMN {column.name}"
        if kind == "rename":
            i = draw(st.integers(0, len(self.columns) - 1))
            old, name = self.columns[i], f"c{self._next}"
            self._next += 1
            self.columns[i] = Column(name, old.ddl, old.literal, old.key.replace(old.name, name))
            return f"ALTER TABLE {self.name} RENAME COLUMN {old.name} TO {name}"
        if kind == "index":
            keyable = [c for c in self.columns if c.key]
            if keyable:
                return f"CREATE INDEX i{self._next} ON {self.name} ({draw(st.sampled_from(keyable)).key})"
        if kind == "table":
            old_name, self.name = self.name, f"{self.name}r"
            return f"RENAME TABLE {old_name} TO {self.name}"
        if kind == "retype":
            i = draw(st.integers(0, len(self.columns) - 1))
            fresh = draw(columns(self.columns[i].name, self.flavor))
            self.columns[i] = fresh
            return f"ALTER TABLE {self.name} MODIFY COLUMN {fresh.name} {fresh.ddl}"
        return f"TRUNCATE TABLE {self.name}"


@st.composite
def scripts(draw: st.DrawFn, flavor: str) -> Script:
    """Tables, then transactions on them with DDL in between."""
    tables: list[Table] = []
    for i in range(draw(st.integers(1, 3))):
        tables.append(Table(draw, f"t{i}", flavor, tables))
    statements = [table.create() for table in tables]
    prepared: list[str] = []
    for number in range(draw(st.integers(1, 12))):
        table = draw(st.sampled_from(tables))
        if draw(st.integers(0, 4)) == 0:
            statements.append(table.alter())
            continue
        changes = [draw(st.sampled_from(tables)).change() for _ in range(draw(st.integers(1, 6)))]
        if len(changes) > 2 and draw(st.integers(0, 3)) == 0:
            changes = [changes[0], "SAVEPOINT s", *changes[1:-1], "ROLLBACK TO s", changes[-1]]
        if draw(st.integers(0, 6)) == 0:
            statements += _prepared(draw, f"'x{number}'", changes, prepared)
            continue
        end = draw(st.sampled_from(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
        statements += ["START TRANSACTION", *changes, end] if len(changes) > 1 else changes
    statements += [f"XA {draw(st.sampled_from(['COMMIT', 'ROLLBACK']))} {xid}" for xid in prepared]
    mode = draw(st.sampled_from(["", "ALLOW_INVALID_DATES", "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES", "STRICT_ALL_TABLES"]))
    settings = [setting for setting in _SETTINGS.get(flavor, ()) if draw(st.booleans())]
    settings += ["foreign_key_checks = OFF"] if draw(st.integers(0, 5)) == 0 else []
    return Script(tuple(statements), mode, tuple(settings))


def _prepared(draw: st.DrawFn, xid: str, changes: list[str], prepared: list[str]) -> list[str]:
    """An XA transaction. One that is only prepared is added to ``prepared``: others come between, on MySQL in one session."""
    begun = [f"XA START {xid}", *changes, f"XA END {xid}"]
    end = draw(st.sampled_from(["COMMIT", "ROLLBACK", "ONE PHASE", "LATER"]))
    if end == "ONE PHASE":
        return [*begun, f"XA COMMIT {xid} ONE PHASE"]
    if end == "LATER":
        prepared.append(xid)
        return [*begun, f"XA PREPARE {xid}"]
    return [*begun, f"XA PREPARE {xid}", f"XA {end} {xid}"]
