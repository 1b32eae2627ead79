"""A row filter's values as the column's texts. Pure.

A filter compares texts as ``row.decode`` gives them: an ENUM is its number, a decimal has all digits of its scale. What a file
says may be spelled otherwise, or be no value of the column at all: that never matches, and ``not_equals`` would let every row
out, so it is refused.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal, InvalidOperation

from ..row.charsets import BINARY, charset_name, codec_name
from ..row.floats import double_text
from ..row.types import Column, Type

__all__ = ["filter_text"]

_BITS = {Type.TINY: 8, Type.SHORT: 16, Type.INT24: 24, Type.LONG: 32, Type.LONGLONG: 64}
_DATE = r"(\d{4})-(\d\d?)-(\d\d?)"
_CLOCK = r"(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?"
_DAY = re.compile(_DATE)
_MOMENT = re.compile(rf"{_DATE}(?:[ T]{_CLOCK})?")
_TIME = re.compile(r"(-?)(\d{1,3}):(\d\d):(\d\d)(?:\.(\d*))?")
_WHOLE = re.compile(r"[+-]?\d+(?:\.0*)?")


def filter_text(column: Column, value: str | int | float) -> bytes:
    """The text of a value in that column; raises ValueError, saying why, where it cannot be one of the column's."""
    kind = column.type
    if kind in _BITS or kind in (Type.BIT, Type.YEAR):
        return _integer(column, value)
    if kind in (Type.FLOAT, Type.DOUBLE):
        return _float(column, value)
    if kind == Type.DECIMAL:
        return _decimal(column, value)
    if kind == Type.ENUM:
        return b"%d" % _enum(column, str(value))
    if kind == Type.SET:
        return b"%d" % _set(column, str(value))
    if kind in (Type.DATE, Type.DATETIME, Type.TIMESTAMP):
        return _moment(column, str(value))
    if kind == Type.TIME:
        return _time(column, str(value))
    if kind in (Type.JSON, Type.GEOMETRY, Type.VECTOR):
        raise ValueError(f"a {column.type_name} cannot be compared")
    return _string(column, str(value))


def _codec(column: Column) -> str:
    """Python's name of the column's character set."""
    return codec_name((charset_name(column.charset) if column.charset else None) or "utf8mb4")


def _integer(column: Column, value: str | int | float) -> bytes:
    text = str(int(value)) if isinstance(value, bool) else str(value).strip()
    if not _WHOLE.fullmatch(text):
        raise ValueError("it is not a whole number")
    number = int(text.partition(".")[0])
    if column.type == Type.YEAR:
        if number and not 1901 <= number <= 2155:
            raise ValueError("it is not a year from 1901 to 2155, nor 0")
        return b"%04d" % number
    bits = column.bits if column.type == Type.BIT else _BITS[Type(column.type)]
    low, high = (0, 2**bits - 1) if column.unsigned or column.type == Type.BIT else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= number <= high:
        raise ValueError(f"it is not from {low} to {high}")
    return b"%d" % number


def _float(column: Column, value: str | int | float) -> bytes:
    try:
        number = float(value)
        if column.type == Type.FLOAT:
            (number,) = struct.unpack("f", struct.pack("f", number))
        return double_text(number)
    except (ValueError, OverflowError):
        raise ValueError("it is not a number that the column can hold") from None


def _decimal(column: Column, value: str | int | float) -> bytes:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError("it is not a number") from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** (column.precision - column.decimals):
        raise ValueError(f"it is not a number with {column.precision - column.decimals} digits before the point")
    if column.unsigned and number < 0:
        raise ValueError("it is negative, and the column is unsigned")
    whole, _, fraction = f"{abs(number):f}".partition(".")
    if fraction[column.decimals :].strip("0"):
        raise ValueError(f"it has more than {column.decimals} digits behind the point")
    digits = fraction[: column.decimals].ljust(column.decimals, "0")
    sign = "-" if number < 0 else ""
    return f"{sign}{whole.lstrip('0') or '0'}{'.' if digits else ''}{digits}".encode()


def _enum(column: Column, label: str) -> int:
    labels = _labels(column)
    if label in labels:
        return labels.index(label) + 1
    if label:
        raise ValueError(f"it is none of the column's labels {', '.join(labels)}")
    return 0  # what a session that is not strict writes for an unknown label


def _set(column: Column, names: str) -> int:
    labels = _labels(column)
    number = 0
    for name in names.split(",") if names else ():
        if name.strip() not in labels:
            raise ValueError(f"{name.strip()} is none of the column's labels {', '.join(labels)}")
        number |= 1 << labels.index(name.strip())
    return number


def _labels(column: Column) -> list[str]:
    try:
        return [member.decode(_codec(column), "replace") for member in column.members]
    except LookupError:
        raise ValueError("labels in the column's character set cannot be read here") from None


def _moment(column: Column, value: str) -> bytes:
    only_day = column.type == Type.DATE
    match = (_DAY if only_day else _MOMENT).fullmatch(value.strip())
    if match is None:
        raise ValueError("it is not of the form " + ("'YYYY-MM-DD'" if only_day else "'YYYY-MM-DD HH:MM:SS'"))
    year, month, day = [int(part) for part in match.groups()[:3]]
    hour, minute, second = [int(part or 0) for part in match.groups()[3:6]] if not only_day else (0, 0, 0)
    if month > 12 or day > 31 or hour > 23 or minute > 59 or second > 59:
        raise ValueError("it is no moment that there is")
    text = f"{year:04d}-{month:02d}-{day:02d}"
    return (text if only_day else f"{text} {hour:02d}:{minute:02d}:{second:02d}{_fraction(column, match[7])}").encode()


def _time(column: Column, value: str) -> bytes:
    match = _TIME.fullmatch(value.strip())
    if match is None:
        raise ValueError("it is not of the form 'HH:MM:SS', in quotes")
    hour, minute, second = [int(part) for part in match.groups()[1:4]]
    if hour > 838 or minute > 59 or second > 59:
        raise ValueError("it is beyond the times that there are")
    text = f"{hour:02d}:{minute:02d}:{second:02d}{_fraction(column, match[5])}"
    return (match[1] + text if text.strip("0:.") else text).encode()


def _fraction(column: Column, digits: str | None) -> str:
    digits = digits or ""
    if digits[column.decimals :].strip("0"):
        raise ValueError(f"it has more than {column.decimals} digits of a second's fraction")
    digits = digits[: column.decimals].ljust(column.decimals, "0")
    return f".{digits}" if digits else ""


def _string(column: Column, value: str) -> bytes:
    try:
        text = value.encode(_codec(column))
    except (UnicodeEncodeError, LookupError):
        raise ValueError(f"the column's character set {charset_name(column.charset)} cannot hold it") from None
    if column.type == Type.STRING:  # as the server stores and the binlog is read: CHAR without, BINARY with its padding
        text = text.ljust(column.length, b"\0") if column.charset == BINARY else value.rstrip(" ").encode(_codec(column))
    if column.length and column.type in (Type.STRING, Type.VARCHAR, Type.VAR_STRING) and len(text) > column.length:
        raise ValueError("it is longer than the column")
    return text
