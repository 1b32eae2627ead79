"""Which tables are compared whole: the table's entry, then the pair's word, then what its mode and policies need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from conflict import parse_policies
from replicator.apply.plans import Plans
from tests.unit.plan_samples import plan


@pytest.mark.parametrize(
    ("tables", "detect", "mode", "full"),
    [
        ({}, None, "one_way", False),
        ({}, None, "bidirectional", True),
        ({}, "full", "one_way", True),
        ({"d.t": "keep_target"}, None, "one_way", True),
        ({"d.t": "keep_target"}, "key", "one_way", False),
        ({"d.t": {"detect": "full"}}, "key", "one_way", True),
        ({"d.*": {"detect": "key"}}, None, "bidirectional", False),
        ({"d.u": {"detect": "full"}}, None, "one_way", False),
    ],
)
def test_what_is_compared(tables: dict[str, Any], detect: str | None, mode: str, full: bool) -> None:
    """The most specific wins."""
    pair = SimpleNamespace(mode=mode, detect=detect)
    stream: Any = SimpleNamespace(pair=pair, apply=SimpleNamespace(detect=None), policies=parse_policies({"tables": tables}))
    targets: Any = SimpleNamespace(version=0)
    assert Plans(stream, targets)._full(plan().map) is full
