"""``make bench-detect``: what it costs to compare whole before images, ``detect: full`` against ``detect: key``, in one run.

``python -m benchmarks.detect [--flavors mysql mariadb] [--load W1] [--scale 1] [--rounds 1]``. One backlog at one origin is
drained by turns into fresh targets. Fails (exit 1) where a target differs from its origin, or where ``full`` has less than
``RATIO_MIN`` of the speed of ``key``.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from dev import DevError, KafkaServer, start_kafka
from dev.accounts import prepare_server

from .figures import Run, print_table, save
from .loads import LOADS, SCHEMA
from .ours import Drain, write_backlog
from .servers import Servers, say, workspace

RATIO_MIN = 0.6
MODES = ("key", "full")


def measure(flavor: str, name: str, scale: float, rounds: int, folder: Path, kafka: KafkaServer, stack: ExitStack) -> list[Run]:
    """All drains of one flavor; raises DevError where a target differs from its origin."""
    servers = Servers(flavor, folder, stack)
    backlog = write_backlog(servers, name, scale)
    runs = []
    for number in range(rounds):
        for mode in MODES if number % 2 == 0 else reversed(MODES):
            target = servers.fresh()
            prepare_server(target, [], [SCHEMA])
            drain = Drain(folder / flavor, backlog, target, kafka, name=f"{mode}-{flavor}-{number}", options={"detect": mode})
            try:
                run = drain.whole(mode)
                differences = drain.differences()
            finally:
                drain.close()
            if differences:
                raise DevError(f"detect: {mode}: the target differs from its origin:\n" + "\n".join(differences))
            say(f"{flavor}: {name}: detect: {mode}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s")
            runs.append(run)
            target.destroy()
    backlog.origin.destroy()
    return runs


def ratios(runs: list[Run]) -> dict[str, float]:
    """By flavor: the speed of ``full`` in that of ``key``, each the best of its rounds."""
    best: dict[tuple[str, str], float] = {}
    for run in runs:
        key = (run.flavor, run.system)
        best[key] = max(best.get(key, 0.0), run.rows_per_s)
    return {flavor: round(speed / best[flavor, "key"], 3) for (flavor, mode), speed in best.items() if mode == "full"}


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.detect", description=__doc__)
    options.add_argument("--flavors", nargs="+", default=["mysql", "mariadb"], choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--load", default="W1", choices=list(LOADS))
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--rounds", type=int, default=1)
    chosen = options.parse_args()
    runs: list[Run] = []
    try:
        with workspace("bench") as (folder, stack):
            kafka = start_kafka(folder / "kafka", die_with_parent=True)
            stack.callback(kafka.destroy)
            for flavor in chosen.flavors:
                runs += measure(flavor, chosen.load, chosen.scale, chosen.rounds, folder, kafka, stack)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    found = ratios(runs)
    head = ("flavor", "load", "detect", "s", "rows/s", "full/key")
    rows = [(r.flavor, r.load, r.system, f"{r.seconds:.1f}", f"{r.rows_per_s:,.0f}", f"{found[r.flavor]:.2f}") for r in runs]
    print_table(head, rows)
    below = [f"{flavor}: {ratio:.2f}, wanted {RATIO_MIN}" for flavor, ratio in found.items() if ratio < RATIO_MIN]
    save("detect", {"scale": chosen.scale, "ratios": found, "runs": [r.document() for r in runs], "below": below})
    for line in below:
        print(f"below its bound: {line}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
