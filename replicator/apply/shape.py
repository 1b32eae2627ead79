"""A plan's rows as ``conflict`` sees them: values of the written columns, and back to SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache

from conflict.stamps import Register
from conflict.table import ColumnInfo, ColumnKind, TableInfo
from conflict.types import Change as RowChange
from conflict.types import Row, key_of
from conflict.values import same_value

from ..row.charsets import charset_name
from ..row.convert import key_literal, literal_of_value, text_of_value, value_of_text
from ..row.types import Column, Type
from .batch import Change
from .collate import fold_of
from .plan import Image, TablePlan, quote

__all__ = ["Shape", "shape_of"]

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_NUMBER = re.compile(r"([a-z]+)(?:\((\d+)(?:,(\d+))?\))?")
_KINDS = {
    **dict.fromkeys((Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG), ColumnKind.INTEGER),
    Type.YEAR: ColumnKind.INTEGER,
    Type.DECIMAL: ColumnKind.DECIMAL,
    Type.FLOAT: ColumnKind.FLOAT,
    Type.DOUBLE: ColumnKind.FLOAT,
    Type.DATE: ColumnKind.TEMPORAL,
    Type.DATETIME: ColumnKind.TEMPORAL,
    Type.TIMESTAMP: ColumnKind.TEMPORAL,
    Type.TIME: ColumnKind.TIME,
}
_TEXTS = frozenset(
    {Type.VARCHAR, Type.VAR_STRING, Type.STRING, Type.TINY_BLOB, Type.MEDIUM_BLOB, Type.LONG_BLOB, Type.BLOB}
)
_BINARY_CHARSET = 63


class Shape:
    """One plan's columns, keys and conversions. Rows are tuples of values of the written columns, in their order."""

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.name = f"{plan.target.schema}.{plan.target.name}"
        self._columns = [plan.map.columns[i] for i in plan.written]
        place = {ordinal: at for at, ordinal in enumerate(plan.written)}
        self._place = place
        self._key = tuple([place[i] for i in plan.identity if i in place])
        uniques = [tuple([place[i] for i in key]) for key in plan.uniques if all(i in place for i in key)]
        self.info = TableInfo(
            plan.map.schema,
            plan.map.table,
            tuple([_column_info(plan, c) for c in self._columns]),
            self._key or tuple(range(len(self._columns))),
            tuple(uniques),
        )
        self._folds = [_fold_of(plan, column) for column in self._columns]
        self.key_names = "key (" + ", ".join([self._columns[i].name for i in self._key]) + ")" if self._key else "no key"

    def register(self, ordinals: Sequence[int], row: Row) -> Register:
        """A key, by its columns' ordinals in the table map, with its values in a row: where its last writer is remembered."""
        places = self.places(ordinals)
        return places, key_of(row, places)

    def places(self, ordinals: Sequence[int]) -> tuple[int, ...]:
        """Where columns, by their ordinals in the table map, are in a row of values."""
        return tuple([self._place[i] for i in ordinals])

    def folded(self, register: Register) -> Row:
        """A key's values so that spellings which the target's collation takes for one key are one."""
        places, values = register
        folds = [self._folds[at] for at in places]
        if not any(folds):
            return values
        return tuple([fold(v) if fold and isinstance(v, bytes) else v for fold, v in zip(folds, values, strict=True)])

    def values(self, texts: Image | None) -> Row | None:
        """The values of a text image of the table map."""
        if texts is None:
            return None
        return tuple([value_of_text(c, texts[i]) for i, c in zip(self.plan.written, self._columns, strict=True)])

    def values_of_row(self, texts: Sequence[bytes | None]) -> Row:
        """The values of a row that the plan's SELECT read; of a table without columns to write, it reads a NULL."""
        return tuple([value_of_text(c, text) for c, text in zip(self._columns, texts[: len(self._columns)], strict=True)])

    def where_row_key(self, row: Row) -> bytes:
        """``key=…`` of a row given as values."""
        parts = []
        flavor = self.plan.target.flavor
        for at in self._key:
            column = self._columns[at]
            parts.append(b"%b=%b" % (quote(column.name), key_literal(column, literal_of_value(column, row[at]), flavor)))
        return b" AND ".join(parts)

    def where_row(self, row: Row) -> bytes:
        """Exact equality of every written column with a row given as values."""
        texts: list[bytes | None] = [None] * len(self.plan.map.columns)
        for ordinal, column, value in zip(self.plan.written, self._columns, row, strict=True):
            texts[ordinal] = text_of_value(column, value)
        return self.plan.where_row(tuple(texts))

    def literals(self, change: Change, row_change: RowChange, row: Row, current: Row | None = None) -> Image:
        """A row to write, as a literal image of the table map; the change's own literals where it is its after image.

        A merged row takes of ``current``, which it is written over, each column that is the same as it is: a value's literal
        does not tell all of a JSON document, nor characters that the origin's set has not.
        """
        after = row_change.after
        if row is after and change.after is not None:
            return change.after
        image: list[bytes] = [b"DEFAULT"] * len(self.plan.map.columns)
        for at, (ordinal, column, value) in enumerate(zip(self.plan.written, self._columns, row, strict=True)):
            # Named, and not left out: the server would set a column that is ON UPDATE CURRENT_TIMESTAMP.
            if current is not None and same_value(value, current[at]) and not (column.type == Type.ENUM and value == 0):
                image[ordinal] = quote(column.name)
            elif after is not None and change.after is not None and same_value(value, after[at]):
                image[ordinal] = change.after[ordinal]
            else:
                image[ordinal] = literal_of_value(column, value)
        return tuple(image)

    def key_values(self, row: Row) -> list[object]:
        """The values of a row's key, or of the whole row where the table has none."""
        return [row[at] for at in self.info.key]

    @property
    def column_names(self) -> list[str]:
        """The names of the written columns."""
        return [c.name for c in self._columns]


@lru_cache(maxsize=4096)
def shape_of(plan: TablePlan) -> Shape:
    """The shape of a plan, made once."""
    return Shape(plan)


def _fold_of(plan: TablePlan, column: Column) -> Callable[[bytes], object] | None:
    there = plan.target.column(column.name)
    charset = charset_name(column.charset) if column.charset != _BINARY_CHARSET else None
    if column.type not in _TEXTS or there is None or not there.collation or charset is None:
        return None
    return fold_of(charset, there.collation)


def _column_info(plan: TablePlan, column: Column) -> ColumnInfo:
    kind = _KINDS.get(Type(column.type), ColumnKind.OTHER)
    if column.type in _TEXTS:
        kind = ColumnKind.BINARY if column.charset == _BINARY_CHARSET else ColumnKind.TEXT
    there = plan.target.column(column.name)
    low, high, scale = _bounds(there.type if there is not None else "")
    return ColumnInfo(column.name, kind, nullable=column.nullable, minimum=low, maximum=high, scale=scale)


def _bounds(column_type: str) -> tuple[int | Decimal | None, int | Decimal | None, int | None]:
    """The least and greatest number that a column of that COLUMN_TYPE holds, and its fraction digits; None of other types."""
    found = _NUMBER.match(column_type.lower())
    unsigned = "unsigned" in column_type.lower()
    if found and found[1] in _BITS:
        bits = _BITS[found[1]]
        return (0, 2**bits - 1, 0) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0)
    if found and found[1] == "year":
        return 0, 2155, 0
    if found and found[1] == "decimal":
        precision, scale = int(found[2] or 10), int(found[3] or 0)
        nines = (9,) * precision
        return 0 if unsigned else Decimal((1, nines, -scale)), Decimal((0, nines, -scale)), scale
    return None, None, None
