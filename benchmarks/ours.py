"""Draining a backlog with our own processes: source alone, applier alone, and the whole way.

The processes start, connect, and are stopped dead (by their own pause points) when the first transaction is in their hands.
The clock starts as they are let go, so that starting interpreters is not part of the rate, and no work is done before.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import DatabaseServer, DevError, KafkaServer
from dev.accounts import prepare_server
from dev.pair import Pair

from .figures import Run, Watch, binlog_bytes, position, topic_bytes
from .loads import LOADS, SCHEMA, Load
from .servers import Servers, execute, say

__all__ = ["Backlog", "Drain", "mark_at", "position_mark", "write_backlog"]

SOURCE_PAUSE = "source:read-not-sent"
APPLIER_PAUSE = "applier:before-commit"  # the first: of the CREATE DATABASE in front of the load
_POLL_S = 0.02
_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """A load that an origin has committed behind the position ``start``, in so many bytes of ``binlog``."""

    origin: DatabaseServer
    load: Load
    start: str
    binlog: int
    head: tuple[int, str]
    """What ``position_mark`` wrote behind the load."""


def write_backlog(servers: Servers, name: str, scale: float) -> Backlog:
    """A fresh origin with one of the loads, and the row that marks its end."""
    origin = servers.origin()
    prepare_server(origin, [], [SCHEMA])
    start, before = position(origin), binlog_bytes(origin)
    execute(origin, f"CREATE DATABASE {SCHEMA}")
    say(f"{servers.flavor}: {name} is being written at the origin")
    load = LOADS[name](origin, scale)
    head = position_mark(origin)
    return Backlog(origin, load, start, binlog_bytes(origin) - before, head)


class Drain:
    """A pair whose origin has a backlog."""

    def __init__(
        self,
        folder: Path,
        backlog: Backlog,
        target: DatabaseServer,
        kafka: KafkaServer,
        *,
        name: str,
        options: Mapping[str, Any] | None = None,
        bootstrap: Mapping[str, str] | None = None,
        site_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._folder = folder
        self._backlog = backlog
        self._kafka = kafka
        self.pair = Pair(
            folder / name,
            backlog.origin,
            target,
            kafka,
            name=name,
            schemas=[SCHEMA],
            start=backlog.start,
            options=options,
            bootstrap=bootstrap,
            site_options=site_options,
            create=False,
        )
        self._head = backlog.head

    def whole(self, system: str = "replicator, whole", until: Callable[[], bool] | None = None) -> Run:
        """Both sites at once, from the first transaction read to the last visible at the target, or to ``until``."""
        with self._stopped_at("source", "east", SOURCE_PAUSE, other="west") as go:
            watch = self._watch("east", "west")
            go()
            self._await_target(until)
            return self._run(system, watch)

    def source(self) -> Run:
        """The source alone, from the first transaction read to the last acknowledged by Kafka."""
        with self._stopped_at("source", "east", SOURCE_PAUSE) as go:
            watch = self._watch("east")
            go()
            self._await_source()
            return self._run("replicator, source", watch)

    def apply(self) -> Run:
        """The applier alone, all of it in Kafka already."""
        with self._stopped_at("applier", "west", APPLIER_PAUSE) as go:
            watch = self._watch("west")
            go()
            self._await_target()
            return self._run("replicator, apply", watch)

    def differences(self) -> list[str]:
        """What the judge finds."""
        return self.pair.differences()

    def close(self) -> None:
        """Stop what still runs."""
        self.pair.stop()

    @contextmanager
    def _stopped_at(self, role: str, site: str, point: str, other: str | None = None) -> Iterator[Any]:
        pause_file = self._folder / f"{self.pair.name}-{role}.paused"
        pause_file.unlink(missing_ok=True)
        try:
            if other is not None:
                self.pair.start(other)
            self.pair.start(site, ready=False, env={"REPLICATOR_PAUSE_AT": point, "REPLICATOR_PAUSE_FILE": str(pause_file)})
            deadline = time.monotonic() + 120
            while not (pause_file.exists() and pause_file.read_text()):
                if time.monotonic() > deadline:
                    raise DevError(f"the {role} never came to its pause point {point}\n{self.pair.troubles()}")
                time.sleep(_POLL_S)
            pid = int(pause_file.read_text())
            while _state(pid) != "T":
                time.sleep(_POLL_S)
            yield lambda: os.kill(pid, signal.SIGCONT)
        finally:
            self.pair.stop()

    def _watch(self, *sites: str) -> Watch:
        pids: dict[str, int] = {}
        for site in sites:
            for i, pid in enumerate(self.pair.processes(site)):
                pids[f"{site} {'supervisor' if i == 0 else _role(pid)}"] = pid
        return Watch(pids, {"target": self.pair.target.pid, "origin": self.pair.origin.pid, "broker": self._kafka.pid})

    def _await_target(self, until: Callable[[], bool] | None = None) -> None:
        """The origin's last transaction of the load is a row of its own table, so seeing it is enough."""
        seen = until or (lambda: mark_at(self.pair.target) == self._head[0])
        self.pair.until(seen, _TIMEOUT_S, "the target to have the whole load")

    def _await_source(self) -> None:
        # Kafka has everything when the topic no longer grows and the source says that it has sent what it read.
        def all_sent() -> bool:
            for worker in self.pair.workers("east"):
                stages = worker.get("stages", {})
                read, acknowledged = stages.get("read", {}), stages.get("acknowledged", {})
                if acknowledged.get("gtid") and acknowledged.get("sequence") == read.get("sequence"):
                    return bool(acknowledged["gtid"].split(":")[-1] == self._head_gtid().split(":")[-1])
            return False

        self.pair.until(all_sent, _TIMEOUT_S, "the source to have sent the whole load")

    def _head_gtid(self) -> str:
        return self._head[1]

    def _run(self, system: str, watch: Watch) -> Run:
        seconds, cpu_s, rss = watch.end()
        return Run(
            system=system,
            flavor=self.pair.origin.flavor,
            load=self._backlog.load.name,
            row_changes=self._backlog.load.row_changes,
            transactions=self._backlog.load.transactions,
            seconds=round(seconds, 3),
            cpu_s=round(cpu_s, 2),
            rss_mib={name: round(value, 1) for name, value in rss.items()},
            profile=watch.profile,
            kafka_bytes=topic_bytes(self._kafka, self.pair.topic),
            binlog_bytes=self._backlog.binlog,
        )


def position_mark(origin: DatabaseServer) -> tuple[int, str]:
    """Commit one more row at the origin, the end of the load; returns its value and its GTID."""
    with origin.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.the_end (id INT PRIMARY KEY, n BIGINT NOT NULL)")
        cursor.execute(f"SELECT COALESCE(MAX(n), 0) + 1 FROM {SCHEMA}.the_end")
        row: Any = cursor.fetchone()
        cursor.execute(f"REPLACE INTO {SCHEMA}.the_end VALUES (1, {int(row[0])})")
        column = "@@global.gtid_executed" if origin.flavor == "mysql" else "@@global.gtid_binlog_pos"
        cursor.execute(f"SELECT {column}")
        gtids: Any = cursor.fetchone()
    text = str(gtids[0]).replace("\n", "")
    last = text.split(",")[-1]
    return int(row[0]), last.rpartition("-")[2] if origin.flavor == "mysql" else last


def mark_at(target: DatabaseServer) -> int:
    """The mark that the target shows; 0 while there is none."""
    with target.connect() as connection, connection.cursor() as cursor:
        tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = 'the_end'"
        cursor.execute(tables, SCHEMA)
        there: Any = cursor.fetchone()
        if not there[0]:
            return 0
        cursor.execute(f"SELECT MAX(n) FROM {SCHEMA}.the_end")
        row: Any = cursor.fetchone()
        return int(row[0] or 0)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _role(pid: int) -> str:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return arguments[arguments.index("--role") + 1] if "--role" in arguments else f"process {pid}"
