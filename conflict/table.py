"""What a policy has to know of a table, so that it can be checked when it is loaded rather than when it is needed."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["ColumnInfo", "ColumnKind", "TableInfo", "TableName"]

TableName = tuple[str, str]
"""Schema and table."""


class ColumnKind(enum.StrEnum):
    """Families of column types that policies tell apart."""

    INTEGER = "integer"
    """All integer types and YEAR: values are ``int``."""
    DECIMAL = "decimal"
    """DECIMAL: values are ASCII bytes with the column's scale."""
    FLOAT = "float"
    """FLOAT and DOUBLE: values are ``float``."""
    TEMPORAL = "temporal"
    """DATE, DATETIME and TIMESTAMP: values are ASCII bytes, zero-padded, so that they sort as they are."""
    TIME = "time"
    """TIME: ASCII bytes with a sign, so that they do not sort as they are."""
    TEXT = "text"
    BINARY = "binary"
    OTHER = "other"
    """JSON, ENUM, SET, BIT, geometry and the rest: only ever equal or not."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column. ``minimum`` and ``maximum`` bound a number column, and ``scale`` its fraction digits, where they are known."""

    name: str
    kind: ColumnKind
    nullable: bool = True
    generated: bool = False
    minimum: int | Decimal | None = None
    maximum: int | Decimal | None = None
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table: its columns in row order, the ordinals of its identity, and those of each other unique key.

    The identity is the primary key, or what stands for it (a unique key without NULLs, or all columns).
    """

    schema: str
    table: str
    columns: tuple[ColumnInfo, ...]
    key: tuple[int, ...]
    unique_keys: tuple[tuple[int, ...], ...] = ()

    @property
    def name(self) -> TableName:
        """Schema and table."""
        return (self.schema, self.table)

    def ordinal(self, column: str) -> int | None:
        """The place of a column by its name, as MySQL compares names: without regard to case."""
        for i, info in enumerate(self.columns):
            if info.name.casefold() == column.casefold():
                return i
        return None

    def names(self, ordinals: tuple[int, ...]) -> str:
        """The columns' names, for a sentence."""
        return ", ".join([self.columns[i].name for i in ordinals])
