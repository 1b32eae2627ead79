"""Statements in the binlog: which are shipped, which mean nothing to the flow, and which stop it.

| statement | what happens |
|---|---|
| DDL on tables, views, triggers | shipped if all it changes is wanted, dropped if nothing is; both at once stops |
| CREATE, ALTER, DROP DATABASE; routines, events | shipped if the filter covers the whole database |
| DROP DATABASE of one of which only some tables are wanted | stops |
| accounts, grants, administration, server objects, temporary tables | dropped |
| rows changed by a statement (INSERT, UPDATE, ...) | stops, unless it is known to touch unwanted tables only |
| DROP TRIGGER, which does not name its table | shipped if any table of its database may be wanted |
| what cannot be classified | stops |

What a shipped statement does at the target is the applier's decision (``ddl`` of the pair).
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import DecodeError, SourceError
from ..filter import TableFilter
from ..model import FLAVOR_MARIADB
from ..sql.classify import Statement, StatementClass, classify_with
from ..stream.query import Query, parse_query

__all__ = ["DROPPED", "Statements"]

C = StatementClass
DROPPED = frozenset({C.USER, C.ADMIN, C.SERVER, C.TEMPORARY})
"""Classes of statements that mean nothing to a flow."""
_OF_SCHEMA = frozenset({C.ROUTINE, C.EVENT})
_ROW_FORMAT = (
    "set binlog_format=ROW at the origin, for every session; do at the target what it did, and start the stream anew behind it "
    "(docs/WHAT-IF.md)"
)

_BY_TRANSACTION = (
    "; a table versioned by transaction (its ROW START is a BIGINT) is logged so in any format: exclude it from the pair's tables"
)


class Statements:
    """Judges the statements of one flow's origin.

    ``version`` is the origin's as versioned comments write it (8.0.31 is 80031); ``lower_names``: it stores names in lower
    case.
    """

    def __init__(self, tables: TableFilter, *, flavor: str, version: int, lower_names: bool) -> None:
        self._tables = tables
        self._flavor = flavor
        self._version = version
        self._lower_names = lower_names

    def ships(self, payload: bytes, where: str) -> bool:
        """Whether a statement is shipped; ``payload`` as shipped (timestamp in front). Raises SourceError to stop."""
        try:
            query = parse_query(payload, self._flavor)
            syntax = replace(query.syntax(), version=self._version, lower_names=self._lower_names)
        except DecodeError as error:
            raise SourceError(error.what, where=where, remedy=error.remedy) from error
        statement = classify_with(query.statement, syntax, query.schema)
        if statement.cls in DROPPED:
            return False
        if statement.cls is C.DATABASE:
            return self._database(statement, where)
        if statement.cls in _OF_SCHEMA:
            schema = statement.object.schema if statement.object else query.schema
            return self._tables.wants_schema(schema)
        if statement.cls is C.DML:
            return self._dml(statement, where)
        if statement.cls in (C.UNKNOWN, C.TRANSACTION):
            raise SourceError(
                f"the binlog holds a statement that cannot be classified ({statement.reason or statement.kind or 'no words'}): "
                + _beginning(query),
                where=where,
                remedy="report it; to go on, do by hand at the target what it does, and start the stream anew behind it",
            )
        return self._tables_of(statement, query, where)

    def _database(self, statement: Statement, where: str) -> bool:
        wanted = [name for name in statement.schemas if self._tables.wants_schema(name)]
        if wanted:
            return True
        for name in statement.schemas:
            if statement.destructive and self._tables.may_want_in(name):
                raise SourceError(
                    f"{statement.kind} {name} drops tables that the flow carries and others that it does not",
                    where=where,
                    remedy=f"drop the flow's tables of {name} at the target by hand, and start the stream anew behind it; or "
                    f"include {name}.* in the pair's tables",
                )
        return False

    def _dml(self, statement: Statement, where: str) -> bool:
        changed = statement.named("target", "new_name")
        if changed and not any(self._tables.wants(*table) for table in changed):
            return False
        tables = f" of {', '.join([f'{s}.{t}' for s, t in changed])}" if changed else ""
        raise SourceError(
            f"the binlog holds a {statement.kind or 'data-changing'} statement instead of rows{tables}",
            where=where,
            remedy=_ROW_FORMAT + (_BY_TRANSACTION if self._flavor == FLAVOR_MARIADB else ""),
        )

    def _tables_of(self, statement: Statement, query: Query, where: str) -> bool:
        changed = statement.named("target", "new_name")
        if not changed and statement.cls is C.TRIGGER and statement.object is not None:
            return self._tables.may_want_in(statement.object.schema)  # DROP TRIGGER does not name the table
        if not changed:
            raise SourceError(
                f"the binlog holds a {statement.kind} statement whose tables are not known: {_beginning(query)}",
                where=where,
                remedy="report it; to go on, do by hand at the target what it does, and start the stream anew behind it",
            )
        wanted = [table for table in changed if self._tables.wants(*table)]
        if wanted and len(wanted) < len(changed):
            others = ", ".join(f"{s}.{t}" for s, t in changed if (s, t) not in wanted)
            raise SourceError(
                f"a {statement.kind} names tables that the flow carries and others that it does not: {others}",
                where=where,
                remedy="do by hand at the target what it does to the flow's tables, and start the stream anew behind it; or "
                "change the pair's tables so that it carries all of them or none",
            )
        return bool(wanted)


def _beginning(query: Query) -> str:
    """The statement's first words: enough to find it, no values."""
    words = query.statement[:200].decode("utf-8", "replace").split()
    return " ".join(words[:3])
