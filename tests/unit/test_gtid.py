"""Positions: sets of MySQL GTIDs and MariaDB's last GTID of each domain."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import DecodeError
from replicator.gtid import MariaDbPosition, MySqlGtidSet, parse_position

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_adding_in_order_extends_one_interval() -> None:
    """The common case, the next number, keeps one interval."""
    s = MySqlGtidSet(f"{A}:1-3")
    s.add(f"{A}:4")
    assert str(s) == f"{A}:1-4"


@given(st.lists(st.integers(1, 40), min_size=1))
def test_a_set_holds_exactly_what_was_added(numbers: list[int]) -> None:
    """In whatever order numbers come, the set contains them and no others, and its text reads back equal."""
    s = MySqlGtidSet()
    for n in numbers:
        s.add(f"{A}:{n}")
    assert {n for n in range(1, 45) if s.contains(f"{A}:{n}")} == set(numbers)
    assert MySqlGtidSet(str(s)) == s


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_missing_is_the_set_difference(mine: set[int], other: set[int]) -> None:
    """`missing` names exactly what the other has and this has not; `covers` agrees with it."""
    s, o = MySqlGtidSet(), MySqlGtidSet()
    for n in mine:
        s.add(f"{A}:{n}")
    for n in other:
        o.add(f"{A}:{n}")
    rest = MySqlGtidSet(s.missing(str(o)))
    assert {n for n in range(1, 35) if rest.contains(f"{A}:{n}")} == other - mine
    assert s.covers(str(o)) == (not other - mine)


def test_a_copy_is_independent() -> None:
    """Adding to a copy leaves the original alone."""
    s = MySqlGtidSet(f"{A}:1")
    s.copy().add(f"{A}:2")
    assert str(s) == f"{A}:1"


def test_tags_are_sets_of_their_own() -> None:
    """A tagged GTID does not stand for the untagged one of the same number."""
    s = MySqlGtidSet(f"{A}:1-2:blue:5-6,{B}:7")
    assert s.tagged
    assert s.contains(f"{A}:blue:5")
    assert not s.contains(f"{A}:5")
    assert str(s) == f"{A}:1-2,{A}:blue:5-6,{B}:7"


def test_the_untagged_encoding_is_the_servers() -> None:
    """Count, uuid, interval count, half-open interval; all little endian."""
    encoded = MySqlGtidSet(f"{A}:1-3").encode()
    assert encoded[:8] == struct.pack("<Q", 1)
    assert encoded[8:24].hex() == A.replace("-", "")
    assert struct.unpack("<QQQ", encoded[24:]) == (1, 1, 4)


@pytest.mark.parametrize("text", ["x", f"{A}", f"{A}:0", f"{A}:3-1", f"{A}:a-b", "1-2"])
def test_what_is_no_gtid_set_is_refused(text: str) -> None:
    """A typo in `start:` must not become an empty set."""
    with pytest.raises(DecodeError):
        MySqlGtidSet(text)


def test_mariadb_position_is_the_last_of_each_domain() -> None:
    """A later GTID replaces the earlier one of its domain, and covers all before it."""
    p = MariaDbPosition("0-1-5,1-1-9")
    p.add("0-2-6")
    assert str(p) == "0-2-6,1-1-9"
    assert p.covers("0-1-3")
    assert p.missing("0-1-7,1-1-1,2-1-1") == "0-1-7,2-1-1"


@pytest.mark.parametrize("text", ["0-1", "a-b-c", f"{A}:1"])
def test_what_is_no_mariadb_gtid_is_refused(text: str) -> None:
    """A MySQL set given to a MariaDB site is an error, not a position."""
    with pytest.raises(DecodeError):
        MariaDbPosition(text)


def test_an_unknown_flavor_is_refused() -> None:
    """Positions exist for two server flavors only."""
    with pytest.raises(DecodeError, match="oracle"):
        parse_position("oracle", "")


@given(st.sets(st.integers(1, 30), max_size=20), st.integers(1, 30))
def test_taking_one_transaction_out_of_a_mysql_set(numbers: set[int], out: int) -> None:
    """``advance`` adds as ``add`` does, and ``undo`` takes exactly one out."""
    key = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    position = MySqlGtidSet()
    for number in numbers:
        position.advance(key, number)
    position.undo(f"{key}:{out}", None)
    assert str(position) == str(MySqlGtidSet(",".join(f"{key}:{n}" for n in sorted(numbers - {out}))))


def test_going_back_in_a_mariadb_domain() -> None:
    """A MariaDB position has no holes: taking one out goes back to what was before it."""
    position = MariaDbPosition("0-1-5,2-1-9")
    before = position.last(0)
    position.advance(0, (1, 6))
    position.advance(0, (1, 7))
    position.undo("0-1-6", before)
    assert str(position) == "0-1-5,2-1-9"
    position.undo("2-1-9", None)
    assert str(position) == "0-1-5"
