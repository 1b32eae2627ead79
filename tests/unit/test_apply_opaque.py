"""Where an upsert could overwrite another row than the one that is meant, none is used."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.apply.footprint import Footprint
from replicator.apply.net import TableNet, split
from tests.unit.plan_samples import plan

_OLD, _NEW = (b"1", b"2", b"3"), (b"1", b"2", b"4")


@pytest.mark.parametrize(
    ("table", "opaque"),
    [
        ({}, False),
        ({"uniques": [("u",), ("g",)], "generated": ["g"]}, True),
        ({"uniques": [("u",), ("v", "g")], "generated": ["g"]}, True),
        ({"uniques": [("u",)], "generated": ["u"]}, False),
        ({"primary": (), "uniques": [("k",)]}, False),
        ({"primary": (), "uniques": [("k",), ("u",)]}, True),
    ],
)
def test_a_row_is_written_anew_where_the_keys_do_not_tell_what_it_meets(table: dict[str, Any], opaque: bool) -> None:
    """A unique key over a column that the origin lacks, or several and no primary key: the server looks first at one."""
    made = plan(**table, full=False)
    assert made.opaque is opaque
    net = TableNet(made)
    net.update(_OLD, _NEW, None)
    _, moved, changed, _, _ = split(net)
    assert (moved, changed) == (([[_OLD, _NEW, None]], []) if opaque else ([], [[_OLD, _NEW, None]]))
    net.update(_NEW, _OLD, None)
    _, moved, _, same, _ = split(net)
    assert (moved, same) == (([[_OLD, _OLD, None]], []) if opaque else ([], [[_OLD, _OLD, None]]))
    footprint = Footprint()
    footprint.add(made, [_OLD])
    assert (footprint.keys["d", "t"] is None) is opaque
