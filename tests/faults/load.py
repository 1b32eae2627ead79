"""A load whose result tells whether anything was lost, doubled or torn: counters, and money moved between accounts.

A transaction raises one counter and moves an amount between two accounts; the sum of all balances never changes. There are few
of both, so that nearly every batch of the applier has to wait for the one before. Every other stretch of transactions changes
rows that belong to their writer alone, the next ones each time, so that batches run side by side; the sum over these is 0, and
none is a round ahead of one before it. A ``Watcher`` polls the target and fails on any state that is not so.
"""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pymysql

from dev import DatabaseServer

__all__ = ["ACCOUNTS", "Load", "Watcher", "create_tables"]

ACCOUNTS = 20
_BALANCE = 1000
_OWN = 1000
"""Rows that each writer has for itself."""
_STRETCH = 100


def create_tables(server: DatabaseServer, schema: str) -> None:
    """The load's tables, filled."""
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {schema}.counter (id INT PRIMARY KEY, n BIGINT NOT NULL)")
        cursor.execute(f"CREATE TABLE {schema}.account (id INT PRIMARY KEY, balance BIGINT NOT NULL)")
        cursor.execute(f"CREATE TABLE {schema}.entry (id INT PRIMARY KEY AUTO_INCREMENT, worker INT, note VARCHAR(60))")
        cursor.execute(f"CREATE TABLE {schema}.own (id INT PRIMARY KEY, n BIGINT NOT NULL)")
        cursor.execute(f"INSERT INTO {schema}.counter VALUES " + ",".join(f"({i},0)" for i in range(5)))
        cursor.execute(f"INSERT INTO {schema}.account VALUES " + ",".join(f"({i},{_BALANCE})" for i in range(ACCOUNTS)))


class Load:
    """Writers in threads; use as a context manager. A writer whose server goes down connects anew and goes on."""

    def __init__(self, server: DatabaseServer, schema: str, *, writers: int = 2, seed: int = 1, pause_s: float = 0.001) -> None:
        self._server = server
        self._schema = schema
        self._stop = threading.Event()
        self._pause_s = pause_s
        self.committed = 0
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(random.Random(seed * 100 + i), i), daemon=True) for i in range(writers)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not self.errors, self.errors

    def _guarded(self, rnd: random.Random, number: int) -> None:
        try:
            self._write(rnd, number)
        except BaseException as error:  # noqa: BLE001  (raised by __exit__ in the test's thread)
            self.errors.append(error)

    def _write(self, rnd: random.Random, number: int) -> None:
        connection: Any = None
        own = itertools.cycle(range(number * _OWN, (number + 1) * _OWN, 4))
        first = next(own)
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = self._server.connect()
                with connection.cursor() as cursor:
                    changes_own = bool(self.committed // _STRETCH % 2)
                    if changes_own:
                        self._change_own(cursor, first)
                    else:
                        self._transaction(cursor, rnd, number)
                connection.commit()
                self.committed += 1
                first = next(own) if changes_own else first
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
                # The server was stopped, or a deadlock: what was not committed is not counted.
                if connection is not None:
                    connection._force_close()
                connection = None
                self._stop.wait(0.05)
            if self._pause_s:
                self._stop.wait(self._pause_s)

    def _transaction(self, cursor: Any, rnd: random.Random, number: int) -> None:
        schema = self._schema
        a, b = sorted(rnd.sample(range(ACCOUNTS), 2))
        amount = rnd.randint(-50, 50)
        cursor.execute(f"UPDATE {schema}.counter SET n=n+1 WHERE id={rnd.randrange(5)}")
        cursor.execute(f"UPDATE {schema}.account SET balance=balance-{amount} WHERE id={a}")
        cursor.execute(f"UPDATE {schema}.account SET balance=balance+{amount} WHERE id={b}")
        cursor.execute(f"INSERT INTO {schema}.entry (worker, note) VALUES ({number}, 'moved {amount} from {a} to {b}')")
        if rnd.random() < 0.2:
            cursor.execute(f"DELETE FROM {schema}.entry WHERE worker={number} ORDER BY id LIMIT 1")

    def _change_own(self, cursor: Any, first: int) -> None:
        """Four rows; the sum stays."""
        values = f"({first},1),({first + 1},1),({first + 2},-1),({first + 3},-1)"
        again = "ON DUPLICATE KEY UPDATE n=n+VALUES(n)"
        cursor.execute(f"INSERT INTO {self._schema}.own VALUES {values} {again}")


class Watcher:
    """Polls the target's sums and rounds in a thread; leaving the context raises if it was ever another one."""

    def __init__(self, server: DatabaseServer, schema: str) -> None:
        self._server = server
        self._schema = schema
        self._stop = threading.Event()
        self.looks = 0
        self.torn: list[tuple[int, ...]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)
        assert not self.torn, f"a reader saw sums, or rows of a writer with gaps: {self.torn[:5]}"

    def _watch(self) -> None:
        connection: Any = None
        while not self._stop.is_set():
            try:
                connection = connection or self._server.connect(autocommit=True)
                with connection.cursor() as cursor:
                    own = f"(SELECT COALESCE(SUM(n),0) FROM {self._schema}.own)"  # in one statement: it reads one snapshot
                    cursor.execute(f"SELECT COUNT(*), COALESCE(SUM(balance),0), {own} FROM {self._schema}.account")
                    count, total, of_own = cursor.fetchone()
                    # By writer, its rows that are a round ahead, or all: they are the first ones, without a gap.
                    of_writer = f"id DIV {_OWN} AS w, ABS(n) AS a, COUNT(*), MAX(id MOD {_OWN})"
                    cursor.execute(f"SELECT {of_writer} FROM {self._schema}.own GROUP BY w, a ORDER BY w, a")
                    rounds = {w: (w, a, rows, last) for w, a, rows, last in cursor.fetchall()}.values()
            except pymysql.MySQLError:
                connection = None
                self._stop.wait(0.05)
                continue
            self.looks += 1
            for found in rounds:
                if found[2] != found[3] + 1:
                    self.torn.append(found)
            if count and (int(total), int(of_own)) != (ACCOUNTS * _BALANCE, 0):
                self.torn.append((int(total), int(of_own)))
            self._stop.wait(0.002)
