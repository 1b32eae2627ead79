"""Which tables are compared whole: the table's entry, then the pair's word, then what its mode and policies need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conflict import parse_policies
from replicator.apply.plans import Plans
from replicator.apply.target import TargetTable
from replicator.config import load_config
from replicator.errors import ApplyError, ConfigError
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


def checking(conflicts: str, target: TargetTable | None = None, mapping: str = "{}", default: str = "{}") -> Plans:
    """Plans of the sample table that are checked against its policies and the pair's, which stand in line 5 of the file."""
    text = f"""sites:
  east: {{database: {{port: 1}}, kafka: {{bootstrap_servers: ["127.0.0.1:1"]}}}}
  west: {{database: {{port: 2}}}}
pairs:
- {{name: p, origin: east, target: west, mapping: {mapping}, conflicts: {{default: {default}, tables: {{d.t: {conflicts}}}}}}}
"""
    (stream,) = load_config(Path("replicator.yaml"), text=text).streams()
    targets: Any = SimpleNamespace(version=0, find=lambda *_: target or plan().target)
    targets.forget = lambda: setattr(targets, "version", targets.version + 1)
    plans = Plans(stream, targets, checks=True)
    plans.flavor = "mysql"
    return plans


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ("{policy: greatest, columns: [u]}", "tables.d.t.update_differing.columns: u belongs to a key of d.t"),
        ("{policy: latest_timestamp, column: w}", "tables.d.t.update_differing.column: d.t has no column 'w'"),
        ("{policy: delta, columns: ['w*']}", "tables.d.t.update_differing.columns: d.t has no column that matches 'w*'"),
    ],
)
def test_a_policy_that_does_not_fit_a_table_is_told_with_its_line(policy: str, what: str) -> None:
    """Before the table's first change, and again after every statement that may have made it another one."""
    plans = checking(f"{{update_differing: {policy}}}")
    for _ in range(2):
        with pytest.raises(ConfigError, match="reload") as caught:
            plans.get(plan().body)
        assert caught.value.what.startswith(f"replicator.yaml:5: conflicts.{what}")
        plans.forget()


@pytest.mark.parametrize(
    ("policy", "changes", "mapping"),
    [
        ("{policy: greatest, columns: [v]}", {}, "{}"),
        ("{policy: delta, columns: [v]}", {}, "{}"),
        ("{policy: delta, columns: [gone]}", {}, "{tables: {d.t: {drop_columns: [Gone]}}}"),
        ("{policy: delta, columns: ['go*']}", {}, "{tables: {d.t: {drop_columns: [Gone]}}}"),
        ("{policy: delta, columns: [v]}", {"lacks": True}, "{}"),
        ("{policy: delta, columns: [v]}", {"generated": True}, "{}"),
        ("{policy: delta, columns: [v]}", {"primary_key": ()}, "{}"),
    ],
)
def test_a_policy_for_what_is_not_carried_stops_nothing(policy: str, changes: dict[str, Any], mapping: str) -> None:
    """Columns that are dropped on the way, left out, or made by the target itself; and tables whose policies are never asked."""
    target = plan().target
    columns = target.columns[:2] if changes.pop("lacks", False) else target.columns
    if changes.pop("generated", False):
        columns = (*columns[:2], replace(columns[2], generated=True))
    target = replace(target, columns=columns, **changes)
    plans = checking(f"{{update_differing: {policy}, target_column_missing: skip_if_missing}}", target, mapping)
    assert plans.get(plan().body) is not None


@pytest.mark.parametrize("column", ["w", "w*"])
def test_a_default_of_the_pair_may_name_what_a_table_lacks(column: str) -> None:
    """Not every table need have its columns: the applier goes on, and only `check` tells."""
    default = f"{{update_differing: {{policy: delta, columns: ['{column}']}}}}"
    plans = checking("{}", default=default)
    assert plans.get(plan().body) is not None
    own = checking(default)
    with pytest.raises(ConfigError, match=r"d\.t has no column"):
        own.get(plan().body)
