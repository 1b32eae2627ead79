"""Every folder of tests/cases arrives at the target as it was at the origin, over all four combinations of servers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.case_runner import FLAVORS, Case, cases, differences, play
from tests.harness import Farm, Pair, execute

pytestmark = pytest.mark.servers

COMBINATIONS = [(origin, target) for origin in FLAVORS for target in FLAVORS]
_numbers = itertools.count(1)


class Road:
    """One long-lived pair from one flavor to another; a new one after a case that it did not survive."""

    def __init__(self, farm: Farm, origin: str, target: str, folder: Path) -> None:
        self.origin = farm.database(origin, "east")
        self.target = farm.database(target, "west")
        self._kafka = farm.kafka()
        self._folder = folder
        self._pair: Pair | None = None

    def pair(self) -> Pair:
        """The pair, running."""
        if self._pair is None:
            name = f"cases{next(_numbers)}"
            self._pair = Pair(
                self._folder / name,
                self.origin,
                self.target,
                self._kafka,
                name=name,
                also_grant=["case\\_%"],
                options={"tables": {"include": [f"{name}.*", "case_*.*"]}},
            )
            self._pair.start()
        return self._pair

    def own_pair(self, case: Case) -> Pair:
        """A pair for this case alone, running."""
        name = f"cases{next(_numbers)}"
        own = dict(case.pair or {})
        options = dict(own["options"])
        options.setdefault("tables", {"include": [f"{case.database}.*"]})
        options["tables"]["include"] = [f"{name}.*", *options["tables"]["include"]]
        for number in ("", "_2", "_3"):
            execute(self.target, f"DROP DATABASE IF EXISTS `{case.database}{number}`")
        execute(self.target, *own.get("prepare_target", ["DO 0"]))
        grant = ["case\\_%"]
        folder = self._folder / name
        pair = Pair(folder, self.origin, self.target, self._kafka, name=name, also_grant=grant, options=options)
        return pair.start()

    def give_up(self) -> None:
        """Leave the pair as it is; the next case gets a new one."""
        if self._pair is not None:
            self._pair.stop()
        self._pair = None


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: f"{c[0]}-{c[1]}")
def road(request: pytest.FixtureRequest, farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Each combination of origin and target."""
    made = Road(farm, *request.param, tmp_path_factory.mktemp("cases"))
    yield made
    made.give_up()


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=[pytest.mark.slow] if c.slow else []) for c in cases()])
def test_case(road: Road, case: Case) -> None:
    """The case's rows, structure and answers are the same at the target."""
    if not case.runs_on(road.origin.flavor, road.target.flavor):
        pytest.skip(f"made for {' '.join(case.pairs or case.servers)}")
    if case.pair is not None:
        with road.own_pair(case) as pair:
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
