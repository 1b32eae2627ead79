"""Spellings of a key are one exactly where the collation says so."""

from __future__ import annotations

import pytest

from replicator.apply.collate import fold_of

ANY = "utf8mb4_general_ci"


@pytest.mark.parametrize(
    ("collation", "one", "other", "equal"),
    [
        (ANY, "a", "A", True),
        (ANY, "a", "a  ", True),
        (ANY, "é", "E", True),
        (ANY, "a", "b", False),
        (ANY, "ß", "ss", False),
        (ANY, "か", "が", False),
        ("utf8mb4_0900_ai_ci", "a", "a ", False),
        ("utf8mb4_0900_ai_ci", "É", "e", True),
        ("utf8mb4_0900_as_ci", "é", "É", True),
        ("utf8mb4_0900_as_ci", "é", "e", False),
        ("utf8mb4_0900_as_cs", "a", "A", False),
        ("utf8mb4_bin", "a", "A", False),
        ("utf8mb4_bin", "a", "a ", True),
        ("utf8mb4_general_nopad_ci", "a", "a ", False),
        ("utf8mb4_uca1400_ai_ci", "é", "E", True),
        ("utf8mb4_swedish_ci", "ä", "a", False),
        ("utf8mb4_swedish_ci", "ä", "Ä", True),
        (ANY, "ı", "i", True),
        ("utf8mb4_0900_ai_ci", "ı", "i", False),
        ("utf8mb4_unicode_ci", "ılk", "ilk", False),
        ("utf8mb4_turkish_ci", "i", "I", False),
        ("utf8mb4_turkish_ci", "i", "İ", True),
        ("utf8mb4_turkish_ci", "ı", "I", True),
        ("utf8mb4_turkish_ci", "ilk", "ILK", False),
        ("utf8mb4_turkish_ci", "a", "A", True),
        ("utf8mb4_tr_0900_ai_ci", "i", "I", False),
        ("utf8mb4_tr_0900_ai_ci", "ı", "I", True),
    ],
)
def test_spellings(collation: str, one: str, other: str, equal: bool) -> None:
    """By case, accents and trailing spaces."""
    fold = fold_of("utf8mb4", collation)
    assert (fold(one.encode()) == fold(other.encode())) is equal


def test_character_sets_are_read() -> None:
    """A text is folded as its characters, not its bytes; what is none stays as it is."""
    assert fold_of("latin1", "latin1_swedish_ci")(b"\xe4") == fold_of("utf8mb4", "utf8mb4_swedish_ci")("Ä".encode())
    assert fold_of("utf8mb4", ANY)(b"\xff") == b"\xff"
