"""Real servers and pairs for tests.

``Farm`` starts each server when a test first asks for it and keeps it for the whole run. ``Pairs`` makes pairs on them:
each has its own name, so its own topics, checkpoint rows and schemas, and is stopped when its test ends.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dev import DatabaseServer, DevError, KafkaServer, start_kafka, start_mariadb, start_mysql
from dev.pair import Pair
from replicator.cli import main

__all__ = [
    "FAST",
    "Farm",
    "Pair",
    "Pairs",
    "Road",
    "applied",
    "await_",
    "command_here",
    "execute",
    "resume",
    "script",
    "slots_that_wrote",
    "until_next_second",
]

FAST = {"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "2"}
"""Safe when a server process is killed, which tests do; not when the machine goes down, which they don't."""


_road_numbers = itertools.count(1)


def await_(what: str, condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


def command_here(pair: Pair, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``Pair.command`` in this process: a process of its own takes a second to start, and some tests ask a dozen times."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([name, "-c", str(pair.config()), *arguments])
    return subprocess.CompletedProcess([name, *arguments], code, out.getvalue(), err.getvalue())


def seed_of_run() -> int:
    """Of the random loads: always the same one, so that a second try plays it again; another one by TEST_SEED."""
    return int(os.environ.get("TEST_SEED", "20241"))


def resume(pair: Pair, timeout: float = 30) -> None:
    """``replicator resume``, and wait until no worker is stopped any more: else the old error looks like a new one."""
    done = command_here(pair, "resume", "--pair", pair.name)
    assert done.returncode == 0, done.stderr
    await_("the old error to go", lambda: not pair.stopped(), timeout)


def applied(pair: Pair, counter: str) -> float:
    """What the applier at west has counted under this name, since its daemon was started."""
    counters = [worker["counters"] for worker in pair.workers("west") if worker["role"] == "applier"]
    return float(counters[0].get(counter, 0)) if counters else 0


def slots_that_wrote(pair: Pair) -> int:
    """How many connections of the applier have committed something, in all its lives."""
    return int(execute(pair.target, f"SELECT COUNT(*) FROM replicator.checkpoint WHERE flow='{pair.flow}' AND sequence>0")[0][0])


class Farm:
    """All servers of a test run, by flavor and site; started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases: dict[tuple[str, str], DatabaseServer] = {}
        self._kafka: KafkaServer | None = None

    def database(self, flavor: str, site: str = "east") -> DatabaseServer:
        """The server of ``flavor`` (``mysql``, ``mysql97``, ``mariadb``) for a site; started again if a test left it down.

        Skips the test where there is no MySQL 9.7 to be had.
        """
        key = (flavor, site)
        known = self._databases.get(key)
        if known is None:
            try:
                self._databases[key] = self.fresh_database(flavor, site)
            except DevError as error:
                if flavor != "mysql97":
                    raise
                pytest.skip(str(error))
        elif not known.running:
            known.start()
        return self._databases[key]

    def fresh_database(self, flavor: str, site: str = "east", **options: str) -> DatabaseServer:
        """A new server; the caller destroys it."""
        server_id = 1 + len(self._databases) + sum(site.encode()) * 100
        folder = self._folder / f"{flavor}-{site}"
        while folder.exists():
            folder = folder.with_name(folder.name + "x")
        settings: dict[str, str | None] = {**FAST, **options}
        if flavor == "mariadb":
            return start_mariadb(folder, server_id=server_id, options=settings, die_with_parent=True)
        version: Any = "9.7" if flavor == "mysql97" else "8.0"
        return start_mysql(folder, server_id=server_id, version=version, options=settings, die_with_parent=True)

    def kafka(self) -> KafkaServer:
        """The broker; started again if a test left it down."""
        if self._kafka is None:
            self._kafka = start_kafka(self._folder / "kafka", die_with_parent=True)
        elif not self._kafka.running:
            self._kafka.start()
        return self._kafka

    def stop(self) -> None:
        """Kill all servers and delete their data."""
        for server in (*self._databases.values(), *([self._kafka] if self._kafka else [])):
            server.destroy()


class Pairs:
    """Makes pairs on a farm's servers; ``close`` stops them."""

    def __init__(self, farm: Farm, folder: Path, numbers: Callable[[], int]) -> None:
        self.farm = farm
        self._folder = folder
        self._numbers = numbers
        self._made: list[Pair] = []

    def __call__(self, origin: str = "mysql", target: str = "mysql", **settings: Any) -> Pair:
        """A pair from a server of flavor ``origin`` to one of ``target``; ``settings`` go to ``Pair``. Not started."""
        east = settings.pop("east", None) or self.farm.database(origin, "east")
        west = settings.pop("west", None) or self.farm.database(target, "west")
        kafka = settings.pop("kafka", None) or self.farm.kafka()
        name = settings.pop("name", None) or f"p{self._numbers()}"
        pair = Pair(self._folder / name, east, west, kafka, name=name, **settings)
        self._made.append(pair)
        return pair

    def close(self) -> None:
        """Stop the daemons and drop the schemas, so that later pairs on these servers don't meet them."""
        for pair in self._made:
            pair.stop()
            for server in pair.servers.values():
                if server.running:
                    execute(server, *[f"DROP DATABASE IF EXISTS `{schema}`" for schema in pair.schemas])


class Road:
    """One long-lived pair from one flavor to another, for many short tests; a new one after a test that it did not survive.

    It carries all databases that match ``databases`` (a glob with one ``*`` at its end); those that match ``also`` are for
    pairs of ``new_pair``.
    """

    def __init__(
        self, farm: Farm, origin: str, target: str, folder: Path, *, prefix: str, databases: str, also: Sequence[str] = ()
    ) -> None:
        self.flavors = (origin, target)
        self.origin = farm.database(origin, "east")
        self.target = farm.database(target, "west")
        self._kafka = farm.kafka()
        self._folder = folder
        self._prefix = prefix
        self._databases = databases
        self._grant = [glob.replace("_", "\\_").replace("*", "%") for glob in (databases, *also)]
        self._pair: Pair | None = None

    def pair(self) -> Pair:
        """The pair, running; so are its servers, also after one that crashed."""
        for server in (self.origin, self.target):
            if not server.running:
                self.give_up()
                server.start()
        if self._pair is None:
            self._pair = self.new_pair({"tables": {"include": [f"{self._databases}.*"]}})
        return self._pair

    def new_pair(self, options: dict[str, Any]) -> Pair:
        """Another pair on the same servers, running, with these options; the caller stops it."""
        name = f"{self._prefix}{next(_road_numbers)}"
        tables = dict(options["tables"])
        tables["include"] = [f"{name}.*", *tables["include"]]
        pair = Pair(
            self._folder / name,
            self.origin,
            self.target,
            self._kafka,
            name=name,
            also_grant=self._grant,
            options={**options, "tables": tables},
        )
        try:
            return pair.start()
        except BaseException:
            pair.stop()  # else its daemons go on beside the next pair's, on the same databases
            raise

    def give_up(self) -> None:
        """Leave the pair as it is; the next test gets a new one."""
        if self._pair is not None:
            self._pair.stop()
        self._pair = None


def execute(server: DatabaseServer, *statements: str, **options: Any) -> list[Any]:
    """Run statements in one session and commit; returns the last one's rows."""
    with server.connect(**options) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        rows = list(cursor.fetchall())
        connection.commit()
    return rows


def until_next_second(server: DatabaseServer) -> None:
    """Commit times of MariaDB have whole seconds: return in the next one."""
    now = "SELECT UNIX_TIMESTAMP()"
    before = execute(server, now)
    while execute(server, now) == before:
        time.sleep(0.02)


def script(server: DatabaseServer, schema: str, statements: Sequence[str]) -> None:
    """Run statements in one session in ``schema``, each committed by itself."""
    execute(server, f"USE `{schema}`", "SET autocommit=1", *statements)
