"""``make chart``: the figures that ``make bench`` (or its parts) left under benchmarks/out, as the two SVGs of RESULTS.md.

``make bench`` itself draws them under benchmarks/out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

from .figures import OUT

_FLAVORS = {"mysql": "MySQL 8.0.31", "mysql97": "MySQL 9.7", "mariadb": "MariaDB 10.11"}


def rates(runs: list[dict[str, Any]]) -> bytes:
    """An SVG of W1's rows/s: a group of bars for each flavor, a bar for each system."""
    flavors = [flavor for flavor in _FLAVORS if any(run["flavor"] == flavor for run in runs)]
    systems = list(dict.fromkeys(run["system"] for run in runs))
    found = {(run["system"], run["flavor"]): run["rows_per_s"] for run in runs}
    chart = _bars("Row changes per second, W1, backlog drained to the target", [_FLAVORS[flavor] for flavor in flavors], ",.0f")
    for system in systems:
        chart.add(system, [found.get((system, flavor)) for flavor in flavors])
    return bytes(chart.render())


def latency(figures: list[dict[str, Any]]) -> bytes:
    """An SVG of p50 and p99 by rate, for each system."""
    wanted = list(dict.fromkeys(figure["rate"] for figure in figures))
    found = {(figure["system"], figure["rate"]): figure for figure in figures}
    chart = _bars("Commit to visible, ms (logarithmic)", [f"{rate} transactions/s" for rate in wanted], ".1f", logarithmic=True)
    for system in dict.fromkeys(figure["system"] for figure in figures):
        for name in ("p50_ms", "p99_ms"):
            chart.add(f"{system}, {name[:3]}", [found.get((system, rate), {}).get(name) for rate in wanted])
    return bytes(chart.render())


def _bars(title: str, labels: list[str], form: str, **more: Any) -> Any:
    return pygal.Bar(
        title=title,
        x_labels=labels,
        style=CleanStyle,
        width=1000,
        height=500,
        legend_at_bottom=True,
        print_values=True,
        formatter=lambda value: format(value, form),
        js=[],
        **more,
    )


def _left(name: str) -> list[dict[str, Any]]:
    path = OUT / f"{name}.json"
    return list(json.loads(path.read_text())["runs"]) if path.exists() else []


def draw(folder: Path) -> bool:
    """Write what can be drawn; False where there are no rates."""
    runs = [run for name in ("whole", *(f"whole-{flavor}" for flavor in _FLAVORS)) for run in _left(name)]
    runs += [run for run in _left("peers") if run["system"] == "Debezium, whole"]
    runs = [run for run in runs if run["load"] == "W1" and run["system"] not in ("replicator, source", "replicator, apply")]
    for name, figures, svg in (("results.svg", runs, rates), ("latency.svg", _left("latency"), latency)):
        if figures:
            (folder / name).write_bytes(svg(figures))
            print(f"chart: {folder.name}/{name}")
    return bool(runs)


def main() -> int:
    """Command line."""
    if draw(Path(__file__).parent):
        return 0
    print("nothing was measured: run `make bench` first", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
