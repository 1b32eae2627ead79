"""docs/CONFLICTS.md: its configurations are valid, its examples come out as it says, and it names every type and policy."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from conflict import (
    Action,
    Change,
    ColumnInfo,
    ColumnKind,
    ConflictType,
    Decision,
    LocalRow,
    PolicyName,
    Provenance,
    Row,
    TableInfo,
    decide,
    decide_structural,
    parse_policies,
)
from replicator.apply.missing import Missing
from tests.unit.plan_samples import plan

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "CONFLICTS.md").read_text()
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
BLOCKS = [block for block in YAML if not block.startswith("- ")]
EXAMPLES: list[dict[str, Any]] = [
    example for block in YAML if block.startswith("- ") for example in yaml.load(block, yaml.BaseLoader)
]
by_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: "-".join(example["log"][:2]))

KINDS = {
    "INT": ColumnKind.INTEGER,
    "DECIMAL": ColumnKind.DECIMAL,
    "DATETIME": ColumnKind.TEMPORAL,
    "VARCHAR": ColumnKind.TEXT,
}
STOPS = (Action.KEEP, Action.SKIP, Action.QUARANTINE, Action.HALT)


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


def tables() -> dict[str, TableInfo]:
    """The tables of the examples, by name, as the manual creates them."""
    found = {}
    for schema, table, body in re.findall(r"^CREATE TABLE (\w+)\.(\w+) \((.*)\);$", TEXT, re.MULTILINE):
        columns, key, unique = [], [], []
        for at, definition in enumerate(body.split(", ")):
            name, kind, rest = re.fullmatch(r"(\w+) (\w+)(?:\([\d,]+\))?(.*)", definition).groups()  # type: ignore[union-attr]
            key += [at] if "PRIMARY KEY" in rest else []
            unique += [(at,)] if "UNIQUE" in rest else []
            columns.append(ColumnInfo(name, KINDS[kind], nullable=not re.search("PRIMARY KEY|NOT NULL", rest)))
        found[f"{schema}.{table}"] = TableInfo(schema, table, tuple(columns), tuple(key), tuple(unique))
    return found


TABLES = tables()


def row_of(texts: list[str] | None, table: TableInfo) -> Row | None:
    """A row of the manual with the values that the applier would hand over."""
    if texts is None:
        return None
    assert len(texts) == len(table.columns), texts
    integers = [column.kind is ColumnKind.INTEGER for column in table.columns]
    return tuple([int(text) if integer else text.encode() for text, integer in zip(texts, integers, strict=True)])


def writer(site: str, example: Mapping[str, Any]) -> Provenance:
    """A site as a writer; where nothing is said, everything was committed at once."""
    hours, minutes = example.get("committed", {}).get(site, "0:0").split(":")
    return Provenance(site, (int(hours) * 60 + int(minutes)) * 60_000_000, priority={"east": 1, "west": 2}[site])


def settled(example: Mapping[str, Any], table: TableInfo, rows: list[Row]) -> tuple[Decision, list[Row]]:
    """What is decided where the target holds these rows, and which it holds afterwards."""
    change = Change(*(row_of(example["change"].get(image), table) for image in ("before", "after")))
    policies = parse_policies({"tables": {f"{table.schema}.{table.table}": example[f"{table.schema}.{table.table}"]}})
    assert policies.validate(table) == []
    if "found" in example:
        (conflict,) = [ConflictType(word) for word in example[f"{table.schema}.{table.table}"]]
        found = decide_structural(
            conflict, policies=policies, table=table.name, detail=example["found"], origin=writer("east", example)
        )
        assert found.action in STOPS, "what becomes of the rows is the applier's"
        return found, rows

    def at(image: Row, key: tuple[int, ...]) -> LocalRow:
        there = next((row for row in rows if all(row[i] == image[i] for i in key)), None)
        known = "committed" in example and there not in (None, change.before)  # what is as the change found it is not west's
        return LocalRow(there, writer("west", example) if known else None)

    old = change.before if change.before is not None else change.after
    assert old is not None
    local = at(old, table.key)
    keys = (table.key, *table.unique_keys) if change.moves(table.key) else table.unique_keys
    others = [at(change.after, key) for key in keys] if change.after is not None else []
    decision = decide(
        change,
        local,
        [other for other in others if other.row is not None],
        policies=policies,
        table=table,
        origin=writer("east", example),
        site="west",
        site_priority=2,
        remembering="committed" in example,
    )
    assert set(decision.delete_first) <= set(rows)
    gone = {*decision.delete_first, *([local.row] if decision.action in (Action.WRITE_UPDATE, Action.WRITE_DELETE) else [])}
    after = [row for row in rows if row not in gone]
    if decision.action in (Action.WRITE_INSERT, Action.WRITE_UPDATE):
        assert decision.row is not None
        after.append(decision.row)
    return decision, sorted(after, key=lambda row: [row[i] for i in table.key])


@pytest.fixture
def hooked() -> Iterator[None]:
    """The manual's function, where its policy looks for it."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def settle" in block]
    module = ModuleType("shop_rules")
    exec(code, module.__dict__)
    sys.modules["shop_rules"] = module
    yield
    del sys.modules["shop_rules"]


@by_example
@pytest.mark.usefixtures("hooked")
def test_an_example_comes_out_as_the_manual_says(example: dict[str, Any]) -> None:
    """The rows that the target holds then, and all words of the log."""
    (name,) = example.keys() & TABLES.keys()
    table = TABLES[name]
    rest = {"found", "log"} if "found" in example else {"west", "then", "log"}
    assert rest <= example.keys() - {name, "change"} <= rest | {"committed"}
    rows = {of: [row_of(texts, table) for texts in example.get(of, [])] for of in ("west", "then")}
    decision, then = settled(example, table, rows["west"])  # type: ignore[arg-type]
    record = decision.record
    assert record is not None
    assert record.decision is decision.action
    assert [str(record.conflict), record.policy, str(record.decision), record.reason] == example["log"]
    assert then == rows["then"]


def test_examples_have_every_type_and_policy() -> None:
    """Each at least once, `latest_timestamp` by column and by commit time, and a merge with groups."""
    assert {example["log"][0] for example in EXAMPLES} == set(ConflictType)
    policies = {example["log"][1] for example in EXAMPLES}
    assert {re.split("[(:]", policy)[0] for policy in policies} == set(PolicyName)
    assert {"latest_timestamp", "latest_timestamp(updated_at)"} <= policies
    assert any("; " in policy for policy in policies if policy.startswith("merge_columns("))


def test_what_an_example_finds_is_what_the_applier_says() -> None:
    """The words for what is missing besides the row."""
    code = (ROOT / "replicator" / "apply" / "resolve.py").read_text()
    nothing: Any = None
    for example in EXAMPLES:
        if "found" in example:
            (name,) = example.keys() & TABLES.keys()
            if example["log"][0] == ConflictType.FOREIGN_KEY_MISSING:
                assert f'"{example["found"]}"' in code
            else:
                columns = ("name",) if example["log"][0] == ConflictType.TARGET_COLUMN_MISSING else ()
                table = TABLES[name]
                missing = Missing(nothing, plan().body, "mysql", table.schema, table.table, columns)
                assert missing.detail == example["found"]
