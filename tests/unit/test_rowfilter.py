"""A row filter's values are compared as the column's texts, or refused."""

from __future__ import annotations

import pytest

from replicator.row.types import Column, Type
from replicator.source.rowfilter import filter_text

_LATIN1, _BINARY, _UTF8MB4, _UTF16 = 8, 63, 45, 54


def column(kind: Type, **facts: object) -> Column:
    """A column with these facts."""
    return Column("c", kind, nullable=True, **facts)  # type: ignore[arg-type]


STATE = column(Type.ENUM, charset=_LATIN1, members=(b"active", b"gel\xf6scht", b"2"), length=1)
FLAGS = column(Type.SET, charset=_UTF16, members=(b"\0x", b"\0y", b"\0z"), length=1)
PRICE = column(Type.DECIMAL, precision=10, decimals=2)
WHOLE = column(Type.DECIMAL, precision=5)
MOMENT = column(Type.DATETIME, decimals=3)
CLOCK = column(Type.TIME, decimals=2)
TINY = column(Type.TINY)


@pytest.mark.parametrize(
    ("of", "value", "text"),
    [
        (STATE, "active", b"1"),
        (STATE, "gelöscht", b"2"),
        (STATE, 2, b"3"),
        (STATE, "", b"0"),
        (FLAGS, "z,x", b"5"),
        (FLAGS, "", b"0"),
        (PRICE, 10, b"10.00"),
        (PRICE, "-0.5", b"-0.50"),
        (PRICE, "1.500", b"1.50"),
        (PRICE, "-0", b"0.00"),
        (PRICE, 1e3, b"1000.00"),
        (WHOLE, "010", b"10"),
        (MOMENT, "2024-1-02", b"2024-01-02 00:00:00.000"),
        (MOMENT, "2024-01-02T03:04:05.6", b"2024-01-02 03:04:05.600"),
        (column(Type.TIMESTAMP), "2024-01-02 03:04:05.000", b"2024-01-02 03:04:05"),
        (column(Type.DATE), "2024-01-02", b"2024-01-02"),
        (CLOCK, "1:02:03", b"01:02:03.00"),
        (CLOCK, "-00:00:00.5", b"-00:00:00.50"),
        (CLOCK, "-0:00:00", b"00:00:00.00"),
        (TINY, "7", b"7"),
        (TINY, True, b"1"),
        (TINY, -128.0, b"-128"),
        (column(Type.LONGLONG, unsigned=True), 2**64 - 1, b"18446744073709551615"),
        (column(Type.YEAR), 0, b"0000"),
        (column(Type.BIT, bits=11), 5, b"5"),
        (column(Type.FLOAT), 0.1, b"0.10000000149011612"),
        (column(Type.DOUBLE), "1e20", b"1e20"),
        (column(Type.STRING, charset=_UTF8MB4, length=8), "DE ", b"DE"),
        (column(Type.STRING, charset=_BINARY, length=4), "ab", b"ab\0\0"),
        (column(Type.VARCHAR, charset=_LATIN1, length=20), "5 €", b"5 \x80"),
        (column(Type.VARCHAR, charset=_UTF16, length=20), 7, b"\x007"),
    ],
)
def test_a_value_is_compared_as_the_column_holds_it(of: Column, value: str | int | float, text: bytes) -> None:
    """Labels by number, decimals and times with all digits of their scale, characters in the column's set."""
    assert filter_text(of, value) == text


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (STATE, "Secret"),
        (STATE, 1),
        (FLAGS, "x,w"),
        (PRICE, "ten"),
        (PRICE, 1.005),
        (PRICE, 1e8),
        (PRICE, "nan"),
        (column(Type.DECIMAL, precision=5, unsigned=True), -1),
        (MOMENT, 20240102),
        (MOMENT, "2024-01-02 03:04:05.6789"),
        (MOMENT, "2024-01-02 03:04:05+01:00"),
        (MOMENT, "2024-13-02"),
        (column(Type.DATE), "2024-01-02 00:00:00"),
        (CLOCK, 36000),
        (CLOCK, "839:00:00"),
        (TINY, "x"),
        (TINY, 1.5),
        (TINY, 128),
        (column(Type.YEAR), 24),
        (column(Type.BIT, bits=2), 4),
        (column(Type.FLOAT), "1e39"),
        (column(Type.DOUBLE), "inf"),
        (column(Type.VARCHAR, charset=_LATIN1, length=20), "漢"),
        (column(Type.VARCHAR, charset=_LATIN1, length=2), "abc"),
        (column(Type.JSON), "{}"),
    ],
)
def test_what_cannot_be_in_the_column_is_refused(of: Column, value: str | int | float) -> None:
    """It would never match: nothing would arrive, or, with not_equals, what was to be kept back."""
    with pytest.raises(ValueError, match=r"it|label|compared"):
        filter_text(of, value)
