"""A short run of the fuzzer: random schemas and transactions arrive as they were. ``make fuzz`` runs it for long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import Counts, fuzz
from tests.harness import Farm, Road

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def road(request: pytest.FixtureRequest, farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """A pair between servers of one flavor."""
    folder = tmp_path_factory.mktemp("fuzz")
    made = Road(farm, request.param, request.param, folder, prefix="fuzz", databases="fuzz_*")
    yield made
    made.give_up()


def test_random_schemas_and_transactions_arrive(road: Road) -> None:
    """Fifteen scripts of a fixed seed: rows, structure and multiplicity are the same at the target.

    Not shrunk, so that a failure is told within the test's time; ``python -m tests.fuzz --seed 20260101`` shrinks it.
    """
    counts = Counts()
    fuzz(road, 20260101, 15, counts, shrink=False)
    assert counts.scripts >= 15
    assert counts.refused < counts.statements / 2
