"""Which tables a flow carries."""

from __future__ import annotations

import pytest

from replicator.filter import TableFilter


@pytest.mark.parametrize(
    ("schema", "table", "wanted"),
    [
        ("shop", "item", True),
        ("shop", "tmp_item", False),
        ("Shop", "item", False),
        ("bank", "item", False),
        ("a.b", "c", True),
        ("a", "b.c", False),
        ("replicator", "checkpoint", False),
        ("mysql", "user", False),
    ],
)
def test_include_then_exclude_then_our_own(schema: str, table: str, wanted: bool) -> None:
    """Globs are case-sensitive, dots in names need backticks, and our own and the server's schemas never flow."""
    tables = TableFilter(("shop.*", "`a.b`.*", "replicator.*", "mysql.*"), ("shop.tmp_*",))
    assert tables.wants(schema, table) is wanted


@pytest.mark.parametrize(
    ("include", "exclude", "table", "wanted"),
    [
        (("shop.item",), (), "_item_gho", True),
        (("shop.item",), (), "_item_del", True),
        (("shop.item",), (), "__item_new", True),
        (("shop.item",), (), "_other_new", False),
        (("shop.*",), ("shop._*",), "_item_new", True),
        (("shop.*",), ("shop.tmp_*",), "_tmp_x_new", False),
        (("shop._a_new",), (), "_a_new", True),
        (("shop.*",), (), "_user_new", True),
    ],
)
def test_helper_tables_go_where_their_table_goes(
    include: tuple[str, ...], exclude: tuple[str, ...], table: str, wanted: bool
) -> None:
    """The shadow table of an online schema change becomes the real one: it is wanted if and only if that is."""
    assert TableFilter(include, exclude).wants("shop", table) is wanted


def test_helper_tables_follow_their_table_into_its_stream() -> None:
    """When a stream takes a table out of the pair's, it takes its helpers with it."""
    item = TableFilter(("shop.item",), within=TableFilter(("shop.*",)))
    rest = TableFilter(("shop.*",), minus=(item,))
    assert item.wants("shop", "_item_new")
    assert not rest.wants("shop", "_item_new")
    assert rest.wants("shop", "_other_new")
