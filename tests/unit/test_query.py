"""Status variables of QUERY events: those of newer servers are known, and what cannot be applied yet is refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from replicator.apply.ddl_session import DdlSession
from replicator.errors import DdlError, DecodeError
from replicator.sql.classify import classify_with
from replicator.stream.query import Query, parse_query


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
    variables = b"\x82" + bytes([flags]) + (bytes(8) if flags > 2 else b"")
    with pytest.raises(DecodeError, match="two phases") as refused:
        parse_query(payload(variables), "mariadb")
    assert "binlog_alter_two_phase=OFF" in str(refused.value.remedy)
    assert parse_query(payload(b"\x82\1"), "mariadb").statement == b"CREATE TABLE t (a INT)"


class Server(DdlSession):
    """A MariaDB that answers what is asked of its collations."""

    def __init__(self, *, has_variable: bool, known: bool = True) -> None:
        self.flavor = "mariadb"
        self.set: list[tuple[Any, ...]] = []
        self._has_variable = has_variable
        self._known = known

    def ask(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if query.startswith("SHOW"):
            return [("character_set_collations", "x")] if self._has_variable else []
        if query.startswith("SELECT"):
            return [("utf8mb4_uca1400_ai_ci",)] if self._known and values == (2304,) else []
        self.set.append(values)
        return []


def take_on(server: Server, text: bytes, pairs: tuple[tuple[int, int], ...] = ((45, 2304),)) -> None:
    query = Query("mariadb", 1, 1, 0, "shop", text, character_set_collations=pairs)
    server._default_collations(classify_with(text, query.syntax(), "shop"), query, "here")


ALONE = b"CREATE TABLE t (a CHAR(3)) DEFAULT CHARSET=utf8mb4"


def test_default_collations_are_taken_on() -> None:
    """So are none, those of servers before 11.2."""
    server = Server(has_variable=True)
    take_on(server, ALONE)
    take_on(server, ALONE, ())
    assert server.set == [("utf8mb4=utf8mb4_uca1400_ai_ci",), ("",)]


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        (ALONE, True),
        (b"ALTER TABLE t CONVERT TO CHARACTER SET 'utf8mb4'", True),
        (b"CREATE TABLE t (a CHAR(3) CHARACTER SET utf8mb4 NOT NULL)", True),
        (b"CREATE TABLE t (a CHAR(3)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", False),
        (b"CREATE TABLE t (a CHAR(3)) DEFAULT CHARSET=utf8mb4, DEFAULT COLLATE=utf8mb4_bin", False),
        (b"CREATE TABLE t (a CHAR(3) CHARACTER SET 'utf8mb4' COLLATE utf8mb4_bin)", False),
        (b"CREATE TABLE t (a CHAR(3))", False),
        (b"CREATE TABLE t (a CHAR(3)) CHARSET latin1", False),
    ],
)
@pytest.mark.parametrize("server", [Server(has_variable=False), Server(has_variable=True, known=False)])
def test_default_collations_that_a_server_lacks_stop_where_they_matter(server: Server, text: bytes, stops: bool) -> None:
    """Any other collation would compare otherwise than at the origin."""
    if stops:
        with pytest.raises(DdlError, match="character set without one"):
            take_on(server, text)
    else:
        take_on(server, text)
