"""Counting and printing: processor time and memory of processes, bytes of binlogs and topics, tables of figures."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dev import DatabaseServer, KafkaServer

__all__ = ["Run", "Watch", "binlog_bytes", "position", "print_table", "save", "topic_bytes"]

OUT = Path(__file__).parent / "out"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement."""

    system: str
    flavor: str
    load: str
    row_changes: int
    transactions: int
    seconds: float
    cpu_s: float = 0.0
    """Of the replicating processes, servers apart; 0 where the server itself replicates."""
    rss_mib: dict[str, float] = field(default_factory=dict)
    """Highest resident memory of each process."""
    profile: dict[str, float] = field(default_factory=dict)
    """Of the time of all cores, in percent: what each process took as user and as system, and what was idle."""
    kafka_bytes: int = 0
    binlog_bytes: int = 0
    note: str = ""

    @property
    def rows_per_s(self) -> float:
        """The rate."""
        return self.row_changes / self.seconds

    def document(self) -> dict[str, Any]:
        """For JSON."""
        more: dict[str, float] = {"rows_per_s": round(self.rows_per_s)}
        more["transactions_per_s"] = round(self.transactions / self.seconds)
        if self.cpu_s:
            more["cpu_s_per_million_rows"] = round(self.cpu_s / self.row_changes * 1e6, 2)
        if self.kafka_bytes and self.binlog_bytes:
            more["kafka_to_binlog"] = round(self.kafka_bytes / self.binlog_bytes, 3)
        return {**asdict(self), **more}


class Watch:
    """Sums the processor time of processes from its making to ``end``, and keeps their highest resident memory.

    ``beside`` are processes that count in ``profile`` only. A thread looks ten times a second, so that a process that ends in
    between is counted up to its end.
    """

    def __init__(self, pids: dict[str, int], beside: dict[str, int | None] | None = None) -> None:
        self._pids = pids
        self._all = {**pids, **{name: pid for name, pid in (beside or {}).items() if pid}}
        if os.getpid() in pids.values():  # this process measures one after the other: each begins with what it holds now
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
        self._first = {name: _cpu_s(pid) for name, pid in self._all.items()}
        self._last = dict(self._first)
        self._idle_s = _idle_s()
        self.profile: dict[str, float] = {}
        self._rss = dict.fromkeys(pids, 0.0)
        self._done = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> tuple[float, float, dict[str, float]]:
        """Seconds passed, processor seconds, and MiB by process."""
        seconds = time.monotonic() - self._began
        self._done.set()
        self._thread.join()
        self._sample()
        spent = {name: [b - a for a, b in zip(self._first[name], last, strict=True)] for name, last in self._last.items()}
        percent = 100 / (seconds * (os.cpu_count() or 1))
        for name, (user, system) in spent.items():
            self.profile[f"{name}, user"] = round(user * percent, 1)
            self.profile[f"{name}, system"] = round(system * percent, 1)
        self.profile["idle"] = round((_idle_s() - self._idle_s) * percent, 1)
        return seconds, sum(sum(spent[name]) for name in self._pids), self._rss

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self._sample()

    def _sample(self) -> None:
        for name, pid in self._all.items():
            self._last[name] = max(self._last[name], _cpu_s(pid))
        for name, pid in self._pids.items():
            self._rss[name] = max(self._rss[name], _rss_mib(pid))


def _cpu_s(pid: int) -> tuple[float, float]:
    """User and system."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    return int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S


def _idle_s() -> float:
    """Of all cores, waiting for the disk included."""
    fields = Path("/proc/stat").read_text().split(maxsplit=6)
    return (int(fields[4]) + int(fields[5])) / _TICKS_PER_S


def _rss_mib(pid: int) -> float:
    """The highest so far, as the kernel keeps it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def position(server: DatabaseServer) -> str:
    """All that the server has committed, as a GTID set."""
    column = "@@global.gtid_executed" if server.flavor == "mysql" else "@@global.gtid_binlog_pos"
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {column}")
        row: Any = cursor.fetchone()
    return str(row[0]).replace("\n", "")


def binlog_bytes(server: DatabaseServer) -> int:
    """Bytes in all of the server's binlogs."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        return sum(int(row[1]) for row in cursor.fetchall())


def topic_bytes(kafka: KafkaServer, topic: str) -> int:
    """Bytes of a topic on the broker's disk."""
    return sum(path.stat().st_size for path in (kafka.dir / "data" / f"{topic}-0").glob("*.log"))


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print columns, numbers to the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *lines]) for i in range(len(head))]
    print("  ".join(name.ljust(width) for name, width in zip(head, widths, strict=True)))
    for line in lines:
        print("  ".join(c.rjust(w) if c[:1].isdigit() else c.ljust(w) for c, w in zip(line, widths, strict=True)))


def save(name: str, document: Any) -> Path:
    """Write JSON under benchmarks/out, and print where."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"JSON: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path
