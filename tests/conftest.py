"""Real servers for the tests, one of each flavor for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev import DatabaseServer, start_mariadb, start_mysql


@pytest.fixture(scope="session", params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A MySQL 8.0.31, then a MariaDB."""
    start = start_mysql if request.param == "mysql" else start_mariadb
    started = start(tmp_path_factory.mktemp(request.param), server_id=1, die_with_parent=True)
    yield started
    started.stop()
