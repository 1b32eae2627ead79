"""SIGKILL at every named point, and at random ones: source and target end equal, counters are right, nothing is ever torn."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from replicator.apply.worker import run_applier
from replicator.config import load_config
from replicator.model import Role
from tests.faults.load import Load, Watcher, create_tables
from tests.harness import Pair, Pairs, applied, execute, slots_that_wrote
from tests.integration.source_running import Running

pytestmark = pytest.mark.servers

SOURCE_POINTS = tuple(
    f"source:{point}:{passage}" for point in ("read-not-sent", "sent-not-acknowledged", "acknowledged") for passage in (1, 7)
)
APPLIER_POINTS = (
    *("applier:fetched:1", "applier:fetched:7", "applier:before-commit:1"),
    "applier:others-written:4",  # before a commit too, while a later batch is written on another connection
    *("applier:after-commit:1", "applier:after-commit:7"),
)
DDL_POINTS = ("applier:ddl-intent", "applier:ddl-done")
SMALL_BATCHES = {"apply": {"connections": 4, "batch_rows": 20}}
"""What a kill leaves behind is a batch or two at the default: with these it is many, which run side by side."""


def pid_at(file: Path, timeout_s: float = 60) -> int:
    """The pid of the process that stopped itself at its pause point."""
    deadline = time.monotonic() + timeout_s
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline, "the pause point was never passed"
        threading.Event().wait(0.02)
    return int(file.read_text())


def kill_at(pair: Pair, site: str, point: str, file: Path) -> None:
    """Start the site's daemon so that its worker stops itself at the point, and kill both exactly there."""
    file.unlink(missing_ok=True)
    pair.start(site, ready=False, env={"REPLICATOR_PAUSE_AT": point, "REPLICATOR_PAUSE_FILE": str(file)})
    os.kill(pid_at(file), signal.SIGKILL)
    pair.kill_daemon(site)


@pytest.mark.parametrize("points", [SOURCE_POINTS, APPLIER_POINTS], ids=["source", "applier"])
def test_a_kill_at_a_named_point_loses_and_doubles_nothing(
    pairs: Pairs, flavor: str, points: tuple[str, ...], tmp_path: Path
) -> None:
    """Under load, at the first passage and at a later one."""
    pair = pairs(flavor, flavor, options=SMALL_BATCHES)
    create_tables(pair.origin, pair.name)
    pair.start()
    site = "east" if points is SOURCE_POINTS else "west"
    with Watcher(pair.target, pair.name) as watcher, Load(pair.origin, pair.name, pause_s=0.004) as load:
        pair.stop(site)
        for point in points:  # each start has to mend what the kill before left
            kill_at(pair, site, point, tmp_path / "pid")
        pair.start(site)
    pair.settle()
    assert load.committed > 100
    assert watcher.looks > 100
    assert slots_that_wrote(pair) >= 2
    assert pair.differences() == []


@pytest.mark.parametrize("point", DDL_POINTS)
def test_a_kill_around_ddl_runs_it_once(pairs: Pairs, flavor: str, point: str, tmp_path: Path) -> None:
    """Before and after the statement: the column is there once, the swapped tables are swapped once."""
    pair = pairs(flavor, flavor)
    for table in ("a (id INT PRIMARY KEY, x INT)", "b (id INT PRIMARY KEY)"):
        execute(pair.origin, f"CREATE TABLE {pair.name}.{table}")
    pair.start()
    pair.settle()
    statements = (
        f"ALTER TABLE {pair.name}.a ADD COLUMN y INT NOT NULL DEFAULT 7",
        f"RENAME TABLE {pair.name}.a TO {pair.name}.tmp, {pair.name}.b TO {pair.name}.a, {pair.name}.tmp TO {pair.name}.b",
        f"DROP TABLE {pair.name}.a",
        f"CREATE TABLE {pair.name}.c (id INT PRIMARY KEY) AS SELECT 5 AS id, 'five' AS name",
    )
    for statement in statements:
        file = tmp_path / "pid"
        file.unlink(missing_ok=True)
        pair.stop("west")
        pair.start("west", env={"REPLICATOR_PAUSE_AT": point, "REPLICATOR_PAUSE_FILE": str(file)})
        execute(pair.origin, statement)
        os.kill(pid_at(file), signal.SIGKILL)
        pair.kill_daemon("west")
        pair.start("west")
        pair.settle()
        assert pair.differences() == []


def test_an_applier_that_wakes_up_runs_no_statement_behind_its_successor(pairs: Pairs, flavor: str, tmp_path: Path) -> None:
    """It stood still between intent and statement, and lost the stream: a late TRUNCATE would take rows that came behind it."""
    pair = pairs(flavor, flavor)
    table = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE {table} (id INT PRIMARY KEY)", f"INSERT INTO {table} VALUES (1)")
    pair.start()
    pair.settle()
    file = tmp_path / "pid"
    pair.restart("west", env={"REPLICATOR_PAUSE_AT": "applier:ddl-intent", "REPLICATOR_PAUSE_FILE": str(file)})
    execute(pair.origin, f"TRUNCATE TABLE {table}", f"INSERT INTO {table} VALUES (2)")
    asleep = pid_at(file)
    lock = "replicator." + hashlib.sha256(f"{pair.flow}\0main".encode()).hexdigest()[:32]
    execute(pair.target, f"KILL {execute(pair.target, f'SELECT IS_USED_LOCK({lock!r})')[0][0]}")
    with Running(load_config(pair.config("west")).streams("west", Role.APPLIER)[0], run_applier, Role.APPLIER) as second:
        second.await_streaming()
        threading.Event().wait(3)
        os.kill(asleep, signal.SIGCONT)
        pair.until(lambda: "another applier" in json.dumps(pair.workers("west")), 60, "the first one to be superseded")
        pair.until(lambda: execute(pair.target, f"SELECT id FROM {table}") == [(2,)], 30, "what came behind the statement")
    pair.settle()
    assert pair.differences() == []


def test_a_kill_in_the_middle_of_a_large_transaction_leaves_none_of_it(pairs: Pairs, flavor: str, tmp_path: Path) -> None:
    """The applier dies with half of it written: no reader ever sees a part, and the end is equal."""
    options = {"source": {"record_bytes": 65536}, "apply": {"batch_bytes": 1 << 20}}  # larger than one batch, in many records
    pair = pairs(flavor, flavor, options=options)
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(100))")
    pair.start()
    pair.settle()
    file = tmp_path / "pid"
    pair.stop("west")
    environment = {"REPLICATOR_PAUSE_AT": "applier:mid-transaction:3", "REPLICATOR_PAUSE_FILE": str(file)}
    pair.start("west", env=environment)
    rows = ",".join(f"({i},REPEAT('x',90))" for i in range(20_000))
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES {rows}")
    os.kill(pid_at(file), signal.SIGKILL)
    assert execute(pair.target, f"SELECT COUNT(*) FROM {pair.name}.t")[0][0] == 0
    pair.kill_daemon("west")
    pair.start("west")
    pair.settle()
    assert execute(pair.target, f"SELECT COUNT(*) FROM {pair.name}.t")[0][0] == 20_000
    pair.until(lambda: applied(pair, "rows_applied") >= 20_000, 10, "its rows to be counted")
    assert pair.differences() == []


def random_kills(pair: Pair, kills: int, seed: int) -> None:
    """Kill workers and daemons of both sites at random moments under load, then compare."""
    print(f"seed {seed}")
    rnd = random.Random(seed)
    create_tables(pair.origin, pair.name)
    pair.start()
    side_by_side = 0.0
    with Watcher(pair.target, pair.name), Load(pair.origin, pair.name, seed=seed, pause_s=0.001) as load:
        for _ in range(kills):
            threading.Event().wait(rnd.uniform(0.05, 1.0))
            side_by_side = max(side_by_side, applied(pair, "batches_side_by_side"))
            site, role = rnd.choice((("east", "source"), ("west", "applier")))
            if rnd.random() < 0.25:
                pair.kill_daemon(site)
                pair.start(site, ready=False)
            else:
                pair.kill(site, role)
    pair.settle(120)
    assert load.committed > kills
    assert slots_that_wrote(pair) >= 2
    pair.until(lambda: max(side_by_side, applied(pair, "batches_side_by_side")) > 0, 10, "batches that ran side by side")
    assert pair.differences() == []


def test_random_kills_under_load(pairs: Pairs, flavor: str) -> None:
    """Twelve kills a flavor; `make soak` does 200."""
    random_kills(pairs(flavor, flavor, options=SMALL_BATCHES), 12, seed=20_241)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_random_kills(pairs: Pairs, flavor: str) -> None:
    """The soak; another seed with SOAK_SEED."""
    random_kills(pairs(flavor, flavor, options=SMALL_BATCHES), 200, seed=int(os.environ.get("SOAK_SEED", "1")))


@pytest.mark.parametrize("which", ["origin", "target", "kafka"])
def test_servers_that_die_and_come_back(pairs: Pairs, flavor: str, which: str) -> None:
    """Each is killed and started again under load, twice; the flow goes on by itself, nothing lost, nothing twice."""
    pair = pairs(flavor, flavor, options=SMALL_BATCHES)
    create_tables(pair.origin, pair.name)
    pair.start()
    server = {"origin": pair.origin, "target": pair.target, "kafka": pair.kafka}[which]
    with Load(pair.origin, pair.name, pause_s=0.001) as load:
        for _ in range(2):
            before = load.committed
            pair.until(lambda: load.committed > before + 50, 60, "progress of the load")  # noqa: B023
            server.kill()
            server.start()
    pair.settle(120)
    assert pair.differences() == []
