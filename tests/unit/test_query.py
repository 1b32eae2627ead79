"""Status variables of QUERY events: those of newer servers are known, and what cannot be applied yet is refused."""

from __future__ import annotations

import struct

import pytest

from replicator.errors import DecodeError
from replicator.stream.query import parse_query


def payload(variables: bytes) -> bytes:
    """A MariaDB QUERY event with these status variables."""
    return struct.pack("<IIIBHH", 0, 7, 0, 4, 0, len(variables)) + variables + b"shop\0" + b"CREATE TABLE t (a INT)"


def test_default_collations_of_character_sets_are_read() -> None:
    """MariaDB 11.5 and later tell of them in each statement."""
    query = parse_query(payload(b"\x83\x02" + struct.pack("<HHHH", 33, 2304, 45, 2304) + b"\x80\x01\x00\x00"), "mariadb")
    assert query.character_set_collations == ((33, 2304), (45, 2304))
    assert (query.schema, query.statement, query.microseconds) == ("shop", b"CREATE TABLE t (a INT)", 1)


@pytest.mark.parametrize("flags", [2, 4, 8])
def test_an_alter_in_two_phases_is_refused(flags: int) -> None:
    """Its start is no ALTER that is done, and may be rolled back."""
    variables = b"\x82" + struct.pack("<H", flags) + (bytes(8) if flags > 2 else b"")
    with pytest.raises(DecodeError, match="two phases") as refused:
        parse_query(payload(variables), "mariadb")
    assert "binlog_alter_two_phase=OFF" in str(refused.value.remedy)
    assert parse_query(payload(b"\x82\0\0"), "mariadb").statement == b"CREATE TABLE t (a INT)"
