"""``make fuzz``: random schemas and transactions through the real pipeline, compared by SQL.

``python -m tests.fuzz [--minutes 20] [--pairs mysql-mysql mariadb-mariadb] [--seed N]``. Prints each seed before it runs; a
difference is shrunk by Hypothesis and printed as a script with what differs. Ends with 1 where it found one. ``--minutes 0``
runs the one seed once.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import pymysql
from hypothesis import HealthCheck, Phase, given, seed, settings

from dev import DatabaseServer
from dev.cache import REPOSITORY
from dev.judge import checksum, compare
from tests.generate import COMMON, Script, scripts
from tests.harness import Farm, Road

__all__ = ["Counts", "fuzz"]

_numbers = itertools.count(1)


@dataclass
class Counts:
    """What a run covered."""

    scripts: int = 0
    tables: int = 0
    statements: int = 0
    refused: int = 0
    rows: int = 0

    def __str__(self) -> str:
        refused = f"{self.refused:,} of them refused by the origin"
        return f"{self.scripts:,} schemas, {self.tables:,} tables, {self.statements:,} statements ({refused}), {self.rows:,} rows"


def fuzz(road: Road, number: int, examples: int, counts: Counts, shrink: bool = True) -> None:
    """Run ``examples`` scripts drawn from seed ``number``.

    Raises what the first script that failed raised, with the script as a note; with ``shrink`` the last and smallest one's.
    """
    failures: list[Exception] = []
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    quiet = list(HealthCheck)

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=quiet,
        report_multiple_bugs=False,
    )
    @given(scripts(road.flavors[0] if road.flavors[0] == road.flavors[1] else COMMON))
    def one(script: Script) -> None:
        if failures and not shrink:
            return
        try:
            check(road, script, counts)
        except Exception as error:
            failures.append(error)
            if shrink:
                raise

    try:
        one()
    except Exception:
        if not failures:  # else what Hypothesis made of it, which may be that it failed in another way when run again
            raise
    if failures:
        raise failures[-1]


def check(road: Road, script: Script, counts: Counts) -> None:
    """Run one script at the origin and compare; whatever it raises has the script as a note."""
    database = f"fuzz_{next(_numbers)}"
    try:
        pair = road.pair()
        refused = play(road.origin, database, script)
        pair.settle(60)
        found = compare(road.origin, road.target, [f"{database}.*"], structure=road.origin.flavor == road.target.flavor)
        assert not found, "\n".join(found)
        sums = checksum(road.target, [f"{database}.*"])
    except BaseException as error:
        error.add_note(f"database {database}, sql_mode {script.sql_mode!r}, {', '.join(script.settings)}\n{script!r}")
        road.give_up()
        raise
    counts.scripts += 1
    counts.tables += len(sums)
    counts.statements += len(script.statements)
    counts.refused += refused
    counts.rows += sum(rows for rows, _ in sums.values())
    play(road.origin, database, Script((f"DROP DATABASE {database}",), ""))


def play(server: DatabaseServer, database: str, script: Script) -> int:
    """Run the statements; returns how many the origin refused."""
    refused = 0
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        cursor.execute(f"USE {database}")
        cursor.execute("SET SESSION sql_mode = %s, time_zone = '+00:00'", script.sql_mode)
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1, lock_wait_timeout = 1")  # behind a prepared transaction
        for setting in script.settings:
            cursor.execute(f"SET SESSION {setting}")
        for statement in script.statements:
            try:
                cursor.execute(statement.encode())
            except (pymysql.err.MySQLError, UnicodeError):
                refused += 1
    return refused


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--minutes", type=float, default=20)
    options.add_argument("--pairs", nargs="+", default=["mysql-mysql", "mariadb-mariadb"])
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--examples", type=int, default=50, help="scripts for each seed")
    options.add_argument("--no-shrink", action="store_true")
    chosen = options.parse_args()
    run = REPOSITORY / ".run"
    run.mkdir(exist_ok=True)
    first = random.SystemRandom().randrange(2**31) if chosen.seed is None else chosen.seed
    failed = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=run) as folder:
        farm = Farm(Path(folder))
        try:
            for combination in chosen.pairs:
                failed += _fuzz_for(farm, combination, Path(folder), chosen, first)
        finally:
            farm.stop()
    return 1 if failed else 0


def _fuzz_for(farm: Farm, combination: str, folder: Path, chosen: argparse.Namespace, first: int) -> int:
    origin, target = combination.split("-")
    road = Road(farm, origin, target, folder / combination, prefix="fuzz", databases="fuzz_*")
    counts, end, number, failed = Counts(), time.monotonic() + chosen.minutes * 60, first, 0
    while True:
        print(f"{combination}: seed {number}; so far {counts}", flush=True)
        try:
            fuzz(road, number, chosen.examples, counts, shrink=not chosen.no_shrink)
        except Exception as error:  # noqa: BLE001 - reported, and counted as a failure of the run
            failed += 1
            print(f"{combination}: seed {number} FAILED:\n{''.join(traceback.format_exception(error))}", flush=True)
        number += 1
        if time.monotonic() >= end:
            break
    road.give_up()
    print(f"{combination}: {counts}; seeds {first} to {number - 1}; failures {failed}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
