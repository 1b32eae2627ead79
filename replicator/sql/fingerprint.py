"""What a DDL statement touches at the target, as questions to information_schema and one short text of their answers.

Taken before the statement and stored with its intent, it tells after a crash whether the statement took effect. Pure: the
caller runs the queries, in any character set and SQL mode.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import DecodeError
from ..model import FLAVOR_MYSQL
from .statement import Statement
from .statement import StatementClass as C

__all__ = ["Fingerprint", "FingerprintQuery", "fingerprint", "fingerprint_queries"]

Part = Literal["exists", "structure", "identity"]


@dataclass(frozen=True, slots=True)
class FingerprintQuery:
    """One question to the target. A ``refusable`` one fails with 1227 without the PROCESS privilege: its answer is None.

    Where the answer about ``exists`` has no rows, those about the object's structure have none either.
    """

    object: str
    part: Part
    sql: bytes
    refusable: bool = False


_COLUMNS = (
    "COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA,"
    " COLUMN_COMMENT, GENERATION_EXPRESSION"
)
_INDEXES = "INDEX_NAME, SEQ_IN_INDEX, NON_UNIQUE, COLUMN_NAME, COLLATION, SUB_PART, INDEX_TYPE, INDEX_COMMENT"
_PARTITIONS = (
    "PARTITION_NAME, SUBPARTITION_NAME, PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION, PARTITION_METHOD,"
    " SUBPARTITION_METHOD, PARTITION_EXPRESSION, SUBPARTITION_EXPRESSION, PARTITION_DESCRIPTION, PARTITION_COMMENT"
)


def fingerprint_queries(statement: Statement, flavor: str) -> list[FingerprintQuery]:
    """What to ask the target before the statement and after a crash; ``flavor`` is the target's.

    ``statement`` is the one that runs there, with mapped names. Not for kinds of which no fingerprint is needed: then empty.
    """
    queries: list[FingerprintQuery] = []
    changed = [t for t in statement.tables if t.role in ("target", "new_name")]
    for schema, table in dict.fromkeys((t.schema, t.table) for t in changed):
        queries += _table_queries(schema, table, flavor, identity=_moves(statement))
    for name in statement.schemas:
        where = f"SCHEMA_NAME = {_literal(name)}"
        queries.append(_query(name, "exists", "SCHEMATA", "SCHEMA_NAME", where, "SCHEMA_NAME"))
    if statement.object is not None:
        queries.append(_object_query(statement))
    return queries


def _moves(statement: Statement) -> bool:
    """Whether only InnoDB's numbers may tell that it ran. They are looked for among those of all tables, which takes long."""
    empties = C.TRUNCATE in statement.classes  # a partition too
    return empties or statement.kind == "RENAME TABLE" or "EXCHANGE PARTITION" in statement.actions


def _table_queries(schema: str, table: str, flavor: str, *, identity: bool) -> list[FingerprintQuery]:
    key = json.dumps([schema, table])
    own = f"TABLE_SCHEMA = {_literal(schema)} AND TABLE_NAME = {_literal(table)}"
    mysql = flavor == FLAVOR_MYSQL
    shown = ", SRS_ID" if mysql else ""
    indexed = ", IS_VISIBLE, EXPRESSION" if mysql else ", IGNORED"
    tables = "TABLE_TYPE, ENGINE, ROW_FORMAT, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT"
    columns = "COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME"
    rules = f"CONSTRAINT_SCHEMA = {_literal(schema)} AND TABLE_NAME = {_literal(table)}"
    questions = [
        _query(key, "exists", "TABLES", "TABLE_NAME", own, "TABLE_NAME"),
        _query(key, "structure", "TABLES", tables, own, "TABLE_NAME"),
        _query(key, "structure", "COLUMNS", _COLUMNS + shown, own, "ORDINAL_POSITION"),
        _query(key, "structure", "STATISTICS", _INDEXES + indexed, own, "INDEX_NAME, SEQ_IN_INDEX"),
        _query(key, "structure", "PARTITIONS", _PARTITIONS, own, "PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION"),
        _query(
            key,
            "structure",
            "KEY_COLUMN_USAGE",
            f"CONSTRAINT_NAME, ORDINAL_POSITION, {columns}",
            own,
            "CONSTRAINT_NAME, ORDINAL_POSITION, COLUMN_NAME",
        ),
        _query(
            key,
            "structure",
            "REFERENTIAL_CONSTRAINTS",
            "CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE",
            rules,
            "CONSTRAINT_NAME",
        ),
        _check_query(key, schema, table, mysql),
        _query(key, "structure", "VIEWS", "VIEW_DEFINITION, CHECK_OPTION, DEFINER, SECURITY_TYPE", own, "TABLE_NAME"),
    ]
    number = _identity_query(key, schema, table, mysql) if identity else None
    return questions if number is None else [*questions, number]


def _check_query(key: str, schema: str, table: str, mysql: bool) -> FingerprintQuery:
    if not mysql:
        where = f"CONSTRAINT_SCHEMA = {_literal(schema)} AND TABLE_NAME = {_literal(table)}"
        return _query(key, "structure", "CHECK_CONSTRAINTS", "CONSTRAINT_NAME, CHECK_CLAUSE", where, "CONSTRAINT_NAME")
    sql = (
        "SELECT c.CONSTRAINT_NAME, c.CHECK_CLAUSE, t.ENFORCED FROM information_schema.TABLE_CONSTRAINTS t"
        " JOIN information_schema.CHECK_CONSTRAINTS c USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME)"
        f" WHERE t.TABLE_SCHEMA = {_literal(schema)} AND t.TABLE_NAME = {_literal(table)} ORDER BY c.CONSTRAINT_NAME"
    )
    return FingerprintQuery(key, "structure", sql.encode())


def _identity_query(key: str, schema: str, table: str, mysql: bool) -> FingerprintQuery | None:
    """InnoDB's own numbers of the table and its partitions: they go with the data when names are changed."""
    try:
        name = f"{_file_name(schema)}/{_file_name(table)}"
    except DecodeError:
        return None
    source = "INNODB_TABLES" if mysql else "INNODB_SYS_TABLES"
    like = name.replace("_", "|_") + "#p#%"
    sql = (
        f"SELECT NAME, TABLE_ID FROM information_schema.{source}"
        f" WHERE NAME = {_literal(name)} OR NAME LIKE {_literal(like)} ESCAPE '|' ORDER BY NAME"
    )
    return FingerprintQuery(key, "identity", sql.encode(), refusable=True)


def _file_name(name: str) -> str:
    """A name as InnoDB writes it; only for ASCII, the rest has no simple rule."""
    if not name.isascii():
        raise DecodeError("no file name for characters outside of ASCII")
    return "".join(c if c.isalnum() or c == "_" else f"@{ord(c):04x}" for c in name)


def _object_query(statement: Statement) -> FingerprintQuery:
    assert statement.object is not None
    schema, name = _literal(statement.object.schema), _literal(statement.object.name)
    key = json.dumps([statement.object.schema, statement.object.name, statement.cls.value])
    if statement.cls is C.TRIGGER:
        where = f"TRIGGER_SCHEMA = {schema} AND TRIGGER_NAME = {name}"
        return _query(key, "exists", "TRIGGERS", "TRIGGER_NAME, CREATED, ACTION_STATEMENT", where, "TRIGGER_NAME")
    if statement.cls is C.EVENT:
        where = f"EVENT_SCHEMA = {schema} AND EVENT_NAME = {name}"
        return _query(key, "exists", "EVENTS", "EVENT_NAME, CREATED, LAST_ALTERED", where, "EVENT_NAME")
    where = f"ROUTINE_SCHEMA = {schema} AND ROUTINE_NAME = {name}"
    kind = statement.kind.split(" ", 1)[1]
    if kind in ("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY"):
        where += f" AND ROUTINE_TYPE = {_literal(kind)}"
    return _query(key, "exists", "ROUTINES", "ROUTINE_NAME, CREATED, LAST_ALTERED", where, "ROUTINE_NAME")


def _query(key: str, part: Part, table: str, columns: str, where: str, order: str) -> FingerprintQuery:
    sql = f"SELECT {columns} FROM information_schema.{table} WHERE {where} ORDER BY {order}"
    return FingerprintQuery(key, part, sql.encode())


def _literal(text: str) -> str:
    """A string that reads the same whatever the session's character set, SQL mode and collation are."""
    return f"_utf8mb4 x'{text.encode().hex()}'"


def fingerprint(queries: Sequence[FingerprintQuery], answers: Sequence[Sequence[Sequence[Any]] | None]) -> str:
    """The answers (rows, in the order of the queries; None where refused) as text to store in the intent. Short."""
    known: dict[str, dict[str, str]] = {}
    for query, rows in zip(queries, answers, strict=True):
        parts = known.setdefault(query.object, {})
        if query.part == "identity" and not rows:
            continue  # refused, or no InnoDB table: unknown
        if query.part == "exists":
            parts["exists"] = "yes" if rows else "no"
        digest = hashlib.sha256(_canonical(rows or ())).hexdigest()[:24]
        part = "structure" if query.part == "exists" else query.part
        parts[part] = hashlib.sha256((parts.get(part, "") + digest).encode()).hexdigest()[:24]
    return json.dumps(known, ensure_ascii=False, sort_keys=True)


def _canonical(rows: Sequence[Sequence[Any]]) -> bytes:
    plain = [[v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else v for v in row] for row in rows]
    return json.dumps(plain, default=str).encode()


class Fingerprint:
    """A fingerprint that was read back."""

    def __init__(self, text: str) -> None:
        self._known: dict[str, dict[str, str]] = json.loads(text)

    def exists(self, schema: str, table: str) -> bool:
        return self._known.get(json.dumps([schema, table]), {}).get("exists") == "yes"

    def identity(self, schema: str, table: str) -> str:
        return self._known.get(json.dumps([schema, table]), {}).get("identity", "")

    def any_exists(self) -> bool:
        return any(parts.get("exists") == "yes" for parts in self._known.values())

    def structures(self) -> dict[str, str]:
        return {key: parts.get("structure", "") for key, parts in self._known.items()}
