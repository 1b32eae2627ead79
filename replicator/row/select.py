"""The SQL expression that reads a column so that equal texts mean equal values."""

from __future__ import annotations

from .charsets import BINARY
from .types import Column, Type

__all__ = ["select_expr"]

_ZEROFILL = frozenset({Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG})
_ADDRESS_BYTES = (4, 16)


def select_expr(column: Column, quoted_name: str) -> str:
    """An expression over ``quoted_name`` whose result, by the text protocol, is the value's *text*.

    The session must have ``SET NAMES binary`` and ``time_zone='+00:00'``. Plain columns would lose digits of FLOAT and of
    DOUBLE(M,D), and print what ZEROFILL adds; ENUM and SET are read as numbers, which need no character set. MariaDB's UUID,
    INET4 and INET6 look like BINARY(16) and BINARY(4) in the binlog, and are read as such.
    """
    kind = column.type
    if kind in (Type.FLOAT, Type.DOUBLE):
        return f"CAST({quoted_name} AS DOUBLE)"
    if kind == Type.DECIMAL and column.unsigned:
        return f"CAST({quoted_name} AS DECIMAL({column.precision},{column.decimals}))"
    if (kind in _ZEROFILL and column.unsigned) or kind in (Type.ENUM, Type.SET, Type.BIT):
        return f"CAST({quoted_name} AS UNSIGNED)"
    if kind == Type.STRING and column.charset == BINARY and column.length in _ADDRESS_BYTES:
        return f"CAST({quoted_name} AS BINARY({column.length}))"
    if column.introducer:
        return f"CONVERT({quoted_name} USING {column.introducer})"
    return quoted_name
