"""Rows that are read ahead are found as the server would find them, or not at all."""

from __future__ import annotations

import pytest

from replicator.apply.known import KnownRows, NotPlain
from replicator.apply.target import ForeignKey
from tests.unit.plan_samples import change, plan


def test_a_row_is_found_by_each_of_its_keys_and_follows_what_is_decided() -> None:
    """Written, moved and deleted; NULL is nobody's key."""
    known = KnownRows(plan())
    known.want(change(known.plan, (b"1", b"5", b"0"), (b"2", b"6", b"0")))
    assert len(list(known.selects())) == 2
    known.learn(0, [(1, 5, 0)])
    known.learn(1, [(9, 6, 7)])
    assert known.at(0, (1, None, None)) == (1, 5, 0)
    assert known.at(0, (2, None, None)) is None
    assert known.at(1, (2, 6, 0)) == (9, 6, 7)
    assert known.at(1, (2, None, 0)) is None
    known.drop((9, 6, 7))
    known.drop((1, 5, 0))
    known.put((2, 6, 0))
    assert known.at(0, (1, 5, 0)) is None
    assert known.at(0, (2, 6, 0)) == known.at(1, (2, 6, 0)) == (2, 6, 0)


def test_a_key_that_was_not_read_is_not_taken_for_missing() -> None:
    """Its row may well be there."""
    known = KnownRows(plan())
    known.want(change(known.plan, None, (b"1", b"5", b"0")))
    with pytest.raises(NotPlain):
        known.at(0, (7, 5, 0))


def test_a_row_that_the_server_finds_by_another_key_is_not_taken_for_missing() -> None:
    """Where it takes for one key what we do not, its row would not be found."""
    known = KnownRows(plan())
    known.want(change(known.plan, None, (b"1", b"5", b"0")))
    known.learn(1, [(9, 5, 0)])
    with pytest.raises(NotPlain):
        known.learn(0, [(9, 5, 0)])


@pytest.mark.parametrize("collation", ["utf8mb4_lithuanian_ci", "utf8mb4_lv_0900_ai_ci", "utf8mb4_roman_ci"])
def test_a_collation_that_takes_letters_for_one_is_left_to_the_server(collation: str) -> None:
    """A delete of "y" takes the row "i", which was never looked for."""
    with pytest.raises(NotPlain):
        KnownRows(plan(text_key=True, collation=collation))


@pytest.mark.parametrize("found", [b"A", b"a "])
def test_two_spellings_of_a_text_key_are_left_to_the_server(found: bytes) -> None:
    """Also where one comes with a row that was found."""
    known = KnownRows(plan(text_key=True))
    known.want(change(known.plan, None, (b"a", b"5", b"0")))
    with pytest.raises(NotPlain):
        known.learn(0, [(found, 5, 0)])
    known = KnownRows(plan(text_key=True))
    known.want(change(known.plan, None, (b"a", b"5", b"0")))
    with pytest.raises(NotPlain):
        known.want(change(known.plan, None, (found, b"6", b"0")))


def test_a_text_beyond_ascii_is_left_to_the_server() -> None:
    """Whether it equals another only its collation says."""
    known = KnownRows(plan(text_key=True))
    with pytest.raises(NotPlain):
        known.want(change(known.plan, None, ("ä".encode(), b"5", b"0")))


def test_a_table_whose_rows_change_others_is_left_to_the_server() -> None:
    """A delete that cascades takes rows along that nobody read."""
    child = ForeignKey(("d", "c"), ("d", "t"), True, ("t",), ("k",))
    with pytest.raises(NotPlain):
        KnownRows(plan(children=(child,)))
    KnownRows(plan(children=(ForeignKey(("d", "c"), ("d", "t"), False, ("t",), ("k",)),)))
