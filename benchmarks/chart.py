"""``make chart``: the rates that ``make bench`` left under benchmarks/out, as ``benchmarks/results.svg``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

from .figures import OUT

CHART = Path(__file__).parent / "results.svg"
_FLAVORS = {"mysql": "MySQL 8.0.31", "mysql97": "MySQL 9.7", "mariadb": "MariaDB 10.11"}


def draw(runs: list[dict[str, Any]]) -> bytes:
    """An SVG of rows/s: a group of bars for each flavor and load, a bar for each system."""
    groups = list(dict.fromkeys((run["flavor"], run["load"]) for run in runs))
    systems = list(dict.fromkeys(run["system"] for run in runs))
    chart = pygal.Bar(
        title="Row changes per second, backlog drained to the target",
        x_labels=[f"{_FLAVORS[flavor]}, {load}" for flavor, load in groups],
        style=CleanStyle,
        width=1000,
        height=500,
        legend_at_bottom=True,
        print_values=True,
        formatter=lambda rate: f"{rate:,.0f}",
        js=[],
    )
    rates = {(run["system"], run["flavor"], run["load"]): run["rows_per_s"] for run in runs}
    for system in systems:
        chart.add(system, [rates.get((system, *group)) for group in groups])
    svg: bytes = chart.render()
    return svg


def main() -> int:
    """Command line."""
    path = OUT / "whole.json"
    if not path.exists():
        print(f"{path.name} is not there: run `make bench` first", file=sys.stderr)
        return 1
    CHART.write_bytes(draw(json.loads(path.read_text())["runs"]))
    print(f"benchmarks/{CHART.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
