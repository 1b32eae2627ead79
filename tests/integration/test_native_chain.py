"""An origin that is itself a replica of the server's own replication: what it passes on, and what is written at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks import native
from dev import DatabaseServer, DevError
from tests.harness import Farm, Pair, Pairs, execute
from tests.integration.source_reading import position

pytestmark = pytest.mark.servers

SCHEMA = "chained"
LOGS = {"mysql": "log_replica_updates", "mysql97": "log_replica_updates", "mariadb": "log_slave_updates"}


@dataclass(frozen=True)
class Chain:
    """The first server, its replica, and the flow from that on."""

    first: DatabaseServer
    pair: Pair

    @property
    def name(self) -> str:
        """The first server in a GTID."""
        identity = execute(self.first, "SELECT @@server_uuid" if self.first.flavor == "mysql" else "SELECT @@server_id")
        return str(identity[0][0])

    def arrive(self) -> str:
        """Return the first server's position once the pair has passed it on."""
        until = position(self.first)
        native.await_position(self.pair.origin, until)
        self.pair.settle()
        return until

    def equal(self) -> None:
        """All three hold the same."""
        sums = [execute(s, f"SELECT COUNT(*), SUM(id), SUM(n), SUM(CRC32(w)) FROM {SCHEMA}.t") for s in self.all]
        assert sums[0] == sums[2], "the end differs from the first"
        assert self.pair.differences() == []

    @property
    def all(self) -> tuple[DatabaseServer, ...]:
        """The three servers, in the order of the way."""
        return self.first, self.pair.origin, self.pair.target


@pytest.fixture(params=["mysql", "mariadb", "mysql97"])
def chain(request: pytest.FixtureRequest, farm: Farm, pairs: Pairs) -> Iterator[Chain]:
    """Servers of one flavor, replicating by themselves from the first to the second, and a pair from there."""
    kind = request.param
    try:
        first = farm.fresh_database(kind, "chain-first")
        replica = farm.fresh_database(kind, "chain-replica", **{LOGS[kind]: "ON"})
    except DevError as error:
        if kind != "mysql97":
            raise
        pytest.skip(str(error))
    target = farm.database(kind, "west")
    execute(target, f"DROP DATABASE IF EXISTS {SCHEMA}")
    execute(first, "CREATE DATABASE begun")
    native.attach(first, replica, start=position(first), workers=1)
    execute(first, f"CREATE DATABASE {SCHEMA}")
    native.await_position(replica, position(first))
    pair = pairs(kind, kind, east=replica, west=target, schemas=[SCHEMA])
    pair.start()
    yield Chain(first, pair)
    pair.stop()
    for server in (replica, first):
        server.destroy()


def test_what_comes_from_the_first_keeps_its_name(chain: Chain) -> None:
    """Rows, DDL and local writes between: GTIDs stay the first server's, through restarts of the source."""
    first, pair = chain.first, chain.pair
    execute(first, f"CREATE TABLE {SCHEMA}.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT, w VARCHAR(20) CHARACTER SET gbk)")
    chain.arrive()
    for number in range(1, 6):
        execute(first, f"INSERT INTO {SCHEMA}.t (n, w) VALUES ({number}, '中'), ({number}, 'b')", f"UPDATE {SCHEMA}.t SET n=n+1")
        gtid = _last(first)
        native.await_position(pair.origin, position(first))
        pair.wait(gtid=gtid)
        assert chain.name in gtid and gtid == _applied(pair)
        execute(pair.origin, f"CREATE TABLE {SCHEMA}.local_{number} (id INT PRIMARY KEY)") if number % 2 else None
        if number == 2:
            pair.kill("east", "source")
        if number == 4:
            pair.restart("east")
    execute(first, f"DELETE FROM {SCHEMA}.t WHERE id % 3 = 0", f"ALTER TABLE {SCHEMA}.t ADD COLUMN x INT DEFAULT 7")
    chain.arrive()
    chain.equal()


def test_local_writes_in_one_domain_are_not_lost(chain: Chain) -> None:
    """A replica that is written locally has two servers' transactions in one order; MariaDB then uses numbers twice."""
    first, pair = chain.first, chain.pair
    execute(first, f"CREATE TABLE {SCHEMA}.t (id INT PRIMARY KEY, n INT, w VARCHAR(20))")
    native.await_position(pair.origin, position(first))
    execute(pair.origin, f"CREATE TABLE {SCHEMA}.own (id INT PRIMARY KEY, n INT)")
    for number in range(1, 41):
        if number % 10 < 5:
            execute(pair.origin, f"INSERT INTO {SCHEMA}.own VALUES ({number}, 0)", f"UPDATE {SCHEMA}.own SET n=n+1")
        execute(first, f"INSERT INTO {SCHEMA}.t VALUES ({number}, {number}, 'w')")
        if number == 20:
            native.await_position(pair.origin, position(first))
            pair.kill("east", "source")
    _await_rows(pair.origin, f"SELECT COUNT(*) FROM {SCHEMA}.t", 40)
    pair.settle()
    assert pair.differences() == []
    assert execute(pair.target, f"SELECT COUNT(*) FROM {SCHEMA}.t") == [(40,)]


def _await_rows(server: DatabaseServer, query: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while execute(server, query) != [(count,)]:
        assert time.monotonic() < deadline, f"{query} is {execute(server, query)}"
        time.sleep(0.05)


def _last(server: DatabaseServer) -> str:
    """The GTID of the server's last transaction."""
    found = position(server).replace("\n", "")
    if server.flavor == "mariadb":
        return found
    uuid, _, numbers = found.partition(":")
    return f"{uuid}:{numbers.rsplit('-')[-1].rsplit(':')[-1]}"


def _applied(pair: Pair) -> str:
    rows: list[Any] = execute(
        pair.target, f"SELECT gtid FROM replicator.checkpoint WHERE flow='{pair.flow}' ORDER BY sequence DESC LIMIT 1"
    )
    return str(rows[0][0])
