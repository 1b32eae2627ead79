"""How `explain` finds a row in the logs by the key that somebody typed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from replicator.apply.journal import key_text
from replicator.cli.explain import Told, mark_last, spellings
from replicator.config import StreamConfig


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


def told(origin: str, target: str, *changes: tuple[int, int], applied: int = 9, unheard: bool = False) -> Told:
    """A stream with changes of (sequence, seen)."""
    stream = SimpleNamespace(id=SimpleNamespace(origin=origin, target=target), unheard=unheard)
    found = [{"sequence": sequence, "seen": seen, "present_at": []} for sequence, seen in changes]
    return Told(cast("StreamConfig", stream), applied, found, [], [])


def last(streams: list[Told], site: str) -> list[tuple[str, int]]:
    """Origin and sequence of what is said to have written the row last there."""
    mark_last(site, streams)
    return [(one.stream.id.origin, c["sequence"]) for one in streams for c in one.changes if site in c["present_at"]]


def test_the_last_writer_is_told_by_what_local_changes_had_seen() -> None:
    """A change that arrived before the site's own is older there, one behind it later, one that is not applied none."""
    assert last([told("a", "b", (1, 0), (2, 0)), told("b", "a", (5, 1))], "b") == [("a", 2)]
    assert last([told("a", "b", (1, 0), (2, 0)), told("b", "a", (5, 2))], "b") == [("b", 5)]
    assert last([told("a", "b", (1, 0), (2, 0), applied=1), told("b", "a", (5, 1))], "b") == [("b", 5)]
    assert last([told("a", "b", (1, 0), (2, 0))], "b") == [("a", 2)]
    assert last([told("a", "b", (1, 0), (2, 0))], "a") == [("a", 2)]
    assert last([told("a", "b", (1, 0), (2, 0), unheard=True)], "b") == []
    assert last([told("a", "b")], "b") == []


@pytest.mark.parametrize(
    ("conflict", "decision", "expected"),
    [
        ("update_differing", "update", [("a", 2)]),
        ("update_differing", "keep", [("a", 1)]),
        ("update_missing", "skip", [("a", 1)]),
        ("update_differing", "quarantine", [("a", 1)]),
        ("update_differing", "would be update", [("a", 1)]),
        ("target_column_missing", "skip", [("a", 2)]),
        ("target_column_missing", "would be skip", [("a", 1)]),
        ("update_differing", "halt", []),  # mended and written, or skipped: nobody knows
    ],
)
def test_decisions_tell_whether_a_change_was_written(conflict: str, decision: str, expected: list[tuple[str, int]]) -> None:
    """By the log's words; the decision that wrote it is marked too."""
    there = told("a", "b", (1, 0), (2, 0))
    entry: dict[str, Any] = {"sequence": 2, "conflict": conflict, "decision": decision}
    there.decisions.append(entry)
    assert last([there], "b") == expected
    assert entry.get("present_at", []) == (["b"] if expected == [("a", 2)] else [])


@pytest.mark.parametrize(("state", "expected"), [("held", [("a", 1)]), ("discarded", [("a", 1)]), ("retried", [])])
def test_what_was_released_is_nobodys_guess(state: str, expected: list[tuple[str, int]]) -> None:
    """It was written later than in its turn."""
    there = told("a", "b", (1, 0), (2, 0))
    there.held.append({"sequence": 2, "state": state})
    assert last([there], "b") == expected
