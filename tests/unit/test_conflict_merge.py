"""Settling by columns: three-way merging, differences, greatest and least, over every kind of value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from conflict import (
    Action,
    Change,
    ColumnInfo,
    ColumnKind,
    Decision,
    LocalRow,
    Provenance,
    Row,
    TableInfo,
    decide,
    parse_policies,
)

LOW, HIGH = (Decimal((sign, (9,) * 37, -2)) for sign in (1, 0))
TABLE = TableInfo(
    "shop",
    "stock",
    (
        ColumnInfo("id", ColumnKind.INTEGER, nullable=False),
        ColumnInfo("quantity", ColumnKind.INTEGER, minimum=0, maximum=255),
        ColumnInfo("price", ColumnKind.DECIMAL, minimum=LOW, maximum=HIGH, scale=2),
        ColumnInfo("weight", ColumnKind.FLOAT),
        ColumnInfo("seen_at", ColumnKind.TEMPORAL),
        ColumnInfo("spent", ColumnKind.TIME),
        ColumnInfo("name", ColumnKind.TEXT),
        ColumnInfo("data", ColumnKind.OTHER),
    ),
    key=(0,),
)
BASE: Row = (1, 10, b"5.00", 1.5, b"2024-05-01 10:00:00", b"01:00:00", b"pen", b"{}")
NAMES = [c.name for c in TABLE.columns]


def row(**values: object) -> Row:
    """The base row with other values."""
    return tuple([values.get(name, value) for name, value in zip(NAMES, BASE, strict=True)])


def settle(policy: Any, change: Change, current: Row, *, site: str = "west", table: TableInfo = TABLE) -> Decision:
    """Decide at a site; the change comes from the other one, and east has the higher priority."""
    origin = Provenance("east" if site == "west" else "west", 1_000, priority=1 if site == "west" else 2)
    conflict = "update_differing" if change.before is not None else "insert_exists"
    raw = policy if "tables" in policy else {"default": {conflict: policy}}
    return decide(
        change,
        LocalRow(current),
        policies=parse_policies(raw),
        table=table,
        origin=origin,
        site=site,
        site_priority=2 if site == "west" else 1,
    )


def reason(decision: Decision) -> str:
    """Why it was decided so."""
    assert decision.record is not None
    return decision.record.reason


def test_changes_of_different_columns_meet() -> None:
    """What only one side changed comes from that side."""
    change = Change(BASE, row(name=b"biro", price=b"6.00"))
    decision = settle({"policy": "merge_columns"}, change, row(quantity=7))
    assert decision.action is Action.WRITE_UPDATE
    assert decision.row == row(name=b"biro", price=b"6.00", quantity=7)
    assert reason(decision) == "merged: from the change price, name; differing: quantity"


def test_clashes_go_by_site_priority_at_both_sites() -> None:
    """Both changed the name: east's stays, whichever side looks at it; other columns are merged."""
    east, west = row(name=b"east", price=b"6.00"), row(name=b"west", quantity=7)
    at_west = settle({"policy": "merge_columns"}, Change(BASE, east), west)
    at_east = settle({"policy": "merge_columns"}, Change(BASE, west), east, site="east")
    assert at_west.row == at_east.row == row(name=b"east", price=b"6.00", quantity=7)
    assert "both sides changed name" in reason(at_west)


@pytest.mark.parametrize(
    ("word", "name", "action"),
    [
        ("apply_origin", b"east", Action.WRITE_UPDATE),
        ("keep_target", b"west", Action.KEEP),
        ("halt", None, Action.HALT),
        ("quarantine", None, Action.QUARANTINE),
    ],
)
def test_a_clash_is_settled_as_configured(word: str, name: bytes | None, action: Action) -> None:
    """``clash`` settles only the columns that both sides changed."""
    change = Change(BASE, row(name=b"east"))
    decision = settle({"policy": "merge_columns", "clash": word}, change, row(name=b"west"))
    assert decision.action is action
    if action is Action.WRITE_UPDATE:
        assert decision.row == row(name=name)


def test_a_clash_by_the_latest_column() -> None:
    """The row whose timestamp column is later gives the unit that both changed."""
    policy = {"policy": "merge_columns", "columns": {"name, seen_at": {"policy": "latest_timestamp", "column": "seen_at"}}}
    later, earlier = b"2024-05-01 12:00:00", b"2024-05-01 11:00:00"
    won = settle(policy, Change(BASE, row(name=b"east", seen_at=later)), row(name=b"west", seen_at=earlier, quantity=1))
    assert won.row == row(name=b"east", seen_at=later, quantity=1)
    lost = settle(policy, Change(BASE, row(name=b"east", seen_at=earlier)), row(name=b"west", seen_at=later, quantity=1))
    assert lost.action is Action.KEEP


@pytest.mark.parametrize("quantity", [10, 7])
def test_a_unit_of_the_latest_column_keeps_the_memory_of_what_it_beats(quantity: int) -> None:
    """The origin's next change is compared too: the one before it did not supersede what is here, whatever else it brought."""
    policy = {"policy": "merge_columns", "columns": {"name, seen_at": {"policy": "latest_timestamp", "column": "seen_at"}}}
    later, earlier = b"2024-05-01 12:00:00", b"2024-05-01 11:00:00"
    change = Change(BASE, row(name=b"east", seen_at=earlier, quantity=quantity))
    assert settle(policy, change, row(name=b"west", seen_at=later)).provenance is None
    assert settle({"policy": "merge_columns"}, change, row(name=b"west", seen_at=later)).provenance is not None


def test_columns_named_together_come_from_one_side() -> None:
    """Price and quantity are one unit: west changed one, east the other, and that is a clash."""
    policy = {"policy": "merge_columns", "columns": {"price, quantity": "apply_origin"}}
    decision = settle(policy, Change(BASE, row(price=b"6.00")), row(quantity=7, name=b"west"))
    assert decision.row == row(price=b"6.00", name=b"west")


def test_columns_of_a_glob_are_each_for_themselves() -> None:
    """A glob names many columns, which do not belong together."""
    policy = {"policy": "merge_columns", "columns": {"[pq]*": "apply_origin"}}
    decision = settle(policy, Change(BASE, row(price=b"6.00")), row(quantity=7))
    assert decision.row == row(price=b"6.00", quantity=7)


def test_groups_in_the_table_s_entry() -> None:
    """``columns`` beside the types says the same as a merge_columns policy for update_differing."""
    raw = {"tables": {"shop.stock": {"columns": {"quantity": {"policy": "delta"}, "price": "greatest", "*": "keep_target"}}}}
    change = Change(BASE, row(quantity=12, price=b"4.00", name=b"east"))
    decision = settle(raw, change, row(quantity=7, price=b"4.50", name=b"west"))
    assert decision.row == row(quantity=9, price=b"4.50", name=b"west")


@pytest.mark.parametrize(
    ("column", "before", "after", "current", "merged"),
    [
        ("quantity", 10, 12, 7, 9),
        ("quantity", 10, 3, 9, 2),
        ("price", b"5.00", b"6.50", b"4.25", b"5.75"),
        ("price", b"5.00", b"4.00", b"1.00", b"0.00"),
        ("price", b"0.10", b"0.30", b"-0.20", b"0.00"),
        ("price", b"99999999999999999999999999999999999.99", b"1.00", b"99999999999999999999999999999999999.99", b"1.00"),
    ],
)
def test_delta_adds_the_difference(column: str, before: object, after: object, current: object, merged: object) -> None:
    """current + (after - before), exactly, with the scale of the column."""
    change = Change(row(**{column: before}), row(**{column: after}))
    decision = settle({"policy": "delta", "columns": [column]}, change, row(**{column: current, "name": b"west"}))
    assert decision.row == row(**{column: merged, "name": b"west"})


def test_delta_counts_even_if_both_sides_came_to_the_same_number() -> None:
    """Both sold three of ten: four are left, though the row is already as the change wants it."""
    decision = settle({"policy": "delta", "columns": ["quantity"]}, Change(BASE, row(quantity=7)), row(quantity=7))
    assert decision.row == row(quantity=4)


@pytest.mark.parametrize(
    ("column", "before", "after", "current", "what"),
    [
        ("quantity", 10, 0, 5, "leaves the range of column quantity"),
        ("quantity", 10, 200, 100, "leaves the range of column quantity"),
        ("price", b"1.00", b"1.01", b"9" * 35 + b".99", "leaves the range of column price"),
        ("price", b"1.01", b"1.00", b"-" + b"9" * 35 + b".99", "leaves the range of column price"),
        ("quantity", None, 3, 5, "cannot be calculated in column quantity"),
        ("quantity", 10, 3, None, "cannot be calculated in column quantity"),
        ("price", b"5.00", b"six", b"1.00", "cannot be calculated in column price"),
        ("weight", 1.5, 2.5, 3.5, "cannot be calculated in column weight"),
        ("name", b"a", b"b", b"c", "cannot be calculated in column name"),
    ],
)
def test_delta_without_an_answer_goes_to_quarantine(
    column: str, before: object, after: object, current: object, what: str
) -> None:
    """NULLs, overflow and columns without exact differences: nothing is made up."""
    change = Change(row(**{column: before}), row(**{column: after}))
    decision = settle({"policy": "delta", "columns": [column]}, change, row(**{column: current}))
    assert decision.action is Action.QUARANTINE
    assert what in reason(decision)


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ("quantity", 9, 11),
        ("quantity", None, 0),
        ("price", b"9.00", b"10.00"),
        ("price", b"-10.00", b"-9.00"),
        ("weight", -1.5, 2.25),
        ("seen_at", b"2024-05-01 09:00:00", b"2024-05-01 10:00:00.5"),
        ("spent", b"-02:00:00", b"-01:00:00"),
        ("spent", b"99:00:00", b"100:00:00"),
    ],
)
@pytest.mark.parametrize("mine_is_high", [True, False])
def test_greatest_and_least(column: str, low: object, high: object, mine_is_high: bool) -> None:
    """Values are compared as their type does, not as text; NULL is below everything."""
    mine, theirs = (high, low) if mine_is_high else (low, high)
    change, current = Change(BASE, row(**{column: mine})), row(**{column: theirs, "name": b"west"})
    for word, kept in (("greatest", high), ("least", low)):
        decision = settle({"policy": word, "column": column}, change, current)
        assert decision.row == row(**{column: kept, "name": b"west"}) or (
            decision.action is Action.KEEP and current == row(**{column: kept, "name": b"west"})
        )


def test_greatest_on_what_has_no_order_goes_to_quarantine() -> None:
    """JSON is only ever equal or not."""
    decision = settle({"policy": "greatest", "column": "data"}, Change(BASE, row(data=b"[1]")), row(data=b"[2]"))
    assert decision.action is Action.QUARANTINE
    assert "greatest cannot be calculated in column data" in reason(decision)


def test_inserts_at_both_sites_are_merged_by_their_clash() -> None:
    """An insert has no before image: greatest calculates, everything else that differs is a clash."""
    policy = {"policy": "greatest", "columns": ["quantity"], "clash": "keep_target"}
    decision = settle(policy, Change(None, row(quantity=20, name=b"east")), row(quantity=7, name=b"west"))
    assert decision.row == row(quantity=20, name=b"west")
    merge = {"policy": "merge_columns", "columns": {"quantity": "delta"}, "clash": "apply_origin"}
    decision = settle(merge, Change(None, row(quantity=20)), row(quantity=7))
    assert decision.row == row(quantity=20), "there is no difference to add, so the clash settles it"


@pytest.mark.parametrize("word", ["merge_columns", "delta", "greatest"])
def test_floats_and_bytes_compare_as_stored(word: str) -> None:
    """-0.0 is not 0.0, and 'PEN' is not 'pen': both are changes of the target."""
    policy = {"policy": word, "clash": "keep_target"} | ({} if word == "merge_columns" else {"columns": ["quantity"]})
    base = row(weight=0.0)
    current = row(weight=-0.0, name=b"PEN")
    decision = settle(policy, Change(base, row(weight=2.5, name=b"biro")), current)
    assert decision.action is Action.KEEP
    assert "both sides changed weight, name" in reason(decision)


def test_generated_columns_are_left_to_the_database() -> None:
    """A generated column differs because what it is made of does: it is no clash of its own."""
    total = TableInfo("shop", "stock", (*TABLE.columns[:7], ColumnInfo("total", ColumnKind.OTHER, generated=True)), key=(0,))
    change = Change(BASE, (*row(quantity=12)[:7], b"60"))
    decision = settle({"policy": "merge_columns", "clash": "halt"}, change, (*row(price=b"6.00")[:7], b"70"), table=total)
    assert decision.action is Action.WRITE_UPDATE
    assert decision.row is not None and decision.row[:7] == row(quantity=12, price=b"6.00")[:7]


def test_no_unique_key_is_made_up() -> None:
    """Half of a unique key from each side was never looked up, and might be another row's."""
    unique = TableInfo("shop", "stock", TABLE.columns, key=(0,), unique_keys=((1, 6),))
    change = Change(BASE, row(quantity=12))
    decision = settle({"policy": "merge_columns"}, change, row(name=b"west"), table=unique)
    assert decision.action is Action.QUARANTINE
    assert "new unique key (quantity, name)" in reason(decision)


def test_a_merge_moves_the_row() -> None:
    """The primary key is a column like others: only the change touched it."""
    change = Change(BASE, row(id=2, name=b"biro"))
    decision = settle({"policy": "merge_columns"}, change, row(quantity=7))
    assert decision.action is Action.WRITE_UPDATE
    assert decision.row == row(id=2, name=b"biro", quantity=7)
