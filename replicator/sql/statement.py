"""What a statement is, once classified: its class, the tables it touches and in which role."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Literal

from .tokens import Syntax

__all__ = ["ObjectRef", "Statement", "StatementClass", "TableRef", "TableRole"]

TableRole = Literal["target", "new_name", "like", "source", "references"]
"""``target``: changed or created; ``new_name``: the name it has afterwards; ``like``: the pattern of CREATE TABLE … LIKE;
``source``: read by a query; ``references``: the parent of a foreign key."""


class StatementClass(enum.StrEnum):
    """The classes of the policy ``ddl:``, and those that no policy applies to."""

    CREATE = "create"
    ALTER = "alter"
    DROP = "drop"
    RENAME = "rename"
    TRUNCATE = "truncate"
    INDEX = "index"
    VIEW = "view"
    TRIGGER = "trigger"
    ROUTINE = "routine"
    EVENT = "event"
    DATABASE = "database"
    PARTITION = "partition"
    SEQUENCE = "sequence"
    SERVER = "server"  # tablespaces, servers, resource groups, reference systems, loadable functions
    USER = "user"
    ADMIN = "admin"
    TEMPORARY = "temporary"
    DML = "dml"
    TRANSACTION = "transaction"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table (or view, or sequence: they share names) that the statement names."""

    schema: str
    table: str
    role: TableRole
    start: int = field(default=-1, compare=False)
    """Where the name stands in the text, with its schema if given; in bytes."""
    end: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A trigger, routine, event or package: what is no table, but lives in a schema."""

    schema: str
    name: str
    start: int = field(default=-1, compare=False)
    end: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Statement:
    """One classified statement."""

    cls: StatementClass
    kind: str
    """The words that make the statement, in capitals: ``ALTER TABLE``; for logs and errors."""
    text: bytes = field(repr=False)
    default_schema: str
    syntax: Syntax = field(repr=False)
    tables: tuple[TableRef, ...] = ()
    schemas: tuple[str, ...] = ()
    """The databases that a CREATE, ALTER or DROP DATABASE means."""
    object: ObjectRef | None = None
    if_exists: bool = False
    """It says IF EXISTS or IF NOT EXISTS."""
    destructive: bool = False
    """It removes rows, or values of rows, for certain."""
    also: frozenset[StatementClass] = frozenset()
    """Further classes that it belongs to: the strictest policy of all counts. An ALTER TABLE that renames is also
    ``rename``; whatever drops tables or partitions is also ``drop``."""
    unrepeatable: str = ""
    """Why running the same text at another server cannot have the same effect; empty if it can."""
    actions: tuple[str, ...] = ()
    """What an ALTER TABLE does, in order, as ``ADD COLUMN``; an index or constraint without a name is ``ADD UNNAMED``."""
    body: int = -1
    """Where the body of a CREATE TRIGGER begins, in bytes."""
    reason: str = ""
    """Why it is unknown."""

    @property
    def classes(self) -> frozenset[StatementClass]:
        """All its classes."""
        return self.also | {self.cls}

    def named(self, *roles: TableRole) -> tuple[tuple[str, str], ...]:
        """The (schema, table) pairs of these roles, in the order of the text."""
        return tuple((t.schema, t.table) for t in self.tables if t.role in roles)
