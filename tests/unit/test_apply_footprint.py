"""Batches that may touch one row never count as apart."""

from __future__ import annotations

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
