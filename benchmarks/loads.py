"""The loads, as transactions that an origin has committed. Each is deterministic in its counts.

W1 is sysbench: four tables of 100,000 rows filled by ``prepare``, then 50,000 transactions of ``oltp_write_only``. The others
are stored procedures, so that the client is not what is measured: W2 one hot row, W3 bulk inserts of 1,000 rows, W4 wide rows
with 30 mixed columns, W5 500 small tables with random access. ``hour`` is what W1's transactions come to in an hour at 500 a
second, for ``backlog``. ``scale`` shrinks a load for a smoke test.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from dev import DatabaseServer, DevError
from dev.apt import library_path
from dev.fetch import fetch_sysbench

__all__ = ["HOUR_RATE", "LOADS", "SCHEMA", "Load", "sysbench"]

SCHEMA = "bench"
HOUR_RATE = 500
"""Transactions a second of ``hour``."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was done."""

    name: str
    what: str
    row_changes: int
    transactions: int


def w1(server: DatabaseServer, scale: float) -> Load:
    """sysbench ``prepare`` and ``oltp_write_only``."""
    rows, events = int(100_000 * scale), int(50_000 * scale)
    sysbench(server, "prepare", rows=rows)
    sysbench(server, "run", rows=rows, events=events)
    # A statement that finds its row gone or its value unchanged changes nothing: about 1 in 10^4.
    return Load("W1", "sysbench prepare + oltp_write_only", 4 * rows + 4 * events, events)


def hour(server: DatabaseServer, scale: float) -> Load:
    """1.8 million transactions of ``oltp_write_only``."""
    rows, events = int(100_000 * min(1, 10 * scale)), int(3600 * HOUR_RATE * scale)
    sysbench(server, "prepare", rows=rows)
    sysbench(server, "run", rows=rows, events=events)
    return Load("hour", f"{events:,} transactions of oltp_write_only", 4 * rows + 4 * events, events)


def w2(server: DatabaseServer, scale: float) -> Load:
    """Every transaction updates one and the same row."""
    count = int(50_000 * scale)
    _execute(
        server,
        f"CREATE TABLE {SCHEMA}.hot (id INT PRIMARY KEY, n BIGINT NOT NULL, pad VARCHAR(100) NOT NULL)",
        f"INSERT INTO {SCHEMA}.hot VALUES (1, 0, REPEAT('p', 100))",
        _procedure(f"UPDATE {SCHEMA}.hot SET n = n + 1 WHERE id = 1;", count),
        "CALL bench.go()",
    )
    return Load("W2", "one hot row updated by every transaction", count, count)


def w3(server: DatabaseServer, scale: float) -> Load:
    """Bulk load: transactions of 1,000 inserted rows."""
    count = int(600 * scale) or 1
    row = "SHA2(@i := @i + 1, 224)"
    _execute(
        server,
        f"CREATE TABLE {SCHEMA}.bulk (id BIGINT AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, KEY (k))",
        f"CREATE TABLE {SCHEMA}.digit (d INT PRIMARY KEY)",
        f"INSERT INTO {SCHEMA}.digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
        "SET @i = 0",
        _procedure(
            f"INSERT INTO {SCHEMA}.bulk (k, c) SELECT a.d * 100 + b.d * 10 + c.d + i, {row} "
            f"FROM {SCHEMA}.digit a, {SCHEMA}.digit b, {SCHEMA}.digit c;",
            count,
        ),
        "CALL bench.go()",
    )
    return Load("W3", "bulk load, 1,000 rows a transaction", count * 1000 + 10, count)


_WIDE = ", ".join(
    [f"i{n} INT NOT NULL" for n in range(6)]
    + [f"v{n} VARCHAR(60) NOT NULL" for n in range(8)]
    + [f"d{n} DECIMAL(18,4) NOT NULL" for n in range(4)]
    + ["t0 DATETIME(6) NOT NULL", "t1 TIMESTAMP(3) NOT NULL", "t2 DATE NOT NULL", "t3 TIME NOT NULL"]
    + ["f0 DOUBLE NOT NULL", "f1 FLOAT NOT NULL", "e0 ENUM('a','b','c') NOT NULL", "s0 SET('x','y','z') NOT NULL"]
    + ["j0 JSON NOT NULL", "b0 BLOB NOT NULL", "x0 TEXT NOT NULL"]
)


def w4(server: DatabaseServer, scale: float) -> Load:
    """Wide rows: 30 mixed columns, JSON, and BLOBs of 4 KiB; half of them updated afterwards."""
    count = int(20_000 * scale)
    values = ", ".join(
        [f"i * {n + 1}" for n in range(6)]
        + [f"LEFT(SHA2(i + {n}, 224), 32)" for n in range(8)]
        + [f"i / {n + 3}" for n in range(4)]
        + ["NOW(6)", "NOW(3)", "CURDATE()", "SEC_TO_TIME(i % 80000)", "i / 7e0", "i / 3e0", "1 + i % 3", "i % 8"]
        + ["JSON_OBJECT('id', i, 'tags', JSON_ARRAY('a', i % 10, NULL), 'text', SHA2(i, 224))"]
        + ["REPEAT(UNHEX(SHA2(i, 256)), 128)", "REPEAT(SHA2(i, 256), 4)"]
    )
    update = f"UPDATE {SCHEMA}.wide SET i0 = i0 + 1, j0 = JSON_SET(j0, '$.id', -i), d0 = d0 + 1 WHERE id = i + 1;"
    _execute(
        server,
        f"CREATE TABLE {SCHEMA}.wide (id INT AUTO_INCREMENT PRIMARY KEY, {_WIDE})",
        _procedure(f"INSERT INTO {SCHEMA}.wide VALUES (NULL, {values}); IF i % 2 = 0 THEN {update} END IF;", count),
        "CALL bench.go()",
    )
    return Load("W4", "wide rows: 30 mixed columns, JSON, 4 KiB blobs", count + count // 2, count)


def w5(server: DatabaseServer, scale: float) -> Load:
    """500 small tables, one picked at random by each transaction."""
    tables, count = 500 if scale >= 0.1 else 20, int(50_000 * scale)
    create = [
        f"CREATE TABLE {SCHEMA}.s{n} (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, v VARCHAR(50) NOT NULL)"
        for n in range(tables)
    ]
    fill = [f"INSERT INTO {SCHEMA}.s{n} (n, v) VALUES (1, 'a'), (2, 'b'), (3, 'c')" for n in range(tables)]
    dynamic = (
        f"SET @t = FLOOR(RAND(i) * {tables});"
        f"SET @q = CONCAT('INSERT INTO {SCHEMA}.s', @t, ' (n, v) VALUES (', i, ', LEFT(SHA2(', i, ', 224), 32))');"
        "PREPARE s FROM @q; EXECUTE s;"
        f"SET @q = CONCAT('UPDATE {SCHEMA}.s', @t, ' SET n = n + 1 WHERE id = 1');"
        "PREPARE s FROM @q; EXECUTE s;"
    )
    _execute(server, *create, *fill, _procedure(dynamic, count), "CALL bench.go()")
    return Load("W5", f"{tables} small tables, random access", 3 * tables + 2 * count, count)


LOADS: dict[str, Callable[[DatabaseServer, float], Load]] = {"W1": w1, "W2": w2, "W3": w3, "W4": w4, "W5": w5, "hour": hour}


def sysbench(
    server: DatabaseServer, command: str, *, rows: int, events: int = 0, rate: int = 0, seconds: int = 0, keys: str = "special"
) -> str:
    """Run sysbench's ``oltp_write_only``; ``rate`` transactions/s for ``seconds``, or ``events`` as fast as it goes."""
    home = fetch_sysbench()
    libraries = library_path(home)
    scripts = home / "usr/share/sysbench"
    argv = [
        str(home / "usr/bin/sysbench"),
        str(scripts / "oltp_write_only.lua"),
        f"--mysql-host={server.host}",
        f"--mysql-port={server.port}",
        f"--mysql-user={server.user}",
        f"--mysql-password={server.password}",
        f"--mysql-db={SCHEMA}",
        "--tables=4",
        f"--table-size={rows}",
        "--threads=4",
        f"--events={events}",
        f"--time={seconds}",
        f"--rate={rate}",
        "--rand-seed=1",
        f"--rand-type={keys}",
        command,
    ]
    plugins = next(iter(home.glob("usr/lib/*-linux-gnu/libmariadb3/plugin")), home)
    env = {"LD_LIBRARY_PATH": libraries, "MARIADB_PLUGIN_DIR": str(plugins), "LUA_PATH": f"{scripts}/?.lua;;"}
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "FATAL" in done.stdout + done.stderr:
        raise DevError(f"sysbench {command} ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


def _procedure(body: str, count: int) -> str:
    """A procedure ``go`` that runs ``body`` as ``count`` transactions, with ``i`` from 0. It is never replicated."""
    return (
        f"CREATE PROCEDURE {SCHEMA}.go() BEGIN DECLARE i INT DEFAULT 0; WHILE i < {count} DO "
        f"START TRANSACTION; {body} COMMIT; SET i = i + 1; END WHILE; END"
    )


def _execute(server: DatabaseServer, *statements: str) -> None:
    with server.connect(autocommit=True, database=SCHEMA) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
