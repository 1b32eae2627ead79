"""``make bench-backlog``: how long it takes to catch up after an hour's backlog, while work goes on at the origin.

``python -m benchmarks.backlog [--flavor mysql] [--scale 0.1]``. Scale 1 is the hour: 1.8 million transactions of sysbench's
``oltp_write_only``, 500 a second; the default is a tenth of it, six minutes. Both sites start when it is written; from then on
500 transactions/s go on. Caught up is a target that shows what the origin committed less than a second ago. Then the load ends,
the rest is drained, and origin and target are compared by SQL. Fails (exit 1) where they differ.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dev import DatabaseServer, DevError, start_kafka
from dev.accounts import prepare_server

from .figures import Run, print_table, save
from .loads import HOUR_RATE, SCHEMA, sysbench
from .ours import Drain, mark_at, write_backlog
from .servers import Servers, execute, say, workspace

_CURRENT_S = 1.0
_SLICE_S = 5


class Load:
    """Goes on at the origin from construction to ``end``."""

    def __init__(self, origin: DatabaseServer, rows: int) -> None:
        self._origin = origin
        self._rows = rows
        self._ended = threading.Event()
        self._done = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Returns how many transactions there were."""
        self._ended.set()
        self._thread.join()
        return self._done

    def _run(self) -> None:
        while not self._ended.is_set():
            output = sysbench(self._origin, "run", rows=self._rows, rate=HOUR_RATE, seconds=_SLICE_S)
            found = re.search(r"transactions: +(\d+)", output)
            self._done += int(found[1]) if found else 0


class CaughtUp:
    """Writes marks at the origin; true when the target shows a young one."""

    def __init__(self, origin: DatabaseServer, target: DatabaseServer, last: int) -> None:
        self._origin = origin
        self._target = target
        self._last = last
        self._written: dict[int, float] = {}

    def __call__(self) -> bool:
        self._last += 1
        execute(self._origin, f"UPDATE {SCHEMA}.the_end SET n = {self._last}")
        self._written[self._last] = time.monotonic()
        time.sleep(_CURRENT_S / 10)
        return time.monotonic() - self._written.get(mark_at(self._target), 0) < _CURRENT_S


def measure(flavor: str, scale: float, folder: Path, stack: ExitStack) -> tuple[Run, float]:
    """The run until it had caught up, and the transactions/s that went on meanwhile."""
    kafka = start_kafka(folder / "kafka", die_with_parent=True)
    stack.callback(kafka.destroy)
    servers = Servers(flavor, folder, stack)
    backlog = write_backlog(servers, "hour", scale)
    target = servers.fresh()
    prepare_server(target, [], [SCHEMA])
    drain = Drain(folder, backlog, target, kafka, name="backlog")
    load = Load(backlog.origin, (backlog.load.row_changes - 4 * backlog.load.transactions) // 4)
    began = time.monotonic()
    try:
        run = drain.whole(until=CaughtUp(backlog.origin, target, backlog.head[0]))
        say(f"caught up after {run.seconds:.1f} s")
        more = load.end()
        rate = more / (time.monotonic() - began)
        drain.pair.start()
        drain.pair.wait(300)
        differences = drain.differences()
    finally:
        load.end()
        drain.close()
    if differences:
        raise DevError("the target differs from its origin:\n" + "\n".join(differences))
    # What came meanwhile is drained too; its share of the time until the load had ended.
    meanwhile = round(rate * run.seconds)
    rows, transactions = run.row_changes + 4 * meanwhile, run.transactions + meanwhile
    return replace(run, flavor=flavor, row_changes=rows, transactions=transactions), rate


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    options.add_argument("--flavor", default="mysql", choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--scale", type=float, default=0.1, help="1 is the whole hour (default: a tenth of it)")
    chosen = options.parse_args()
    try:
        with workspace("backlog") as (folder, stack):
            run, rate = measure(chosen.flavor, chosen.scale, folder, stack)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"scale {chosen.scale:g}: a backlog of {60 * chosen.scale:g} minutes at {HOUR_RATE} transactions/s")
    figures = (f"{run.seconds:.1f}", f"{run.rows_per_s:,.0f}", f"{rate:,.0f}", f"{max(run.rss_mib.values()):.0f}")
    print_table(("row changes", "s to catch up", "rows/s", "tx/s meanwhile", "RSS MiB"), [(f"{run.row_changes:,}", *figures)])
    save("backlog", {"scale": chosen.scale, "meanwhile_per_s": round(rate), "runs": [run.document()]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
