"""Real servers for the tests: started when first needed, shared by the whole run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import settings

from dev import DatabaseServer
from tests.harness import Farm, Pairs

_numbers = itertools.count(1)
settings.register_profile("replicator", deadline=None)  # a busy machine is no defect
settings.load_profile("replicator")


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """All servers of this run."""
    started = Farm(tmp_path_factory.mktemp("farm"))
    yield started
    started.stop()


@pytest.fixture(scope="session", params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest, farm: Farm) -> DatabaseServer:
    """A MySQL 8.0.31, then a MariaDB."""
    return farm.database(request.param)


@pytest.fixture(params=["mysql", "mariadb"])
def flavor(request: pytest.FixtureRequest) -> str:
    """Each flavor in turn."""
    return str(request.param)


@pytest.fixture
def pairs(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    """Makes pairs: ``pairs("mysql", "mariadb", options={...}).start()``; they are stopped after the test."""
    maker = Pairs(farm, tmp_path_factory.mktemp("pairs"), lambda: next(_numbers))
    yield maker
    maker.close()
