"""``make bench-flat``: what a row costs our processes when there are ten and a hundred times as many.

``python -m benchmarks.flat [--flavor mysql] [--rows 100000 1000000 10000000]``: W1 of about so many row changes each, drained
whole. Fails (exit 1) when the processor time of a row, or the memory, grows with their number. What the databases take for a
row is theirs: it grows with the depth of their trees, so the rates are printed and not judged.
"""

from __future__ import annotations

import argparse
import sys

from dev import DevError, start_kafka

from .figures import Run, print_table, save
from .servers import workspace
from .whole import RSS_MIB_MAX, Bench

_ROWS_OF_W1 = 600_000
GROWTH_MAX = 1.15


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.flat", description=__doc__)
    options.add_argument("--flavor", default="mysql", choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    chosen = options.parse_args()
    runs: list[Run] = []
    try:
        for rows in sorted(chosen.rows):
            with workspace("flat") as (folder, stack):  # a fresh Kafka for each, so that none reads what another left
                kafka = start_kafka(folder / "kafka", die_with_parent=True)
                stack.callback(kafka.destroy)
                bench = Bench(chosen.flavor, folder, kafka, stack)
                runs += bench.measure("W1", rows / _ROWS_OF_W1, parts=False, peers=False)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    costs = [run.cpu_s / run.row_changes * 1e6 for run in runs]
    memory = [max(run.rss_mib.values()) for run in runs]
    lines = []
    for run, cost, rss in zip(runs, costs, memory, strict=True):
        rates = (f"{run.row_changes:,}", f"{run.seconds:.1f}", f"{run.rows_per_s:,.0f}")
        lines.append((*rates, f"{cost:.1f}", f"{cost / costs[0]:.2f}", f"{rss:.0f}"))
    print_table(("row changes", "s", "rows/s", "CPU s/10^6", "of the first", "RSS MiB"), lines)
    save("flat", {"flavor": chosen.flavor, "growth": round(costs[-1] / costs[0], 3), "runs": [run.document() for run in runs]})
    # Starting up is in the first figure, so only growth is judged.
    failed = costs[-1] > GROWTH_MAX * costs[0] or max(memory) > RSS_MIB_MAX
    if failed:
        print(f"not flat: wanted at most {GROWTH_MAX} times the cost of a row and {RSS_MIB_MAX} MiB", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
