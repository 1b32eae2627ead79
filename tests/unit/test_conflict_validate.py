"""Policies against a table's columns: what cannot work is found before the first conflict, with its place in the file."""

from __future__ import annotations

from typing import Any

import pytest

from conflict import ColumnInfo, ColumnKind, Problem, TableInfo, parse_policies

TABLE = TableInfo(
    "shop",
    "stock",
    (
        ColumnInfo("id", ColumnKind.INTEGER, nullable=False),
        ColumnInfo("code", ColumnKind.INTEGER, nullable=False),
        ColumnInfo("quantity", ColumnKind.INTEGER, nullable=False),
        ColumnInfo("maybe", ColumnKind.INTEGER),
        ColumnInfo("price", ColumnKind.DECIMAL, nullable=False),
        ColumnInfo("weight", ColumnKind.FLOAT),
        ColumnInfo("updated_at", ColumnKind.TEMPORAL),
        ColumnInfo("spent", ColumnKind.TIME),
        ColumnInfo("name", ColumnKind.TEXT),
        ColumnInfo("data", ColumnKind.OTHER),
        ColumnInfo("total", ColumnKind.DECIMAL, nullable=False, generated=True),
    ),
    key=(0,),
    unique_keys=((1,),),
)


def check(policy: Any, table: TableInfo = TABLE) -> list[Problem]:
    """Problems of an entry for the table."""
    return parse_policies({"tables": {"shop.stock": policy}}).validate(table)


@pytest.mark.parametrize(
    ("policy", "path", "value", "what"),
    [
        ({"update_differing": {"policy": "delta", "columns": ["name"]}}, ("update_differing", "columns"), "name", "is text"),
        ({"update_differing": {"policy": "delta", "column": "weight"}}, ("update_differing", "column"), "weight", "is float"),
        ({"update_differing": {"policy": "delta", "columns": ["maybe"]}}, ("update_differing", "columns"), "maybe", "NULL"),
        ({"update_differing": {"policy": "delta", "columns": ["id"]}}, ("update_differing", "columns"), "id", "belongs to a key"),
        ({"columns": {"code": "greatest"}}, ("columns", "code"), "code", "belongs to a key"),
        ({"columns": {"total": "delta"}}, ("columns", "total"), "total", "generated"),
        ({"columns": {"data": "greatest"}}, ("columns", "data"), "data", "is other"),
        ({"columns": {"name": "least"}}, ("columns", "name"), "name", "is text"),
        ({"columns": {"quantty": "delta"}}, ("columns", "quantty"), "quantty", "has no column"),
        ({"columns": {"quantity,nam": "halt"}}, ("columns", "quantity,nam"), "nam", "has no column"),
        ({"columns": {"nam*": "delta"}}, ("columns", "nam*"), "name", "is text"),
        ({"columns": {"sold_*": "delta"}}, ("columns", "sold_*"), "sold_*", "no column that matches 'sold_*'"),
        ({"columns": {"price,sold_?": "halt"}}, ("columns", "price,sold_?"), "sold_?", "no column that matches"),
        ({"default": {"policy": "least", "columns": ["price", "sold[12]"]}}, ("default", "columns"), "sold[12]", "that matches"),
        ({"columns": {"at": {"policy": "latest_timestamp", "column": "at"}}}, ("columns", "at"), "at", "has no column"),
        ({"default": {"policy": "latest_timestamp", "column": "name"}}, ("default", "column"), "name", "does not tell"),
        ({"default": {"policy": "latest_timestamp", "column": "spent"}}, ("default", "column"), "spent", "does not tell"),
        ({"default": {"policy": "latest_timestamp", "column": "changed"}}, ("default", "column"), "changed", "has no column"),
    ],
)
def test_a_policy_that_does_not_fit(policy: Any, path: tuple[str, ...], value: str, what: str) -> None:
    """One problem at the policy's place, once, however many types use it."""
    (problem,) = check(policy)
    assert problem.path == ("tables", "shop.stock", *path)
    assert problem.value == value
    assert what in problem.what
    assert "shop.stock" in problem.what or value in problem.what
    assert problem.remedy


@pytest.mark.parametrize(
    "policy",
    [
        "halt",
        "latest_timestamp",
        {"default": {"policy": "latest_timestamp", "column": "UPDATED_AT"}},
        {"default": {"policy": "latest_timestamp", "column": "quantity"}},
        {"columns": {"QUANT*": "delta", "quantity": "delta"}},
        {"columns": {",".join(column.name for column in TABLE.columns): "halt", "*": "keep_target"}},
        {"columns": {"quantity,price": "delta", "weight": "greatest", "maybe": "least", "spent": "greatest", "*": "halt"}},
        {"update_differing": {"policy": "delta", "columns": ["quantity", "price"]}},
    ],
)
def test_policies_that_fit(policy: Any) -> None:
    """Names are compared as MySQL compares them, without regard to case; a glob may find its columns settled already."""
    assert check(policy) == []


def test_only_the_policies_in_use_are_checked() -> None:
    """A pair's default does not matter for a table that overrides it."""
    raw = {"default": {"update_differing": {"policy": "delta", "columns": ["hits"]}}, "tables": {"shop.stock": "halt"}}
    assert parse_policies(raw).validate(TABLE) == []
    del raw["tables"]
    (problem,) = parse_policies(raw).validate(TABLE)
    assert problem.path == ("default", "update_differing", "columns")


def test_a_table_without_a_key() -> None:
    """Rows that cannot be found by a key can only be quarantined, or stop the flow."""
    bare = TableInfo("shop", "stock", TABLE.columns, key=())
    (problem,) = check("apply_origin", bare)
    assert "no key" in problem.what
    assert check("quarantine", bare) == []
