"""The last table of ``make bench``: it says what was met, what was missed, and what was not measured."""

from __future__ import annotations

from typing import Any

from benchmarks.__main__ import PARTS, judged


def test_a_figure_is_met_missed_or_not_measured() -> None:
    """From what the parts leave; nothing counts as met that no part measured."""
    assert {figure["met"] for figure in judged({})} == {None}
    ours = {"system": "replicator, whole", "load": "W1", "rows_per_s": 300, "kafka_to_binlog": 0.3, "rss_mib": {"applier": 301.0}}
    native = {"load": "W1", "rss_mib": {}}
    runs: list[Any] = [ours]
    for workers, rate in ((1, 90), (4, 100)):
        runs.append({**native, "system": f"native replication, {workers} workers", "rows_per_s": rate})
    late = [{"system": "replicator", "rate": rate, "reached": f"{rate}", "p50_ms": 9, "p99_ms": 41} for rate in (100, 500)]
    late = [{**run, "load": "", "rss_mib": {}} for run in late]
    found = judged({"whole-mysql": {"runs": runs}, "latency": {"runs": late}, "limit": {"ratio": 0.79, "runs": []}})
    known = {figure["figure"]: (figure["shown"], figure["met"]) for figure in found if figure["met"] is not None}
    assert known == {
        "whole, W1, MySQL 8.0.31, in native's better": ("3.00", True),
        "apply in the limit": ("0.79", False),
        "bytes in Kafka, W1, in binlog bytes (most)": ("0.30", True),
        "latency at 500 transactions/s, p50, ms": ("9.0", True),
        "latency at 500 transactions/s, p99, ms": ("41.0", False),
        "resident memory, each process, all runs, MiB": ("301", False),
    }


def test_every_part_takes_a_scale() -> None:
    """The modules exist, and a small scale makes small runs."""
    for name, arguments in PARTS.items():
        module, *rest = arguments(0.02, False)
        __import__(f"benchmarks.{module}")
        assert rest, name
