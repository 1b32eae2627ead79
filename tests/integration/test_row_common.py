"""Numbers, bits and byte strings: decoded from the binlog, written again, and compared by SQL."""

from __future__ import annotations

import pytest
from row_origin import Origin, check

from dev import DatabaseServer

pytestmark = pytest.mark.servers


def test_integers(server: DatabaseServer) -> None:
    """Every integer type at its limits, signed and unsigned, with and without ZEROFILL."""
    types = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
    columns = [f"s{bits} {name}, u{bits} {name} UNSIGNED, z{bits} {name} ZEROFILL" for name, bits in types.items()]
    origin = Origin(server, ", ".join(columns) + ", b BOOL, n INT NOT NULL")
    for low in (True, False):
        numbers = []
        for bits in types.values():
            numbers += [-(1 << bits - 1), 0, 0] if low else [(1 << bits - 1) - 1, (1 << bits) - 1, (1 << bits) - 1]
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {', '.join(map(str, numbers))}, {low}, -1)")
    origin.session.run("INSERT INTO origin (n) VALUES (5), (-7)")
    check(origin)


DECIMALS = [(1, 0), (5, 5), (9, 0), (10, 2), (18, 9), (20, 1), (30, 30), (65, 0), (65, 30)]


@pytest.mark.parametrize(("precision", "decimals"), DECIMALS)
def test_decimals(server: DatabaseServer, precision: int, decimals: int) -> None:
    """DECIMAL at its limits, with few and many digits on both sides of the point."""
    origin = Origin(server, f"d DECIMAL({precision},{decimals}), u DECIMAL({precision},{decimals}) UNSIGNED ZEROFILL")
    digits = "9" * precision
    numbers = {"0", "1" if precision > decimals else "0.1", digits[decimals:] + "." + digits[:decimals]}
    numbers |= {f"{'1' if precision > decimals else '0'}.{'0' * (decimals - 1)}{'7' if decimals else ''}"}
    for number in sorted(numbers):
        number = number.rstrip(".") or "0"
        origin.session.run(f"INSERT INTO origin VALUES (NULL, -{number}, {number}), (NULL, {number}, {number})")
    origin.session.run("INSERT INTO origin VALUES (NULL, NULL, NULL)")
    check(origin)


def test_bits(server: DatabaseServer) -> None:
    """BIT of every width, all zeros and all ones."""
    origin = Origin(server, ", ".join(f"b{n} BIT({n})" for n in range(1, 65)))
    for full in (0, 1):
        numbers = ", ".join(str((1 << n) - 1 if full else n & 1) for n in range(1, 65))
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {numbers})")
    check(origin)


def test_strings(server: DatabaseServer) -> None:
    """Quotes, backslashes, zero bytes and blanks at either end; padding of BINARY; values longer than one length byte."""
    origin = Origin(
        server,
        "c CHAR(20), v VARCHAR(20), w VARCHAR(3000), t TINYTEXT, m MEDIUMTEXT, b BINARY(9), b2 BINARY(255),"
        " vb VARBINARY(20), tb TINYBLOB, bb BLOB, lb LONGBLOB",
    )
    texts = (b"", b"a", b"  a b ", b"it's", b"back\\slash\\", b"\\'", b"nul\0in", b"\0\0", b"\x1a\n\r", b"%d", "😀".encode())
    for text in texts:
        literal = b"x'%b'" % text.hex().encode()
        padded = b"x'%b'" % text[:9].hex().encode()
        parts = [literal] * 2 + [b"REPEAT(%b, 100)" % literal] + [literal] * 2 + [padded, padded] + [literal] * 4
        origin.session.run(b"INSERT INTO origin VALUES (NULL, %b)" % b", ".join(parts))
    origin.session.run("INSERT INTO origin (id) VALUES (NULL)")
    check(origin)
