"""Formats the binlog's dates and times as the server prints them, from tables that fill as values come by.

A table maps raw bits to bytes; a value that was seen costs one look-up. Zero, partial and invalid dates print as they are
stored. Bits that no server writes (hour 25, month 13) raise ValueError.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = [
    "DATE",
    "DATE_QUOTED",
    "DAY_OF",
    "DAY_OF_QUOTED",
    "LAST_DIGITS",
    "LAST_DIGITS_QUOTED",
    "SHORT_FRACTIONS",
    "SHORT_FRACTIONS_QUOTED",
    "STAMP_DAY",
    "STAMP_DAY_QUOTED",
    "TIME",
    "TIME_OF",
    "TIME_OF_QUOTED",
    "TIME_QUOTED",
    "format_packed_date",
    "format_packed_datetime",
    "format_packed_time",
    "format_time",
]

_ENTRIES_MAX = 1 << 17
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_TIME_OFFSET = 0x800000
_DATETIME_SIGN = 1 << 22  # always set: there is no date before year 0
SECONDS_A_DAY = 86_400

K = TypeVar("K")


class _Table(dict[K, bytes], Generic[K]):
    """A dictionary that makes missing entries, and starts anew when it would grow without limit."""

    def __init__(self, make: Callable[[K], bytes]) -> None:
        self._make = make

    def __missing__(self, key: K) -> bytes:
        made = self._make(key)
        if len(self) >= _ENTRIES_MAX:
            self.clear()
        self[key] = made
        return made


def _date(raw: bytes) -> bytes:
    """DATE: 3 bytes, day in 5 bits, month in 4, year."""
    if len(raw) != 3:
        raise ValueError("a date of another size than 3 bytes")
    packed = int.from_bytes(raw, "little")
    return _ymd(packed >> 9, packed >> 5 & 15, packed & 31)


def _ymd(year: int, month: int, day: int) -> bytes:
    if year > 9999 or month > 12 or day > 31:
        raise ValueError("no date")
    return b"%04d-%02d-%02d" % (year, month, day)


def _day_of(packed: int) -> bytes:
    """The date of a DATETIME: a set sign bit, year * 13 + month in 17 bits, day in 5."""
    if not packed & _DATETIME_SIGN:
        raise ValueError("a date before year 0")
    months = (packed ^ _DATETIME_SIGN) >> 5
    return _ymd(months // 13, months % 13, packed & 31)


def _time_of(packed: int) -> bytes:
    """The time of a DATETIME: hour in 5 bits, minute and second in 6."""
    hour, minute, second = packed >> 12, packed >> 6 & 63, packed & 63
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no time of a day")
    return b"%02d:%02d:%02d" % (hour, minute, second)


def _stamp_day(days: int) -> bytes:
    """The date of a TIMESTAMP, by days since 1970."""
    return datetime.date.fromordinal(_EPOCH_DAY + days).isoformat().encode()


def _time(raw: bytes) -> bytes:
    """TIME without a fraction: 3 bytes of hours (10 bits), minutes and seconds (6 each), with an offset."""
    if len(raw) != 3:
        raise ValueError("a time of another size than 3 bytes")
    number = int.from_bytes(raw, "big") - _TIME_OFFSET
    return b"-" + _hms(-number) if number < 0 else _hms(number)


def format_time(raw: bytes, decimals: int) -> bytes:
    """TIME with a fraction: all one number with an offset, the fraction in the last bytes."""
    bits = 8 * ((decimals + 1) // 2)
    number = int.from_bytes(raw, "big") - (_TIME_OFFSET << bits)
    if number < 0:
        number = -number
        return b"-" + _HMS[number >> bits] + _fraction(number & (1 << bits) - 1, decimals)
    return _HMS[number >> bits] + _fraction(number & (1 << bits) - 1, decimals)


def format_packed_date(number: int) -> bytes:
    """A DATE as JSON holds it: like a DATETIME at midnight."""
    return DAY_OF[_DATETIME_SIGN | number >> 41][:-1]


def format_packed_datetime(number: int) -> bytes:
    """A DATETIME as JSON holds it: date and time packed as in a row, then microseconds in 24 bits."""
    return DAY_OF[_DATETIME_SIGN | number >> 41] + TIME_OF[number >> 24 & 0x1FFFF] + _fraction(number & 0xFFFFFF, 6)


def format_packed_time(number: int) -> bytes:
    """A TIME as JSON holds it: hours, minutes and seconds packed as in a row, then microseconds in 24 bits."""
    sign, number = (b"-", -number) if number < 0 else (b"", number)
    return sign + _hms(number >> 24) + _fraction(number & 0xFFFFFF, 6)


def _hms(packed: int) -> bytes:
    hour, minute, second = packed >> 12, packed >> 6 & 63, packed & 63
    if hour > 838 or minute > 59 or second > 59:
        raise ValueError("no time")
    return b"%02d:%02d:%02d" % (hour, minute, second)


def _fraction(stored: int, decimals: int) -> bytes:
    """In a row the fraction takes whole bytes, so it has an even number of digits there."""
    if decimals & 1:
        stored //= 10
    if stored >= 10**decimals:
        raise ValueError("no fraction")
    return _FRACTION_FORMS[decimals] % stored


_FRACTION_FORMS = tuple(b".%%0%dd" % decimals for decimals in range(7))
SHORT_FRACTIONS: list[list[bytes]] = [[], *([_fraction(n, d) for n in range(100 ** ((d + 1) // 2))] for d in range(1, 5))]
"""By number of digits up to four, then by what is stored."""
SHORT_FRACTIONS_QUOTED = [[text + b"'" for text in texts] for texts in SHORT_FRACTIONS]
LAST_DIGITS = [[], *([b"%0*d" % (d, n // 10 ** (2 - d)) for n in range(100)] for d in (1, 2))]
"""The fifth, or fifth and sixth digit, by what is stored of both."""
LAST_DIGITS_QUOTED = [[text + b"'" for text in texts] for texts in LAST_DIGITS]
DATE: _Table[bytes] = _Table(_date)
DATE_QUOTED: _Table[bytes] = _Table(lambda raw: b"'%b'" % _date(raw))
DAY_OF: _Table[int] = _Table(lambda packed: _day_of(packed) + b" ")
DAY_OF_QUOTED: _Table[int] = _Table(lambda packed: b"'%b " % _day_of(packed))
TIME_OF: _Table[int] = _Table(_time_of)
TIME_OF_QUOTED: _Table[int] = _Table(lambda packed: _time_of(packed) + b"'")
STAMP_DAY: _Table[int] = _Table(lambda days: _stamp_day(days) + b" ")
STAMP_DAY_QUOTED: _Table[int] = _Table(lambda days: b"'%b " % _stamp_day(days))
TIME: _Table[bytes] = _Table(_time)
TIME_QUOTED: _Table[bytes] = _Table(lambda raw: b"'%b'" % _time(raw))
_HMS: _Table[int] = _Table(_hms)
