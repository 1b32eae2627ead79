"""``make soak``: kills at random moments under load, until the time is up; nothing may be lost, doubled or half seen.

``python -m tests.soak [--minutes 20] [--kills N] [--flavor mysql] [--seed N] [--what workers daemons databases kafka]``.
A bank books at the origin: a counter is raised, money moves between accounts, entries are written; every other stretch of
transactions changes rows that the ones around it leave alone, so that the applier's batches, kept small, run side by side.
Meanwhile processes are killed with SIGKILL, and a reader at the target checks on every read that the sums never differ and that
the counter never goes back. In the end both sites must be equal.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql

from dev import DatabaseServer, KafkaServer
from dev.cache import REPOSITORY
from tests.harness import Farm, Pair, slots_that_wrote

__all__ = ["Bank", "Killer", "Reader"]

ACCOUNTS, TOTAL = 10, 10_000
APART, STRETCH = 1000, 100
SMALL_BATCHES = {"apply": {"connections": 4, "batch_rows": 20}}
WHAT = ("workers", "daemons", "databases", "kafka")


class Bank:
    """Books at the origin in a thread, until told to stop; goes on when the server was away."""

    def __init__(self, server: DatabaseServer, schema: str, seed: int, pause_s: float = 0.001) -> None:
        self._server = server
        self._schema = schema
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._apart = itertools.cycle(range(0, APART, 4))
        self.transactions = 0
        self.error: BaseException | None = None

    def open(self) -> None:
        """Create and fill the tables."""
        values = ",".join(f"({i}, {TOTAL // ACCOUNTS})" for i in range(1, ACCOUNTS + 1))
        with self._server.connect(autocommit=True, database=self._schema) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)")
            cursor.execute("CREATE TABLE counter (id INT PRIMARY KEY, n BIGINT NOT NULL)")
            cursor.execute("CREATE TABLE entry (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT, text VARCHAR(100)) ")
            cursor.execute("CREATE TABLE loose (v INT, text VARCHAR(20))")
            cursor.execute("CREATE TABLE apart (id INT PRIMARY KEY, n BIGINT NOT NULL)")
            cursor.execute(f"INSERT INTO account VALUES {values}")
            cursor.execute("INSERT INTO counter VALUES (1, 0)")

    def start(self) -> None:
        """Begin to book."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the transaction at hand; raises what went wrong."""
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._server.connect(database=self._schema, connect_timeout=2) as connection:
                    while not self._stop.is_set():
                        if self.transactions // STRETCH % 2:
                            self._book_apart(connection)
                        else:
                            self._book(connection)
                        self.transactions += 1
                        time.sleep(self._pause_s)
            except pymysql.err.OperationalError:
                time.sleep(0.05)  # the server is down, or was; a transaction in doubt is either in the binlog or not
            except pymysql.err.InterfaceError:
                time.sleep(0.05)
            except Exception as error:  # noqa: BLE001 - raised again by stop
                self.error = error
                return

    def _book(self, connection: Any) -> None:
        draw = self._random
        giver, taker = draw.sample(range(1, ACCOUNTS + 1), 2)
        amount = draw.randint(1, 50)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE counter SET n = n + 1 WHERE id = 1")
            cursor.execute(f"UPDATE account SET balance = balance - {amount} WHERE id = {giver}")
            cursor.execute(f"INSERT INTO entry (v, text) VALUES ({amount}, REPEAT('e', {draw.randint(0, 90)}))")
            cursor.execute(f"UPDATE account SET balance = balance + {amount} WHERE id = {taker}")
            kind = draw.randrange(20)
            if kind == 0:
                cursor.execute("DELETE FROM entry ORDER BY id LIMIT 10")
            elif kind == 1:
                cursor.execute(f"INSERT INTO loose VALUES ({amount % 5}, 'same'), ({amount % 5}, 'same')")
            elif kind == 2:
                cursor.execute(f"DELETE FROM loose WHERE v = {amount % 5} LIMIT 1")
            elif kind == 3 and draw.randrange(20) == 0:
                cursor.execute("INSERT INTO entry (v, text) SELECT v, text FROM entry LIMIT 5000")
        connection.commit()
        if draw.randrange(400) == 0:
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE loose ADD COLUMN c{self.transactions} INT")

    def _book_apart(self, connection: Any) -> None:
        """The next four rows; their sum stays."""
        first = next(self._apart)
        values = f"({first}, 1), ({first + 1}, 1), ({first + 2}, -1), ({first + 3}, -1)"
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO apart VALUES {values} ON DUPLICATE KEY UPDATE n = n + VALUES(n)")
        connection.commit()


class Reader:
    """Reads the target in a thread and notes every state that the origin cannot have shown."""

    def __init__(self, server: DatabaseServer, schema: str) -> None:
        self._server = server
        self._schema = schema
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.reads = 0
        self.wrong: list[str] = []

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End; raises AssertionError where something wrong was seen."""
        self._stop.set()
        self._thread.join()
        assert not self.wrong, self.wrong[:5]
        assert self.reads, "the reader never read anything"

    def _run(self) -> None:
        highest = 0
        while not self._stop.is_set():
            try:
                with self._server.connect(autocommit=True, database=self._schema, connect_timeout=2) as connection:
                    while not self._stop.is_set():
                        highest = self._read(connection, highest)
                        time.sleep(0.002)
            except pymysql.err.MySQLError:
                time.sleep(0.05)  # not there yet, or down

    def _read(self, connection: Any, highest: int) -> int:
        with connection.cursor() as cursor:
            # One statement is one snapshot, whatever the isolation level.
            apart = "(SELECT COALESCE(SUM(n), 0) FROM apart)"
            accounts_of = "(SELECT SUM(balance) FROM account), (SELECT COUNT(*) FROM account)"
            cursor.execute(f"SELECT {accounts_of}, (SELECT n FROM counter), {apart}")
            total, accounts, n, of_apart = cursor.fetchone()
        if not accounts or n is None:
            return highest  # the tables have been created and not yet filled
        if total != TOTAL or accounts != ACCOUNTS:
            self.wrong.append(f"the sum of {accounts} accounts is {total}")
        if of_apart:
            self.wrong.append(f"the sum of the rows apart is {of_apart}")
        if n < highest:
            self.wrong.append(f"the counter went from {highest} back to {n}")
        self.reads += 1
        return int(n)


class Killer:
    """Kills one thing after another, at random; whatever does not come back by itself is started again."""

    def __init__(self, pair: Pair, kafka: KafkaServer, seed: int, what: Sequence[str]) -> None:
        self._pair = pair
        self._kafka = kafka
        self._random = random.Random(seed)
        self._what = what
        self.kills: dict[str, int] = {}

    def kill(self) -> str:
        """One kill, and what must follow it."""
        draw, pair = self._random, self._pair
        what = draw.choice(self._what)
        site, role = draw.choice([("east", "source"), ("west", "applier")])
        name = what
        if what == "workers":
            name = role
            pair.kill(site, role)
        elif what == "daemons":
            pair.kill_daemon(site)
            pair.start(site, ready=False)
        elif what == "databases":
            server = pair.servers[site]
            server.kill()
            server.start()
        else:
            self._kafka.kill()
            self._kafka.start()
        self.kills[name] = self.kills.get(name, 0) + 1
        return name

    def pause(self) -> None:
        """Let it work for a moment: sometimes hardly any, sometimes long enough to stream."""
        time.sleep(self._random.choice([0.02, 0.1, 0.5, 1.5]))


def soak(pair: Pair, kafka: KafkaServer, *, seed: int, what: Sequence[str], minutes: float, kills: int, echo: bool) -> Killer:
    """Run until ``minutes`` have passed or ``kills`` are done; raises where anything is wrong."""
    schema = pair.schemas[0]
    bank, reader = Bank(pair.origin, schema, seed), Reader(pair.target, schema)
    killer = Killer(pair, kafka, seed, what)
    bank.open()
    pair.start()
    bank.start()
    reader.start()
    end = time.monotonic() + minutes * 60
    done = 0
    while time.monotonic() < end and done < kills:
        killer.pause()
        name = killer.kill()
        done += 1
        if echo:
            print(f"kill {done}: {name}; {bank.transactions:,} transactions, {reader.reads:,} reads", flush=True)
        stopped = pair.stopped()
        assert not stopped, f"{stopped}\n{pair.troubles()}"
    bank.stop()
    pair.settle(180)
    reader.stop()
    found = pair.differences()
    assert not found, "\n".join(found)
    assert slots_that_wrote(pair) >= 2, "only one connection wrote"
    return killer


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    options.add_argument("--minutes", type=float, default=20)
    options.add_argument("--kills", type=int, default=1_000_000)
    options.add_argument("--flavor", choices=("mysql", "mariadb"), default="mysql")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    chosen = options.parse_args()
    print(f"seed {chosen.seed}")
    run = REPOSITORY / ".run"
    run.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-", dir=run) as folder:
        farm = Farm(Path(folder))
        pair = None
        try:
            east, west = (farm.database(chosen.flavor, site) for site in ("east", "west"))
            pair = Pair(Path(folder) / "pair", east, west, farm.kafka(), name="soak", options=SMALL_BATCHES)
            settings = {"seed": chosen.seed, "what": chosen.what, "minutes": chosen.minutes, "kills": chosen.kills}
            killer = soak(pair, farm.kafka(), **settings, echo=True)
        except AssertionError as error:
            print(f"FAILED, seed {chosen.seed}: {error}")
            return 1
        finally:
            if pair is not None:
                pair.stop()
            farm.stop()
    print(f"equal after {sum(killer.kills.values())} kills: {killer.kills}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
