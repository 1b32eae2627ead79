"""docs/CONFLICTS.md: its configurations are valid, and it names every type and policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from conflict import ConflictType, PolicyName, parse_policies

TEXT = (Path(__file__).parents[2] / "docs" / "CONFLICTS.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_configuration_in_the_manual_is_valid(block: str) -> None:
    """Every YAML block can be pasted as it stands; hooks are the reader's own."""
    raw = yaml.safe_load(block)
    assert list(raw) == ["conflicts"]
    parse_policies(raw["conflicts"], load_hooks=False)


def test_there_are_configurations() -> None:
    """The pattern finds the blocks."""
    assert len(BLOCKS) >= 6


@pytest.mark.parametrize("word", [*ConflictType, *PolicyName])
def test_every_word_is_explained(word: str) -> None:
    """No type and no policy is missing from the manual."""
    assert f"`{word}" in TEXT
