"""Every folder of tests/cases arrives at the target as it was at the origin, over all combinations of servers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.case_runner import FLAVORS, Case, cases, clear, differences, play
from tests.case_table import record
from tests.harness import Farm, Pair, Road, execute

pytestmark = pytest.mark.servers

COMBINATIONS = [*itertools.product(FLAVORS, FLAVORS), ("mysql97", "mysql97")]
"""MySQL 9.7 where it can be had; its legs are skipped with the reason where not."""


def own_pair(road: Road, case: Case) -> Pair:
    """A pair for this case alone, running."""
    own = dict(case.pair or {})
    options = dict(own["options"])
    options.setdefault("tables", {"include": [f"{case.database}.*"]})
    clear(case, road.origin)
    clear(case, road.target)
    execute(road.target, *own.get("prepare_target", ["DO 0"]))
    return road.new_pair(options)


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: f"{c[0]}-{c[1]}")
def road(request: pytest.FixtureRequest, farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Each combination of origin and target."""
    made = Road(farm, *request.param, tmp_path_factory.mktemp("cases"), prefix="cases", databases="case_*", also=("own_*",))
    yield made
    made.give_up()


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=[pytest.mark.slow] if c.slow else []) for c in cases()])
def test_case(road: Road, case: Case) -> None:
    """The case's rows, structure and answers are the same at the target."""
    if not case.runs_on(*road.flavors):
        pytest.skip(f"made for {' '.join(case.pairs or case.servers)}")
    found: list[str] = ["it did not get to its end"]
    try:
        found = run_alone(road, case) if case.pair is not None else run(road, case)
    finally:
        record(case.name, *road.flavors, not found)
    assert not found, f"{case.name}: {case.about}\n" + "\n".join(found)


def run(road: Road, case: Case) -> list[str]:
    """Play the case on the road's pair, which is given up where it did not arrive; returns what differs."""
    pair = road.pair()
    found = [""]
    try:
        clear(case, road.origin)
        play(case, road.origin)
        pair.settle(180 if case.slow else 30)
        found = differences(case, road.origin, road.target)
    finally:
        if found:
            road.give_up()
    return found


def run_alone(road: Road, case: Case) -> list[str]:
    """Play the case on a pair of its own; returns what differs."""
    with own_pair(road, case) as pair:
        play(case, road.origin)
        pair.settle()
        return differences(case, road.origin, road.target)
