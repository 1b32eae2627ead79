"""Batches that may touch one row never count as apart."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.apply.collate import folds_plainly
from replicator.apply.footprint import Footprint
from tests.unit.plan_samples import plan


def footprint(collation: str, key: bytes) -> Footprint:
    """Of one row with this text key."""
    made = Footprint()
    made.add(plan(text_key=True, collation=collation), [(b"'%b'" % key, b"%d" % key[0], b"1")])
    return made


@pytest.mark.parametrize(
    ("collation", "one", "other", "meet"),
    [
        ("utf8mb4_general_ci", b"i", b"I ", True),
        ("utf8mb4_general_ci", b"i", b"y", False),
        ("utf8mb4_lithuanian_ci", b"i", b"y", True),
        ("utf8mb4_lv_0900_ai_ci", b"i", b"y", True),
        ("utf8mb4_uca1400_roman_ai_ci", b"u", b"v", True),
        ("macce_general_ci", b"m", b"n", True),
        ("utf8mb4_hu_0900_ai_ci", b"ccs", b"cscs", True),
    ],
)
def test_keys_that_are_one_to_the_collation_meet(collation: str, one: bytes, other: bytes, meet: bool) -> None:
    """Where letters of ASCII are one to it that upper case does not make one, the whole table counts."""
    assert footprint(collation, one).meets(footprint(collation, other)) is meet


def test_romanian_is_not_roman() -> None:
    """Its rules are of accents only."""
    assert folds_plainly("utf8mb4_romanian_ci") and folds_plainly("utf8mb4_uca1400_romanian_ai_ci")


def rows(*images: tuple[bytes, ...], **table: Any) -> Footprint:
    """Of these rows."""
    made = Footprint()
    made.add(plan(**table), images)
    return made


def test_null_in_a_unique_key_is_equal_to_nothing() -> None:
    """A table whose rows mostly have NULL there would else be written by one connection at a time."""
    assert not rows((b"1", b"NULL", b"3")).meets(rows((b"2", b"NULL", b"3")))
    assert rows((b"1", b"7", b"3")).meets(rows((b"2", b"7", b"3")))
    assert rows((b"1", b"NULL", b"3")).meets(rows((b"1", b"NULL", b"3"))), "the primary key is the same"


def test_an_enum_in_a_key_goes_by_its_number() -> None:
    """ENUM has a collation, but its literals are numbers."""
    one, other = (b"1", b"1", b"1"), (b"2", b"2", b"2")
    assert not rows(one, text_key=True).meets(rows(other, text_key=True))
    assert rows(one, text_key=True).meets(rows(one, text_key=True))


@pytest.mark.parametrize("number", [b"1", b"20"])
def test_keys_alone_tell_the_same_as_whole_rows(number: bytes) -> None:
    """The short way and the long one count a row alike; where text or a second key is in it, only the long one counts."""
    alone = plan(uniques=())
    by_key, by_row = Footprint(), Footprint()
    assert by_key.rows(alone, [b"1", b"2"])
    by_row.add(alone, [(number, b"7", b"7")])
    assert by_key.meets(by_row) is (number == b"1") is by_row.meets(by_key)
    assert not Footprint().rows(plan(), [b"1"]) and not Footprint().rows(plan(text_key=True, uniques=()), [b"'a'"])
