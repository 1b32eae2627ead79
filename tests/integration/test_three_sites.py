"""Three sites in a chain and in a ring: everything arrives everywhere once, and nothing circulates."""

from __future__ import annotations

import http.client
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import DatabaseServer
from dev.accounts import PASSWORD, prepare_server, site_entry
from dev.judge import compare
from dev.ports import HOST, free_port
from dev.process import popen_tied
from replicator.config import load_config
from tests.faults.binlogs import Binlog
from tests.faults.hot_rows import CONFLICTS, HotRows, carried, create_tables
from tests.harness import Farm, execute, seed_of_run

pytestmark = pytest.mark.servers

SITES = {"a": "east", "b": "west", "c": "north"}
_numbers = itertools.count(1)


class Net:
    """Three sites with pairs between them, one way or (``mode``) both ways, all daemons running; a context manager."""

    def __init__(self, farm: Farm, folder: Path, flavor: str, ways: Sequence[str], **options: Any) -> None:
        self.servers = {site: farm.database(flavor, server) for site, server in SITES.items()}
        self.schema = f"net{next(_numbers)}"
        self.ways = ways
        self._back = [y + x for x, y in ways] if options.get("mode") == "bidirectional" else []
        self._ports = {site: free_port() for site in SITES}
        self._file = folder / "net.yaml"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        pairs = []
        for server in self.servers.values():
            prepare_server(server, [self.schema])
        for x, y in ways:
            pair = {"name": f"{self.schema}{x}{y}", "origin": x, "target": y, "kafka": "a", "start": _position(self.servers[x])}
            if self._back:
                pair["start"] = "latest"
            pairs.append({**pair, "tables": {"include": [f"{self.schema}.*"]}, **options})
        sites: dict[str, Any] = {site: site_entry(site, self.servers[site], self._ports[site], {}) for site in SITES}
        sites["a"]["kafka"] = {"bootstrap_servers": [farm.kafka().bootstrap]}
        for site in SITES:
            (folder / f"{site}.secret").write_text(PASSWORD)
            (folder / f"{site}.secret").chmod(0o600)
        self._file.write_text(yaml.safe_dump({"sites": sites, "pairs": pairs}))

    def __enter__(self) -> Net:
        for site in SITES:
            self.start(site)
        for site in SITES:
            until(lambda site=site: self.ready(site), f"{site} to be ready: {self._tail(site)}")  # type: ignore[misc]
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self._daemons.values():
            daemon.terminate()
        for daemon in self._daemons.values():
            daemon.wait(30)
        for server in self.servers.values():
            execute(server, f"DROP DATABASE {self.schema}")

    def start(self, site: str) -> None:
        """Start the site's daemon."""
        argv = [str(Path(sys.executable).parent / "replicator"), "run", "-c", str(self._file), "--site", site]
        log = self._file.with_name(f"{site}.log")
        self._daemons[site] = popen_tied(argv, {**os.environ, "PYTHONWARNINGS": "ignore"}, log, "TERM")

    def restart(self, site: str) -> None:
        """Stop the site's daemon and start it again."""
        self._daemons[site].terminate()
        self._daemons[site].wait(30)
        self.start(site)

    def settle(self) -> None:
        """Return when what each site wrote so far has arrived wherever the pairs carry it."""
        mark = time.time_ns()
        for site, server in self.servers.items():
            execute(server, f"UPDATE {self.schema}.mark SET n={mark} WHERE site='{site}'")
        for site in SITES:
            for there in self.reached(site):
                question = f"SELECT n FROM {self.schema}.mark WHERE site='{site}'"
                server = self.servers[there]
                until(
                    lambda server=server, question=question: execute(server, question) == [(mark,)],  # type: ignore[misc]
                    f"the mark of {site} at {there}: {self._tail(there)}",
                )

    def reached(self, site: str) -> set[str]:
        """The sites to which a site's changes come."""
        found = {site}
        for _ in SITES:
            found |= {y for x, y in [*self.ways, *self._back] if x in found}
        return found - {site}

    def transactions(self, table: str) -> dict[str, dict[str, int]]:
        """How many transactions on a table each pair carried, by the site that committed them first."""
        found = {}
        for stream in load_config(self._file).streams():
            counts = carried(stream, by_site=True)
            sites = {site: counts[f"{site}:{table}"] for site in SITES}
            found[stream.id.origin + stream.id.target] = {site: count for site, count in sites.items() if count}
        return found

    def ready(self, site: str) -> bool:
        connection = http.client.HTTPConnection(HOST, self._ports[site], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _tail(self, site: str) -> str:
        log = self._file.with_name(f"{site}.log")
        return log.read_text()[-3000:] if log.exists() else ""


def until(condition: Callable[[], bool], what: str, timeout: float = 90) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def _position(server: DatabaseServer) -> str:
    column = "@@global.gtid_executed" if server.flavor == "mysql" else "@@global.gtid_binlog_pos"
    return str(execute(server, f"SELECT {column}")[0][0]).replace("\n", "") or "earliest"


@pytest.fixture
def net(farm: Farm, flavor: str, tmp_path: Path) -> Callable[..., Net]:
    """Makes nets."""
    return lambda ways, **options: Net(farm, tmp_path, flavor, ways, **options)


def write(server: DatabaseServer, schema: str, site: str, count: int) -> None:
    """A site's own rows, inserted, changed and partly deleted: three transactions for each number, and one in its own table."""
    first = ord(site) * 100_000
    statements = []
    for i in range(first, first + count):
        statements += [
            f"UPDATE {schema}.own_{site} SET n=n+1",
            f"INSERT INTO {schema}.t VALUES ({i}, '{site}', 0)",
            f"UPDATE {schema}.t SET n=n+1 WHERE id={i}",
            f"DELETE FROM {schema}.t WHERE id={i}" if i % 3 == 0 else f"UPDATE {schema}.t SET n=n+1 WHERE id={i}",
        ]
    execute(server, "SET autocommit=1", *statements)


def run(made: Net, writers: str, expected: Callable[[str], str]) -> None:
    """Write at some sites, with a statement and a restart between; ``expected`` says whose changes a pair has to carry."""
    with made:
        execute(made.servers["a"], f"CREATE TABLE {made.schema}.t (id INT PRIMARY KEY, site CHAR(1), n INT NOT NULL)")
        for site in SITES:
            execute(made.servers["a"], f"CREATE TABLE {made.schema}.own_{site} (id INT PRIMARY KEY, n INT NOT NULL)")
            execute(made.servers["a"], f"INSERT INTO {made.schema}.own_{site} VALUES (1, 0)")
        execute(made.servers["a"], f"CREATE TABLE {made.schema}.mark (site CHAR(1) PRIMARY KEY, n BIGINT NOT NULL)")
        execute(made.servers["a"], f"INSERT INTO {made.schema}.mark VALUES ('a', 0), ('b', 0), ('c', 0)")
        for site in made.reached("a"):
            until(lambda site=site: _has_marks(made.servers[site], made.schema), f"the marks at {site}")  # type: ignore[misc]
        count = 60
        binlogs = {site: Binlog(server) for site, server in made.servers.items()}
        threads = [threading.Thread(target=write, args=(made.servers[s], made.schema, s, count)) for s in writers]
        for thread in threads:
            thread.start()
        made.restart("b")
        for thread in threads:
            thread.join()
        made.settle()
        execute(made.servers["a"], f"ALTER TABLE {made.schema}.t ADD COLUMN more INT NOT NULL DEFAULT 5")
        made.settle()
        made.settle()
        for way, by_site in made.transactions("t").items():
            assert by_site.keys() == set(expected(way)), way
            assert by_site.pop(way[0]) == 3 * count, "each once"
            # What an applier wrote on the way may be several transactions in one, never more.
            assert all(passed_on <= 3 * count for passed_on in by_site.values()), (way, by_site)
        nothing_comes_home(made, binlogs, {site: count if site in writers else 0 for site in SITES})
        once = {way: {"a": 6} for way in made.ways}
        assert made.transactions("query") == ({**once, "ca": {}} if "ca" in once else once)


def nothing_comes_home(made: Net, binlogs: dict[str, Binlog], written: dict[str, int]) -> None:
    """Each site's binlog holds what was written there into its own table, and nothing of that again from elsewhere."""
    held = {site: binlog.since(made.schema) for site, binlog in binlogs.items()}
    for maker, count in written.items():
        for site, here in held.items():
            own = f"own_{maker}"
            assert here.local[own] == (count if site == maker else 0), (maker, site)
            # An applier may write several transactions as one, and never one as several.
            least, most = (1, count) if count and site in made.reached(maker) else (0, 0)
            assert least <= here.applied[own] <= most, (maker, site)
    for site, here in held.items():
        assert here.applied_total <= sum(held[maker].local_total for maker in SITES if site in made.reached(maker)), site
        assert here.statements[""] == 1, site


def _has_marks(server: DatabaseServer, schema: str) -> bool:
    tables = f"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='{schema}' AND table_name='mark'"
    return bool(execute(server, tables)[0][0]) and execute(server, f"SELECT COUNT(*) FROM {schema}.mark") == [(3,)]


def test_commit_times_settle_along_a_chain(net: Callable[..., Net]) -> None:
    """Pairs that write both ways, a-b and b-c: all three sites write the same rows, and end equal; sums are exact."""
    rows, tables = 30, ["note", "stock"]
    with net(["ab", "bc"], mode="bidirectional", conflicts=CONFLICTS) as made:
        schema = made.schema
        create_tables(made.servers["a"], schema, rows, tables)
        execute(made.servers["a"], f"CREATE TABLE {schema}.mark (site CHAR(1) PRIMARY KEY, n BIGINT NOT NULL)")
        execute(made.servers["a"], f"INSERT INTO {schema}.mark VALUES ('a', 0), ('b', 0), ('c', 0)")
        for site in "bc":
            until(lambda site=site: _has_marks(made.servers[site], schema), f"the marks at {site}")  # type: ignore[misc]
        seed = seed_of_run()
        with ExitStack() as stack:
            writers = [
                stack.enter_context(HotRows(server, schema, rows=rows, tables=tables, writers=1, seed=seed + at, pause_s=0.05))
                for at, server in enumerate(made.servers.values())
            ]
            made.restart("b")
            until(lambda: made.ready("b"), "b to be ready again")
        for _ in SITES:  # what was decided on the way is passed on
            made.settle()
        for x, y in ("ab", "bc"):
            assert compare(made.servers[x], made.servers[y], [f"{schema}.*"]) == [], f"seed {seed}"
        assert execute(made.servers["a"], f"SELECT SUM(n) FROM {schema}.stock") == [(sum(w.added for w in writers),)]
        settled = f"SELECT COUNT(*) > 5 FROM replicator.conflict_log WHERE flow LIKE '{schema}%'"
        assert execute(made.servers["b"], settled) == [(1,)]


def test_a_chain_passes_on_what_came_from_further_up(net: Callable[[Sequence[str]], Net]) -> None:
    """What is written at a and at b arrives at c; nothing goes back."""
    made = net(["ab", "bc"])
    run(made, "ab", lambda way: {"ab": "a", "bc": "ab"}[way])


def test_a_ring_carries_each_change_round_and_not_home(net: Callable[[Sequence[str]], Net]) -> None:
    """Each pair carries the changes of its origin and of the site before it, once, and all three sites end equal."""
    made = net(["ab", "bc", "ca"])
    found: list[str] = []

    def expected(way: str) -> str:
        for x, y in ("ab", "bc"):
            found.extend(compare(made.servers[x], made.servers[y], [f"{made.schema}.*"]))
        return {"ab": "ac", "bc": "ab", "ca": "cb"}[way]

    run(made, "abc", expected)
    assert found == []
