"""``make bench-latency``: from commit at the origin to visible at the target, at several rates.

``python -m benchmarks.latency [--flavor mysql] [--rates 100 500 2000] [--seconds 30] [--native]``. sysbench's
``oltp_write_only`` runs at the rate; beside it a probe commits a row of its own 50 times a second and notes the time at
which COMMIT returned. A poller at the target reads the probe's row as fast as it can and notes when it first shows each
value. Both clocks are this machine's. It polls every millisecond, which is the resolution: more often would take a third of a
core from what is measured. Before that the load runs for ``--warm`` seconds: a broker that has just been started needs several
times the processor time for each record until its code is compiled. The target is durable, for ours and for native replication
alike; ``--fast`` takes the settings that wait for no disk.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from typing import Any

from dev import DatabaseServer, DevError, start_kafka
from dev.accounts import prepare_server
from dev.judge import compare
from dev.pair import Pair

from . import native
from .figures import Watch, position, print_table, save
from .loads import SCHEMA, sysbench
from .servers import Servers, say, workspace

_FAST = {"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "2"}
P50_MS_MAX, P99_MS_MAX = 10, 40
"""What the project aims for at 500 transactions/s."""
_PROBES_PER_S = 50
_POLL_S = 0.001
_TABLE = f"{SCHEMA}.probe"


class Probe:
    """Writes at the origin, watches the target."""

    def __init__(self, origin: DatabaseServer, target: DatabaseServer) -> None:
        self._origin = origin
        self._target = target
        self._committed: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._written = threading.Event()
        self._last = 0

    def run(self, seconds: float) -> list[float]:
        """Probe for so long; returns the latencies in milliseconds. A probe that the poller missed counts by the next."""
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        with self._origin.connect(autocommit=True) as connection, connection.cursor() as cursor:
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                self._last += 1
                cursor.execute(f"UPDATE {_TABLE} SET n = {self._last} WHERE id = 1")
                self._committed[self._last] = time.monotonic()
                time.sleep(1 / _PROBES_PER_S)
        self._written.set()
        watcher.join(60)
        if self._last not in self._seen:
            raise DevError(f"the target never showed the last of {self._last} probes")
        latencies = []
        visible = self._seen[self._last]
        for n in range(self._last, 0, -1):
            visible = self._seen.get(n, visible)
            latencies.append(max(0.0, visible - self._committed[n]) * 1000)
        return latencies

    def _watch(self) -> None:
        with self._target.connect(autocommit=True) as connection, connection.cursor() as cursor:
            known = 0
            deadline = float("inf")
            while time.monotonic() < deadline and not (self._written.is_set() and known >= self._last):
                if self._written.is_set():
                    deadline = min(deadline, time.monotonic() + 60)
                cursor.execute(f"SELECT n FROM {_TABLE} WHERE id = 1")
                row: Any = cursor.fetchone()
                now = time.monotonic()
                for n in range(known + 1, int(row[0]) + 1):
                    self._seen[n] = now
                known = max(known, int(row[0]))
                time.sleep(_POLL_S)


def measure(origin: DatabaseServer, target: DatabaseServer, rate: int, seconds: int, rows: int) -> dict[str, Any]:
    """Latency under one rate."""
    with origin.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"UPDATE {_TABLE} SET n = 0 WHERE id = 1")
    _await(target, 0)
    output: list[str] = []
    load = threading.Thread(
        target=lambda: output.append(sysbench(origin, "run", rows=rows, rate=rate, seconds=seconds + 2)), daemon=True
    )
    load.start()
    time.sleep(1)
    latencies = sorted(Probe(origin, target).run(seconds - 1))
    load.join()
    done = next((line for line in output[0].splitlines() if "transactions:" in line), "") if output else ""
    return {
        "rate": rate,
        "reached": done.partition("(")[2].partition(" ")[0],
        "probes": len(latencies),
        "p50_ms": round(statistics.median(latencies), 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)], 2),
        "max_ms": round(latencies[-1], 2),
    }


def _await(target: DatabaseServer, value: int, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with target.connect() as connection, connection.cursor() as cursor:
            tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=%s AND table_name='probe'"
            cursor.execute(tables, SCHEMA)
            there: Any = cursor.fetchone()
            if there[0]:
                cursor.execute(f"SELECT n FROM {_TABLE} WHERE id = 1")
                row: Any = cursor.fetchone()
                if row and row[0] == value:
                    return
        time.sleep(0.05)
    raise DevError(f"the target did not show {value} within {timeout:g} s")


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    options.add_argument("--flavor", default="mysql", choices=["mysql", "mariadb"])
    options.add_argument("--rates", nargs="+", type=int, default=[100, 500, 2000])
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--warm", type=int, default=60, help="seconds of load before anything is measured")
    options.add_argument("--rows", type=int, default=10_000, help="rows in each of sysbench's four tables")
    options.add_argument("--fast", action="store_true", help="a target that waits for no disk")
    options.add_argument("--native", action="store_true", help="measure native replication too")
    chosen = options.parse_args()
    figures: list[dict[str, Any]] = []
    try:
        with workspace("latency") as (folder, stack):
            kafka = start_kafka(folder / "kafka", die_with_parent=True)
            stack.callback(kafka.destroy)
            servers = Servers(chosen.flavor, folder, stack)
            way = _FAST if chosen.fast else {}
            origin, target = servers.origin(**_FAST), servers.fresh(**way)
            prepare_server(origin, [])
            start = position(origin)
            pair = Pair(folder / "pair", origin, target, kafka, name="latency", schemas=[SCHEMA])
            stack.callback(pair.stop)
            pair.start()
            sysbench(origin, "prepare", rows=chosen.rows)
            with origin.connect(autocommit=True) as connection, connection.cursor() as cursor:
                cursor.execute(f"CREATE TABLE {_TABLE} (id INT PRIMARY KEY, n INT NOT NULL)")
                cursor.execute(f"INSERT INTO {_TABLE} VALUES (1, 0)")
            _await(target, 0)
            sysbench(origin, "run", rows=chosen.rows, rate=max(chosen.rates), seconds=chosen.warm)
            for rate in chosen.rates:
                pair.wait(120)
                watch = Watch({f"p{pid}": pid for site in ("east", "west") for pid in pair.processes(site)})
                figure = measure(origin, target, rate, chosen.seconds, chosen.rows)
                seconds, cpu_s, rss = watch.end()
                figures.append({"system": "replicator", **figure, "cpu_cores": round(cpu_s / seconds, 2), "rss_mib": rss})
                say(str(figures[-1]))
            pair.wait(120)
            differences = pair.differences()
            if differences:
                raise DevError("the target differs:\n" + "\n".join(differences))
            pair.stop()
            if chosen.native:
                figures += _native(chosen, origin, servers.fresh(**way), start)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    print("target: " + ("sync_binlog=0, innodb_flush_log_at_trx_commit=2" if chosen.fast else "durable (both settings 1)"))
    head = ("system", "rate", "reached", "probes", "p50_ms", "p99_ms", "max_ms")
    print_table(head, [[figure[name] for name in head] for figure in figures])
    save("latency", {"flavor": chosen.flavor, "durable": not chosen.fast, "runs": figures})
    return 0


def _native(chosen: Any, origin: DatabaseServer, replica: DatabaseServer, start: str) -> list[dict[str, Any]]:
    native.attach(origin, replica, start=start, workers=4)
    native.await_position(replica, position(origin))
    figures = []
    for rate in chosen.rates:
        figures.append({"system": "native", **measure(origin, replica, rate, chosen.seconds, chosen.rows)})
        say(str(figures[-1]))
    native.await_position(replica, position(origin))
    differences = compare(origin, replica, [f"{SCHEMA}.*"])
    if differences:
        raise DevError("the replica differs:\n" + "\n".join(differences))
    return figures


if __name__ == "__main__":
    sys.exit(main())
