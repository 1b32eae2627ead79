"""Every folder of tests/cases arrives at the target as it was at the origin, over all four combinations of servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.case_runner import FLAVORS, Case, cases, differences, play
from tests.harness import Farm, Pair, Road, execute

pytestmark = pytest.mark.servers

COMBINATIONS = [(origin, target) for origin in FLAVORS for target in FLAVORS]
def own_pair(road: Road, case: Case) -> Pair:
    """A pair for this case alone, running."""
    own = dict(case.pair or {})
    options = dict(own["options"])
    options.setdefault("tables", {"include": [f"{case.database}.*"]})
    for number in ("", "_2", "_3"):
        execute(road.target, f"DROP DATABASE IF EXISTS `{case.database}{number}`")
    execute(road.target, *own.get("prepare_target", ["DO 0"]))
    return road.new_pair(options)


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: f"{c[0]}-{c[1]}")
def road(request: pytest.FixtureRequest, farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Each combination of origin and target."""
    made = Road(farm, *request.param, tmp_path_factory.mktemp("cases"), prefix="cases", databases="case_*")
    yield made
    made.give_up()


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=[pytest.mark.slow] if c.slow else []) for c in cases()])
def test_case(road: Road, case: Case) -> None:
    """The case's rows, structure and answers are the same at the target."""
    if not case.runs_on(road.origin.flavor, road.target.flavor):
        pytest.skip(f"made for {' '.join(case.pairs or case.servers)}")
    if case.pair is not None:
        with own_pair(road, case) as pair:
            play(case, road.origin)
            pair.settle()
            found = differences(case, road.origin, road.target)
        assert not found, f"{case.name}: {case.about}\n" + "\n".join(found)
        return
    pair = road.pair()
    try:
        play(case, road.origin)
        pair.settle(120 if case.slow else 30)
        found = differences(case, road.origin, road.target)
    except Exception:
        road.give_up()
        raise
    if found:
        road.give_up()
        pytest.fail(f"{case.name}: {case.about}\n" + "\n".join(found))
