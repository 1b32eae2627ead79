"""How `explain` finds a row in the logs by the key that somebody typed."""

from __future__ import annotations

import json

import pytest

from replicator.apply.journal import key_text
from replicator.cli.explain import spellings


@pytest.mark.parametrize(
    ("wanted", "logged"),
    [
        (["5"], ['["5"]', "[5]"]),
        (["5", "a"], ['["5", "a"]', '[5, "a"]']),
        (["12.50"], ['["12.50"]']),
        (["1.5"], ['["1.5"]', "[1.5]"]),
        (["05", "2024-01-02"], ['["05", "2024-01-02"]']),
        (["NULL"], ['["NULL"]', "[null]"]),
        (['{"hex": "ff00"}'], ['["{\\"hex\\": \\"ff00\\"}"]', '[{"hex": "ff00"}]']),
        (["é 'x\\"], ["[\"é 'x\\\\\"]"]),
        (["true"], ['["true"]']),
    ],
)
def test_a_typed_value_may_be_a_number_or_a_text(wanted: list[str], logged: list[str]) -> None:
    """Each as the log writes it, and nothing that only looks like it."""
    assert spellings(wanted) == logged
    assert all(key_text(json.loads(text)) == text for text in logged if "hex" not in text)


def test_a_long_key_is_looked_for_as_the_log_cuts_it() -> None:
    """By its beginning and its hash; one of very many columns by reading the log."""
    (cut,) = spellings(["x" * 2000])
    assert cut == key_text([b"x" * 2000]) and len(cut) < 700 and "…" in cut
    assert len(spellings(["5"] * 10)) == 1024
    assert spellings(["5"] * 11) == []
