"""``make bench``: every measurement in turn, each in a process of its own, and at the end one table: what we wanted, what we got.

``python -m benchmarks [--scale 1] [--full] [--only PART …]``. Parts are ``PARTS``; each prints its own figures and leaves its own
JSON. ``--full`` takes the largest loads too: 10^7 row changes in ``flat``, the whole hour in ``backlog``. All of it, with commit
and date, goes to benchmarks/out/all.json, the charts beside it. Fails (exit 1) where a part left no figures (because a target
differs from its origin, say), and at scale 1 where a figure is missed. A figure that was not measured is named as such, and fails
nothing. That a reader of the target sees no state that was not the origin's is a test: tests/faults/test_states.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from dev import DevError
from dev.cache import REPOSITORY
from dev.mysql import mysql_distribution

from . import chart, detect, flat, latency, limit, peers, source, wan, whole
from .figures import OUT, print_table, save
from .servers import say

Documents = dict[str, Any]
"""What the parts left, by part."""


def _whole(flavor: str, *loads: str) -> Callable[[float, bool], list[str]]:
    more = ["--parts", "--save", f"whole-{flavor}"]
    return lambda scale, _: ["whole", "--flavors", flavor, "--loads", *loads, *more, "--scale", f"{scale}"]


def _scaled(module: str) -> Callable[[float, bool], list[str]]:
    return lambda scale, _: [module, "--scale", f"{scale}"]


def _latency(scale: float, _: bool) -> list[str]:
    seconds = [max(5, round(at_one * scale)) for at_one in (30, 60)]
    return ["latency", "--native", "--seconds", f"{seconds[0]}", "--warm", f"{seconds[1]}"]


def _flat(scale: float, full: bool) -> list[str]:
    return ["flat", "--rows", *[f"{round(rows * scale)}" for rows in (10**5, 10**6, 10**7)[: 3 if full else 2]]]


def _backlog(scale: float, full: bool) -> list[str]:
    return ["backlog", "--scale", f"{scale if full else scale / 10}"]


PARTS: dict[str, Callable[[float, bool], list[str]]] = {
    "whole-mysql": _whole("mysql", "W1", "W2", "W3", "W4", "W5"),
    "whole-mariadb": _whole("mariadb", "W1"),
    "whole-mysql97": _whole("mysql97", "W1"),
    "source": _scaled("source"),
    "peers": _scaled("peers"),
    "limit": _scaled("limit"),
    "latency": _latency,
    "wan": _scaled("wan"),
    "flat": _flat,
    "detect": _scaled("detect"),
    "backlog": _backlog,
}
"""By the name of the JSON that it leaves: the module and its arguments, for a scale and ``--full``."""

Figure = tuple[str, str, float, str, Callable[[Documents], float]]
"""What, ``≥`` or ``≤``, the bound, how it is printed, and how it is found (KeyError: it was not measured)."""


def _runs(document: Any, system: str, load: str = "W1") -> list[Any]:
    return [run for run in document["runs"] if run["system"].startswith(system) and run["load"] == load]


def _against_native(flavor: str) -> Callable[[Documents], float]:
    def ratio(documents: Documents) -> float:
        document = documents[f"whole-{flavor}"]
        native = max(run["rows_per_s"] for run in _runs(document, "native"))
        return float(_runs(document, "replicator, whole")[0]["rows_per_s"] / native)

    return ratio


def _at_500(name: str) -> Callable[[Documents], float]:
    def found(documents: Documents) -> float:
        runs = documents["latency"]["runs"]
        run = next(run for run in runs if run["rate"] == 500 and run["system"] == "replicator")
        return float(run[name]) if float(run["reached"]) >= 0.95 * 500 else float("inf")  # another rate's is no answer

    return found


def _kafka_bytes(documents: Documents) -> float:
    parts = [documents[part] for part in ("whole-mysql", "whole-mariadb", "whole-mysql97") if part in documents]
    return _most(run["kafka_to_binlog"] for part in parts for run in _runs(part, "replicator, whole"))


def _memory(documents: Documents) -> float:
    """Of our own processes, in every part."""
    runs = [run for document in documents.values() for run in document["runs"]]
    ours = [run for run in runs if run["system"].startswith("replicator") or run["system"] in detect.MODES]
    return _most(mib for run in ours for name, mib in run["rss_mib"].items() if name != "python")


def _most(found: Iterator[float]) -> float:
    highest = max(found, default=None)
    if highest is None:
        raise KeyError
    return highest


FIGURES: list[Figure] = [
    ("source, W1, in Debezium's source", "≥", peers.WANTED["source"], ".1f", lambda d: d["peers"]["ratios"]["source"]),
    ("source, W1, in mysql-replication's .rows", "≥", source.RATIO_MIN, ".1f", lambda d: d["source"]["ratio"]),
    ("whole, W1, MySQL 8.0.31, in native's better", "≥", whole.WANTED["mysql"], ".2f", _against_native("mysql")),
    ("whole, W1, MySQL 9.7, in native's better", "≥", whole.WANTED["mysql97"], ".2f", _against_native("mysql97")),
    ("whole, W1, MariaDB, in native's better", "≥", whole.WANTED["mariadb"], ".2f", _against_native("mariadb")),
    ("whole, W1, in Debezium's source + sink", "≥", peers.WANTED["whole"], ".1f", lambda d: d["peers"]["ratios"]["whole"]),
    ("apply in the limit", "≥", limit.RATIO_MIN, ".2f", lambda d: d["limit"]["ratio"]),
    (
        "processor time, W1, whole: Debezium's in ours", "≥", peers.WANTED["processor time"], ".1f",
        lambda d: d["peers"]["ratios"]["processor time"],
    ),
    ("bytes in Kafka, W1, in binlog bytes (most)", "≤", 0.45, ".2f", _kafka_bytes),
    ("latency at 500 transactions/s, p50, ms", "≤", latency.P50_MS_MAX, ".1f", _at_500("p50_ms")),
    ("latency at 500 transactions/s, p99, ms", "≤", latency.P99_MS_MAX, ".1f", _at_500("p99_ms")),
    ("W1 with 80 ms round trip, in the rate without", "≥", wan.RATIO_MIN, ".2f", lambda d: d["wan"]["ratio"]),
    ("resident memory, each process, all runs, MiB", "≤", whole.RSS_MIB_MAX, ".0f", _memory),
    ("cost of a row, the most rows in the fewest", "≤", flat.GROWTH_MAX, ".2f", lambda d: d["flat"]["growth"]),
    ("detect: full in detect: key (least)", "≥", detect.RATIO_MIN, ".2f", lambda d: min(d["detect"]["ratios"].values())),
]  # fmt: skip


def judged(documents: Documents) -> list[dict[str, Any]]:
    """Every figure, with what was wanted; ``met`` is None where it was not measured."""
    found = []
    for name, sign, bound, form, value in FIGURES:
        figure: dict[str, Any] = {"figure": name, "wanted": f"{sign} {bound:g}", "shown": "not measured", "met": None}
        with suppress(KeyError):
            got = float(value(documents))
            figure |= {"got": got, "shown": format(got, form), "met": got >= bound if sign == "≥" else got <= bound}
        found.append(figure)
    return found


def measured(parts: list[str], scale: float, full: bool) -> tuple[Documents, list[str]]:
    """Run the parts; returns what they left, and the names of those that left nothing."""
    documents: Documents = {}
    failed = []
    for part in parts:
        if part == "whole-mysql97" and not _mysql97():
            say(f"{part}: MySQL 9.7 cannot be had here")
            continue
        path = OUT / f"{part}.json"
        path.unlink(missing_ok=True)
        module, *arguments = PARTS[part](scale, full)
        print(f"\n{part}: python -m benchmarks.{module} {' '.join(arguments)}", flush=True)
        began = time.monotonic()
        # Its exit code also tells of missed figures, which are judged here.
        subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *arguments], check=False)
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
        if path.exists():
            documents[part] = json.loads(path.read_text())
        else:
            failed.append(part)
    return documents, failed


def _mysql97() -> bool:
    try:
        mysql_distribution("9.7")
    except DevError as error:
        say(str(error))
        return False
    return True


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--full", action="store_true", help="10^7 row changes in flat, the whole hour in backlog")
    options.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    chosen = options.parse_args()
    commit = _git("rev-parse", "HEAD") + (" with changes" if _git("status", "--porcelain") else "")
    date = datetime.now(UTC).isoformat(timespec="seconds")
    documents, failed = measured(chosen.only, chosen.scale, chosen.full)
    found = judged(documents)
    equal = f"{len(documents)} of {len(documents) + len(failed)} parts"
    found.append({"figure": "every target equal to its origin, by SQL", "wanted": "all", "shown": equal, "met": not failed})
    print(f"\nscale {chosen.scale:g}, commit {commit or 'unknown'}, {date}")
    words = {True: "yes", False: "NO", None: "-"}
    print_table(("figure", "wanted", "got", "met"), [(f["figure"], f["wanted"], f["shown"], words[f["met"]]) for f in found])
    for part in failed:
        print(f"failed: {part} left no figures, see above", file=sys.stderr)
    parts = {"figures": found, "failed": failed, "parts": documents}
    save("all", {"commit": commit, "date": date, "scale": chosen.scale, "full": chosen.full, **parts})
    chart.draw(OUT)
    missed = any(f["met"] is False for f in found)
    return 1 if failed or (missed and chosen.scale == 1.0) else 0


if __name__ == "__main__":
    sys.exit(main())
