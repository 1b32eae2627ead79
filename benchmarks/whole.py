"""``make bench-whole``: a load drained from origin to target, ours against native replication, in one run.

``python -m benchmarks.whole [--flavors mysql mariadb mysql97] [--loads W1 W2 …] [--scale 0.01] [--parts]``. Fails (exit 1)
when origin and target differ, when W1 stays below ``ROWS_PER_S_MIN`` (MySQL 8.0) or ``WANTED``, or when a process of ours takes
more than ``RSS_MIB_MAX``. ``--parts`` also measures source and applier alone.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dev import DevError, KafkaServer, start_kafka
from dev.accounts import prepare_server
from dev.judge import compare

from . import native
from .figures import Run, position, print_table, save
from .loads import LOADS, SCHEMA
from .ours import Backlog, Drain, write_backlog
from .servers import Servers, say, workspace

ROWS_PER_S_MIN = 20_000
WANTED = {"mysql": 2.0, "mysql97": 1.5, "mariadb": 0.7}
"""Ours against the better native setting, W1: what the project aims for."""
RSS_MIB_MAX = 300
_WORKERS = {"mysql": (1, 4), "mysql97": (1, 4), "mariadb": (0, 4)}


class Bench:
    """Measures on servers of one flavor."""

    def __init__(self, flavor: str, folder: Path, kafka: KafkaServer, stack: ExitStack) -> None:
        self.flavor = flavor
        self.servers = Servers(flavor, folder, stack)
        self._folder = folder / flavor
        self._kafka = kafka

    def measure(self, name: str, scale: float, parts: bool, peers: bool) -> list[Run]:
        """All systems on one load; raises DevError where a target differs from its origin."""
        backlog = write_backlog(self.servers, name, scale)
        origin, load, start = backlog.origin, backlog.load, backlog.start
        runs = []
        for kind in ["source+apply", "whole"] if parts else ["whole"]:
            runs += self._ours(backlog, kind)
        until = position(origin)
        for workers in _WORKERS[self.flavor] if peers else ():
            replica = self.servers.fresh()
            run = native.drain(origin, replica, load, start=start, until=until, workers=workers)
            _must_equal(run.system, compare(origin, replica, [f"{SCHEMA}.*"]))
            say(f"{self.flavor}: {name}: {run.system}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s")
            runs.append(run)
            replica.destroy()
        origin.destroy()
        return [replace(run, flavor=self.flavor) for run in runs]

    def _ours(self, backlog: Backlog, kind: str) -> list[Run]:
        load = backlog.load
        target = self.servers.fresh()
        prepare_server(target, [], [SCHEMA])
        name = f"{load.name}-{self.flavor}-{kind[:5]}".lower()
        drain = Drain(self._folder, backlog, target, self._kafka, name=name)
        try:
            runs = [drain.whole()] if kind == "whole" else [drain.source(), drain.apply()]
            for run in runs:
                say(f"{self.flavor}: {load.name}: {run.system}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s")
            _must_equal(f"replicator, {kind}", drain.differences())
        finally:
            drain.close()
        target.destroy()
        return runs


def _must_equal(system: str, differences: list[str]) -> None:
    if differences:
        raise DevError(f"{system}: the target differs from its origin:\n" + "\n".join(differences))


def report(runs: list[Run]) -> list[str]:
    """Print all figures and ratios; returns what is below its bound."""
    best_native: dict[tuple[str, str], Run] = {}
    for run in runs:
        if run.system.startswith("native"):
            best = best_native.get((run.flavor, run.load))
            if best is None or run.seconds < best.seconds:
                best_native[run.flavor, run.load] = run
    rows = []
    below = []
    for run in runs:
        native_run = best_native.get((run.flavor, run.load))
        ratio = f"{run.rows_per_s / native_run.rows_per_s:.2f}" if native_run else "-"
        kafka = f"{run.kafka_bytes / run.binlog_bytes:.2f}" if run.kafka_bytes and run.binlog_bytes else "-"
        memory = f"{max(run.rss_mib.values()):.0f}" if run.rss_mib else "-"
        cpu = f"{run.cpu_s / run.row_changes * 1e6:.1f}" if run.cpu_s else "-"
        figures = (f"{run.seconds:.1f}", f"{run.rows_per_s:,.0f}", f"{run.transactions / run.seconds:,.0f}")
        rows.append((run.flavor, run.load, run.system, *figures, ratio, cpu, memory, kafka))
        if run.rss_mib and max(run.rss_mib.values()) > RSS_MIB_MAX:
            below.append(f"{run.load} on {run.flavor}: {memory} MiB, wanted at most {RSS_MIB_MAX}")
        if run.system == "replicator, whole" and run.load == "W1":
            if run.flavor == "mysql" and run.rows_per_s < ROWS_PER_S_MIN:
                below.append(f"W1 on {run.flavor}: {run.rows_per_s:,.0f} rows/s, wanted {ROWS_PER_S_MIN:,}")
            if native_run and run.rows_per_s < WANTED[run.flavor] * native_run.rows_per_s:
                below.append(f"W1 on {run.flavor}: {ratio} of native replication, wanted {WANTED[run.flavor]}")
    head = ("flavor", "load", "system", "s", "rows/s", "tx/s", "/native", "CPU s/10^6", "RSS MiB", "Kafka/binlog")
    print_table(head, rows)
    return below


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.whole", description=__doc__)
    options.add_argument("--flavors", nargs="+", default=["mysql", "mariadb"], choices=list(WANTED))
    options.add_argument("--loads", nargs="+", default=["W1"], choices=list(LOADS))
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--parts", action="store_true", help="also measure source and applier alone")
    options.add_argument("--no-native", action="store_true", help="ours only")
    options.add_argument("--save", default="whole", help="name of the JSON under benchmarks/out")
    chosen = options.parse_args()
    runs: list[Run] = []
    try:
        with workspace("bench") as (folder, stack):
            kafka = start_kafka(folder / "kafka", die_with_parent=True)
            stack.callback(kafka.destroy)
            for flavor in chosen.flavors:
                bench = Bench(flavor, folder, kafka, stack)
                for name in chosen.loads:
                    runs += bench.measure(name, chosen.scale, chosen.parts, not chosen.no_native)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    below = report(runs)
    save(chosen.save, {"scale": chosen.scale, "runs": [run.document() for run in runs], "below": below})
    for line in below if chosen.scale == 1.0 else ():
        print(f"below its bound: {line}", file=sys.stderr)
    return 1 if below and chosen.scale == 1.0 else 0


if __name__ == "__main__":
    sys.exit(main())
