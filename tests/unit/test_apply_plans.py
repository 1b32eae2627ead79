"""Which tables are compared whole: the table's entry, then the pair's word, then what its mode and policies need."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from conflict import parse_policies
from replicator.apply.plans import Plans
from replicator.errors import ApplyError
from tests.unit.plan_samples import plan


def test_what_is_remembered_of_the_target_is_asked_again_before_it_is_blamed() -> None:
    """A column may have come by a statement of the target's own users."""
    made = plan()
    old = replace(made.target, columns=made.target.columns[:2])
    known = [old, made.target]
    targets: Any = SimpleNamespace(version=0, find=lambda *_: known[targets.version])
    targets.forget = lambda: setattr(targets, "version", 1)
    mapping = SimpleNamespace(target_table=lambda *name: name)
    stream: Any = SimpleNamespace(
        pair=SimpleNamespace(mode="one_way", detect=None),
        apply=SimpleNamespace(detect=None),
        policies=parse_policies({}),
        mapping=mapping,
        target=SimpleNamespace(name="west"),
    )
    plans = Plans(stream, targets)
    plans.flavor = "mysql"
    found = plans.get(made.body)
    assert found is not None and found.target is made.target
    known[1] = old
    targets.version = 0
    with pytest.raises(ApplyError, match="target_column_missing"):
        plans.get(made.body)


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
