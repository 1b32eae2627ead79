"""Formats the binlog's dates and times as the server prints them, from tables that fill as values come by.

A table maps raw bits to bytes; a value that was seen costs one look-up. Zero, partial and invalid dates print as they are
stored. Bits that no server writes (hour 25, month 13) raise ValueError.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = [
    "CLOCKS",
    "CLOCKS_QUOTED",
    "DATE",
    "DATE_QUOTED",
    "DAY",
    "DAY_QUOTED",
    "LAST_DIGITS",
    "LAST_DIGITS_QUOTED",
    "SECONDS_A_DAY",
    "SHORT_FRACTIONS",
    "SHORT_FRACTIONS_QUOTED",
    "STAMP",
    "STAMP_QUOTED",
    "TIME",
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
V = TypeVar("V")


class _Table(dict[K, V], Generic[K, V]):
    """A dictionary that makes missing entries, and starts anew when it would grow without limit."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make

    def __missing__(self, key: K) -> V:
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


def _day(raw: bytes, quote: bytes) -> _Day:
    """By the first 3 bytes of a DATETIME: the date, and the tables of the times that its other 2 bytes may be.

    The date takes 23 bits; the 24th says whether it is 16 o'clock or later.
    """
    packed = int.from_bytes(raw, "big")
    late = packed & 1
    return b"%b%b " % (quote, _day_of(packed >> 1)), _TIMES[late], _TIMES_QUOTED[late]


def _stamp(high: int, quote: bytes) -> _Stamp:
    """By the high 2 bytes of a TIMESTAMP, 18 hours: the date at their beginning, the next date, seconds since midnight."""
    days, second = divmod(high << 16, SECONDS_A_DAY)
    dates = [datetime.date.fromordinal(_EPOCH_DAY + day).isoformat().encode() for day in (days, days + 1)]
    return b"%b%b " % (quote, dates[0]), b"%b%b " % (quote, dates[1]), second


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
    return _DAY_OF[_DATETIME_SIGN | number >> 41][:-1]


def format_packed_datetime(number: int) -> bytes:
    """A DATETIME as JSON holds it: date and time packed as in a row, then microseconds in 24 bits."""
    return _DAY_OF[_DATETIME_SIGN | number >> 41] + _TIME_OF[number >> 24 & 0x1FFFF] + _fraction(number & 0xFFFFFF, 6)


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
DATE: _Table[bytes, bytes] = _Table(_date)
DATE_QUOTED: _Table[bytes, bytes] = _Table(lambda raw: b"'%b'" % _date(raw))
TIME: _Table[bytes, bytes] = _Table(_time)
TIME_QUOTED: _Table[bytes, bytes] = _Table(lambda raw: b"'%b'" % _time(raw))

_Times = _Table[int, bytes]
_Day = tuple[bytes, _Times, _Times]
_Stamp = tuple[bytes, bytes, int]
_DAY_OF: _Table[int, bytes] = _Table(lambda packed: _day_of(packed) + b" ")
_TIME_OF: _Times = _Table(_time_of)
_TIMES: tuple[_Times, _Times] = _Table(_time_of), _Table(lambda low: _time_of(low | 1 << 16))
_TIMES_QUOTED: tuple[_Times, _Times] = (
    _Table(lambda low: _time_of(low) + b"'"),
    _Table(lambda low: _time_of(low | 1 << 16) + b"'"),
)
DAY: _Table[bytes, _Day] = _Table(lambda raw: _day(raw, b""))
DAY_QUOTED: _Table[bytes, _Day] = _Table(lambda raw: _day(raw, b"'"))
STAMP: _Table[int, _Stamp] = _Table(lambda high: _stamp(high, b""))
STAMP_QUOTED: _Table[int, _Stamp] = _Table(lambda high: _stamp(high, b"'"))
CLOCKS = [b"%02d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60) for s in range(SECONDS_A_DAY)]
"""The time of day by seconds, which go on into the next day as far as an entry of ``STAMP`` reaches."""
CLOCKS += CLOCKS[: 1 << 16]
CLOCKS_QUOTED = [clock + b"'" for clock in CLOCKS]
_HMS: _Table[int, bytes] = _Table(_hms)
