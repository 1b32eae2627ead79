"""Values: exact equality, and the order and arithmetic that ``greatest``, ``least`` and ``delta`` need.

Collations must not hide differences, so bytes compare as bytes. Floats compare by their bits: ``-0.0`` is not ``0.0``, and a
NaN equals itself. Values of different Python types are never equal.
"""

from __future__ import annotations

import decimal
import math
import re
import struct

from .table import ColumnInfo, ColumnKind
from .types import Row

__all__ = ["add_difference", "differing_columns", "holds", "order_key", "same_row", "same_value"]

_EXACT = decimal.Context(prec=130, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])
"""MySQL's DECIMAL has at most 65 digits; sums of three never need more than this, and anything inexact raises."""

_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)")
_TYPES: dict[ColumnKind, type | tuple[type, ...]] = {
    ColumnKind.INTEGER: int,
    ColumnKind.DECIMAL: int,
    ColumnKind.FLOAT: (int, float),
    ColumnKind.OTHER: (int, bytes),
    **dict.fromkeys((ColumnKind.TEMPORAL, ColumnKind.TIME, ColumnKind.TEXT, ColumnKind.BINARY), bytes),
}
"""Of the values of each kind; a DECIMAL may be bytes too."""


def same_value(a: object, b: object) -> bool:
    """Whether two values are the same as stored."""
    if type(a) is not type(b):
        return False
    if type(a) is float and type(b) is float:
        return struct.pack("<d", a) == struct.pack("<d", b)
    return a == b


def same_row(a: Row, b: Row) -> bool:
    """Whether two rows are the same as stored, column by column."""
    return a is b or (len(a) == len(b) and all(map(same_value, a, b)))


def differing_columns(a: Row, b: Row) -> tuple[int, ...]:
    """The ordinals in which two rows of one table differ."""
    return tuple([i for i, (x, y) in enumerate(zip(a, b, strict=True)) if not same_value(x, y)])


def order_key(kind: ColumnKind, value: object) -> tuple[int, int | float | decimal.Decimal | bytes]:
    """A key by which values of one column sort; NULL is below everything. Raises ValueError on a value of another kind."""
    if value is None:
        return (0, 0)
    if kind in (ColumnKind.INTEGER, ColumnKind.FLOAT) and isinstance(value, int | float):
        return (1, value)
    if kind is ColumnKind.DECIMAL and isinstance(value, bytes):
        return (1, _decimal(value))
    if kind is ColumnKind.TIME and isinstance(value, bytes):
        return (1, _time_us(value))
    if kind is ColumnKind.TEMPORAL and isinstance(value, bytes):
        return (1, value)  # zero-padded, most significant part first: bytes sort as times do
    raise ValueError(f"a {type(value).__name__} has no order in a {kind} column")


def add_difference(kind: ColumnKind, current: object, before: object, after: object) -> object:
    """``current + (after - before)``, exactly; a DECIMAL keeps its scale. Raises ValueError where there is none."""
    if kind is ColumnKind.INTEGER:
        if not (isinstance(current, int) and isinstance(before, int) and isinstance(after, int)):
            raise ValueError("a difference needs three integers, and one of them is NULL or of another type")
        return current + (after - before)
    if kind is ColumnKind.DECIMAL:
        if not (isinstance(current, bytes) and isinstance(before, bytes) and isinstance(after, bytes)):
            raise ValueError("a difference needs three decimals, and one of them is NULL or of another type")
        step = _EXACT.subtract(_decimal(after), _decimal(before))
        total = _EXACT.add(_decimal(current), step)
        return format(total if total else abs(total), "f").encode()
    raise ValueError(f"a {kind} column has no exact difference")


def holds(column: ColumnInfo, value: object) -> bool:
    """Whether a value is of the column's kind, and a number in its range. NULL is."""
    if value is None:
        return True
    number: object = value
    if column.kind is ColumnKind.DECIMAL and isinstance(value, bytes):
        if _DECIMAL.fullmatch(value) is None:
            return False
        number = _decimal(value)
        if column.scale is not None and len(value.partition(b".")[2]) > column.scale:
            return False
    elif not isinstance(value, _TYPES[column.kind]) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    if not isinstance(number, int | decimal.Decimal):
        return True
    return (column.minimum is None or number >= column.minimum) and (column.maximum is None or number <= column.maximum)


def _decimal(value: bytes) -> decimal.Decimal:
    try:
        number = decimal.Decimal(value.decode("ascii"))
    except (UnicodeDecodeError, decimal.InvalidOperation):
        raise ValueError(f"not a decimal number: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a decimal number: {value!r}")
    return number


def _time_us(value: bytes) -> int:
    """A TIME, ``[-]hhh:mm:ss[.ffffff]``, in microseconds."""
    text = value.decode("ascii", "replace")
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    parts = whole.split(":")
    if len(parts) != 3 or not all(p.isdigit() for p in parts) or (fraction and not fraction.isdigit()):
        raise ValueError(f"not a time: {value!r}")
    hours, minutes, seconds = (int(p) for p in parts)
    return sign * (((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or "0"))
