"""Which sites' rows meet, and whether their AUTO_INCREMENT numbers are apart."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.service.check.counting import check_counting, clashing, writers
from tests.unit.test_config_flows import config

BOTH = "mode: bidirectional, "


@pytest.mark.parametrize(
    ("ways", "groups"),
    [
        ("ab", []),
        ("ab ba", ["ab"]),
        ("ab bc", []),
        ("ab ba bc cb", ["abc"]),
        ("ab bc ca", ["abc"]),
        ("ab ba cd dc", ["ab", "cd"]),
        ("ab ba bc", ["ab"]),
        ("ac bc", ["ab"]),
        ("ac ca bc", ["acb"]),
        ("ab ba ac bd cd", ["ab"]),
        ("ae be ce", ["abc"]),
        ("ab cb cd ed", ["ac", "ce"]),
    ],
)
def test_whose_rows_meet(ways: str, groups: list[str]) -> None:
    """Chains and rings that write everywhere are one group; who only receives or passes on does not count."""
    assert writers([(way[0], way[1]) for way in ways.split()]) == [tuple(group) for group in groups]


@pytest.mark.parametrize(
    ("counters", "names"),
    [
        ([(2, 1), (2, 2)], ""),
        ([(2, 1), (2, 1)], "ab"),
        ([(1, 1), (1, 1)], "ab"),
        ([(1, 1), (2, 2)], "ab"),
        ([(2, 1), (2, 2), (2, 1)], "ac"),
        ([(3, 1), (3, 2), (3, 3)], ""),
        ([(3, 1), (3, 2), (3, 2)], "bc"),
        ([(2, 1), (4, 2), (4, 4)], ""),
        ([(2, 1), (3, 2)], "ab"),
        ([(2, 1), (2, 4)], "ab"),
    ],
)
def test_numbers_are_apart_or_not(counters: list[tuple[int, int]], names: str) -> None:
    """By the steps and offsets alone, and as counting shows."""
    assert clashing(dict(zip("abc", counters, strict=False))) == tuple(names)
    if all(offset <= step for step, offset in counters):
        given = [set(range(offset, 100, step)) for step, offset in counters]
        assert any(left & right for left, right in itertools.combinations(given, 2)) == bool(names)


def test_a_site_of_which_nothing_is_known_needs_numbers_too() -> None:
    """Two that give every number leave it none."""
    two = {"a": (2, 1), "b": (2, 2)}
    assert clashing(two, ["c"]) == ("a", "b", "c")
    assert clashing({"a": (3, 1), "b": (3, 2)}, ["c"]) == ()


def probes(**counters: tuple[int, int]) -> Any:
    """Sites that have the table ``shop.t`` with an AUTO_INCREMENT column."""
    return {
        name: SimpleNamespace(
            variables={"auto_increment_increment": str(step), "auto_increment_offset": str(offset)},
            rows=lambda _: [("shop", "t"), ("other", "u")],
        )
        for name, (step, offset) in counters.items()
    }


def test_a_chain_needs_as_many_offsets_as_sites(tmp_path: Path) -> None:
    """Pair by pair all is well; the ends give the same numbers all the same, and the remedy says how many it takes."""
    tables = ", tables: {include: ['shop.*']}"
    chain = config(tmp_path, f"name: p, {BOTH}origin: a, target: b{tables}", f"name: q, {BOTH}origin: b, target: c{tables}")
    (found,) = check_counting(chain, None, probes(a=(2, 1), b=(2, 2), c=(2, 1)))
    assert (found.place, found.what) == ("a, b, c", "a, c may give the same AUTO_INCREMENT numbers in shop.t")
    assert "auto_increment_increment=3 at each" in found.remedy
    assert "auto_increment_offset=1 at a, 2 at b, 3 at c" in found.remedy
    assert list(check_counting(chain, None, probes(a=(3, 1), b=(3, 2), c=(3, 3)))) == []
    assert [f.what for f in check_counting(chain, "a", probes(a=(2, 1), b=(2, 2)))] == [
        "a, b, c may give the same AUTO_INCREMENT numbers in shop.t"
    ]
    assert list(check_counting(chain, "d", probes(a=(2, 1), b=(2, 2), c=(2, 1)))) == []


def test_a_ring_of_one_way_pairs_is_one_group_for_each_table(tmp_path: Path) -> None:
    """Only the tables that go all the way round, under their own names."""
    ring = ["name: p, origin: a, target: b", "name: q, origin: b, target: c", "name: r, origin: c, target: a"]
    alike = probes(a=(1, 1), b=(1, 1), c=(1, 1))
    (found,) = check_counting(config(tmp_path, *ring), None, alike)
    assert found.what == "a, b, c may give the same AUTO_INCREMENT numbers in other.u, shop.t"
    part = [*ring[:2], f"{ring[2]}, tables: {{include: ['shop.*']}}"]
    (found,) = check_counting(config(tmp_path, *part), None, alike)
    assert found.what.endswith("numbers in shop.t")
    renamed = [*ring[:2], f"{part[2]}, mapping: {{databases: {{shop: shop_of_c}}}}"]
    assert list(check_counting(config(tmp_path, *renamed), None, alike)) == []
