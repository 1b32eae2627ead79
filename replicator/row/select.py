"""The SQL expression that reads a column so that equal texts mean equal values."""

from __future__ import annotations

from .charsets import BINARY
from .types import Column, Type

__all__ = ["select_expr"]

_TEMPORAL = frozenset({Type.DATE, Type.DATETIME, Type.TIMESTAMP, Type.TIME})
_ZEROFILL = frozenset({Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG})
_ADDRESS_BYTES = (4, 16)
_PRECISION_MAX = 65


def select_expr(column: Column, quoted_name: str) -> str:
    """An expression over ``quoted_name`` whose result, by the text protocol, is the value's *text*.

    The session must have ``SET NAMES binary`` and ``time_zone='+00:00'``. Plain columns would lose digits of FLOAT and of
    DOUBLE(M,D), and print what ZEROFILL adds; ENUM and SET are read as numbers, which need no character set. MariaDB's UUID,
    INET4 and INET6 look like BINARY(16) and BINARY(4) in the binlog, and are read as such. Where the target's column has more
    digits than the origin's, its text is cut to the origin's if they are zeros, and else stays as it is, unlike any of it. A
    number in a column of another type is read by a type that prints it as the origin does.
    """
    kind = column.type
    if column.padding:
        if kind not in _TEMPORAL:  # without what ZEROFILL adds
            digits = column.padding.count("0") + column.decimals
            quoted_name = f"CAST({quoted_name} AS DECIMAL({_PRECISION_MAX},{digits}))"
        size, text = len(column.padding), f"CONCAT({quoted_name})"
        return f"IF(RIGHT({text},{size})='{column.padding}',LEFT({text},LENGTH({text})-{size}),{text})"
    if column.read_as:
        read = quoted_name if column.read_as == "itself" else f"CAST({quoted_name} AS {column.read_as})"
        return f"IF({read}=0,'0000',{read})" if kind == Type.YEAR and column.read_as != "itself" else read
    if kind in (Type.FLOAT, Type.DOUBLE):
        return f"CAST({quoted_name} AS DOUBLE)"
    if kind == Type.DECIMAL and column.unsigned:
        return f"CAST({quoted_name} AS DECIMAL({_PRECISION_MAX},{column.decimals}))"
    if (kind in _ZEROFILL and column.unsigned) or kind in (Type.ENUM, Type.SET, Type.BIT):
        return f"CAST({quoted_name} AS UNSIGNED)"
    if kind == Type.STRING and column.charset == BINARY and column.length in _ADDRESS_BYTES:
        return f"CAST({quoted_name} AS BINARY({column.length}))"
    if column.introducer:
        return f"CONVERT({quoted_name} USING {column.introducer})"
    return quoted_name
