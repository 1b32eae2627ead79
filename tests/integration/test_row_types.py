"""Floating point numbers, dates and times, labels: decoded from the binlog, written again, and compared by SQL."""

from __future__ import annotations

import random
import struct

import pytest
from row_origin import Origin, Session, check

from dev import DatabaseServer
from replicator.row.floats import double_literal

pytestmark = pytest.mark.servers

DOUBLES = [0.0, -0.0, 1.0, -1.5, 0.1, 1e14, 1e15, 123456789012345.6, 1234567890123456.5, 1e16, 1e22, 1e-5, 1e-14, 1e-15, 1e-16]
DOUBLES += [1.7976931348623157e308, -1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 4.9e-322, 0.1 + 0.2, 1 / 3]


def test_floating_point(server: DatabaseServer) -> None:
    """FLOAT and DOUBLE keep every bit: -0.0, extremes, denormals, and random bit patterns."""
    origin = Origin(server, "d DOUBLE, f FLOAT, u DOUBLE UNSIGNED ZEROFILL, m DOUBLE(20,5), n FLOAT(10,3)")
    source = random.Random(20)
    doubles = DOUBLES + [struct.unpack("<d", source.randbytes(8))[0] for _ in range(300)]
    floats = [struct.unpack("<f", source.randbytes(4))[0] for _ in range(300)]
    floats += [-0.0, 3.4028234663852886e38, 1.401298464324817e-45, 1.1754943508222875e-38, 0.10000000149011612]
    rows = [(d, None, abs(d)) for d in doubles] + [(None, f, None) for f in floats]
    for row in rows:
        if all(x is None or x - x == 0 for x in row):
            literals = [b"NULL" if x is None else double_literal(x) for x in row]
            small = b"123.456e0" if row[0] is None else b"-0.125e0"
            origin.session.run(b"INSERT INTO origin VALUES (NULL, %b, %b, %b)" % (b", ".join(literals), small, small))
    check(origin)


def fractions(text: str, digits: int) -> str:
    """``text`` with a fraction of ``digits`` digits, the highest."""
    return f"'{text}{'.' + '987654'[:digits] if digits else ''}'"


@pytest.mark.parametrize("digits", range(7))
def test_times(server: DatabaseServer, digits: int) -> None:
    """TIME, DATETIME and TIMESTAMP with every number of fraction digits; negative, over 24 hours, zero, partial, invalid."""
    origin = Origin(server, f"t TIME({digits}), d DATETIME({digits}), s TIMESTAMP({digits}) NULL")
    times = ["00:00:00", "-00:00:00", "-00:00:01", "23:59:59", "837:59:59", "-837:59:59", "100:00:00", "-24:00:00"]
    dates = ["0000-00-00", "2024-00-10", "2024-02-31", "2024-12-00", "1000-01-01", "9999-12-31", "2024-02-29", "0001-01-01"]
    stamps = ["1970-01-01 00:00:01", "2038-01-19 03:14:06", "2001-09-09 01:46:40", "2024-02-29 23:59:59"]
    for i, (time, date) in enumerate(zip(times, dates, strict=True)):
        clock = "00:00:00" if date.startswith("0000") else "23:58:57"
        stamp = fractions(stamps[i % 4], digits)
        values = f"{fractions(time, digits)}, {fractions(f'{date} {clock}', 0 if clock[0] == '0' else digits)}, {stamp}"
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {values})")
    origin.session.run("INSERT INTO origin VALUES (NULL, '838:59:59', '0000-00-00', '0000-00-00'), (NULL, NULL, NULL, NULL)")
    origin.session.run("INSERT INTO origin VALUES (NULL, '-838:59:59', '9999-12-31 23:59:59', '2038-01-19 03:14:07')")
    check(origin)


def test_dates_and_years(server: DatabaseServer) -> None:
    """DATE with zero, partial and invalid dates; YEAR with 0000 and its limits."""
    origin = Origin(server, "d DATE, y YEAR")
    dates = ["0000-00-00", "2024-00-00", "2024-13-01", "2024-02-31", "0000-01-01", "9999-12-31", "1000-01-01"]
    years = ["0", "1901", "2155", "'0'", "'70'", "1970", "2024"]
    for date, year in zip(dates, years, strict=True):
        if date != "2024-13-01":
            origin.session.run(f"INSERT INTO origin VALUES (NULL, '{date}', {year})")
    origin.session.run("INSERT INTO origin (d) VALUES (NULL)")
    check(origin)


@pytest.mark.parametrize("zone", ["+00:00", "+12:45", "-11:00"])
def test_timestamps_do_not_depend_on_the_session_that_wrote_them(server: DatabaseServer, zone: str) -> None:
    """A TIMESTAMP written in any time zone arrives as the same moment."""
    origin = Origin(server, "s TIMESTAMP(3) NULL")
    writer = Session(server)
    writer.run(f"SET time_zone = '{zone}'")
    writer.run("INSERT INTO row_test.origin VALUES (NULL, '2024-03-31 02:30:00.125'), (NULL, '1970-01-02 12:00:00')")
    check(origin)


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1", "ucs2", "utf16", "utf16le", "utf32", "gbk"])
def test_labels(server: DatabaseServer, charset: str) -> None:
    """ENUM and SET in any character set, with an empty label, the empty set and the invalid value 0."""
    labels = "'', 'a', '丂', '1'" if charset != "latin1" else "'', 'a', 'é', '1'"
    with_labels = f"e ENUM({labels}) CHARACTER SET {charset}, s SET('a', 'B c', '2') CHARACTER SET {charset}"
    many = ", ".join(f"'m{i}'" for i in range(300))
    sets = ", ".join(f"'s{i}'" for i in range(64))
    odd = ", ".join(f"'s{i}'" for i in range(20))
    origin = Origin(server, f"{with_labels}, m ENUM({many}), w SET({sets}), o SET({odd})")
    for row in (
        "1, 0, 300, 18446744073709551615, 0",
        "2, 7, 255, 0, 1048575",
        "3, 1, 256, 9223372036854775808, 65536",
        "NULL, NULL, NULL, NULL, NULL",
        "4, 4, 1, 1, 1",
    ):
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {row})")
    lenient = Session(server, lenient=True)
    lenient.run("INSERT INTO row_test.origin VALUES (NULL, 0, 1, 'no such label', 1, 1)")
    lenient.close()
    check(origin)
