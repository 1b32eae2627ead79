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
