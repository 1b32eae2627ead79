"""``make bench-limit``: how near the applier comes to its limit, the target database itself.

The statements that the applier sends while it applies W1 from Kafka are recorded by a proxy between it and the target, and then
replayed from memory by a trivial client, into a fresh target, over as many connections and in the same order of commits. What
the trivial client needs is the limit: nobody who sends these statements can be faster. Replay and applier run in turns, twice
each; printed is the median of the limit in that of ours, and who had the processors meanwhile. Every target is compared by SQL.

``python -m benchmarks.limit [--flavor mysql] [--scale 1]``.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymysql.constants import CLIENT, COMMAND

from dev import DatabaseServer, DevError, free_port, start_kafka
from dev.accounts import PASSWORD, USER, prepare_server
from dev.judge import compare

from .figures import Run, Watch, print_table, save
from .loads import SCHEMA
from .ours import Drain, write_backlog
from .servers import Servers, say, workspace

RATIO_MIN = 0.8
_COM_QUERY = 3


@dataclass(slots=True)
class Command:
    """A statement as it was sent: on which connection, and how many commits had been answered before."""

    connection: int
    sql: bytes
    commits_before: int


@dataclass
class Recorder:
    """A proxy in front of a database that keeps every statement it forwards."""

    target: DatabaseServer
    port: int = field(default_factory=free_port)
    commands: list[Command] = field(default_factory=list)
    _commits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _awaiting: set[int] = field(default_factory=set)

    def start(self) -> None:
        """Listen, in threads that end with the process."""
        listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        number = 0
        while True:
            near, _ = listener.accept()
            far = socket.create_connection((self.target.host, self.target.port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._up, args=(number, near, far), daemon=True).start()
            threading.Thread(target=self._down, args=(number, far, near), daemon=True).start()
            number += 1

    def _up(self, number: int, near: socket.socket, far: socket.socket) -> None:
        buffer, sql = bytearray(), bytearray()
        while data := _received(near):
            buffer += data
            while len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[:3], "little"):
                length = int.from_bytes(buffer[:3], "little")
                if sql or (length and buffer[3] == 0 and buffer[4] == _COM_QUERY):
                    sql += buffer[4 : 4 + length]
                    if length < 0xFFFFFF:
                        self._keep(number, bytes(sql[1:]))
                        sql.clear()
                del buffer[: 4 + length]
            with suppress(OSError):  # the server hung up first
                far.sendall(data)
        far.close()

    def _keep(self, number: int, sql: bytes) -> None:
        with self._lock:
            self.commands.append(Command(number, sql, self._commits))
            if sql.rstrip(b"; ").upper().endswith(b"COMMIT"):
                self._awaiting.add(number)

    def _down(self, number: int, far: socket.socket, near: socket.socket) -> None:
        while data := _received(far):
            if number in self._awaiting:
                with self._lock:
                    self._awaiting.discard(number)
                    self._commits += 1
            with suppress(OSError):  # the applier hung up first
                near.sendall(data)
        near.close()


def _received(end: socket.socket) -> bytes:
    """What there is; nothing where the connection ended, from either side."""
    try:
        return end.recv(1 << 20)
    except OSError:
        return b""


class Replay:
    """Sends recorded statements again, in their order, each after the commits that it came after.

    Connections overlap as they did: a statement waits for earlier ones to be sent, and for commits only to be answered.
    """

    def __init__(self, target: DatabaseServer, commands: list[Command]) -> None:
        self._target = target
        self._commands = [c for c in commands if not _merely_asks(c.sql)]
        self._commits = 0
        self._sent = 0
        self._changed = threading.Condition()
        self._errors: list[str] = []

    def run(self) -> float:
        """Seconds from the first statement to the last answer; raises DevError on the first error."""
        numbers = sorted({command.connection for command in self._commands})
        flags = CLIENT.MULTI_STATEMENTS | CLIENT.MULTI_RESULTS
        # autocommit=None leaves it to the server, and to what was recorded.
        login = {"user": USER, "password": PASSWORD, "client_flag": flags, "charset": "utf8mb4", "autocommit": None}
        connections = {number: self._target.connect(**login) for number in numbers}
        threads = [threading.Thread(target=self._play, args=(n, connections[n])) for n in numbers]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        if self._errors:
            raise DevError(f"the replay failed: {self._errors[0]}")
        return seconds

    def _play(self, number: int, connection: Any) -> None:
        for index, command in enumerate(self._commands):
            if command.connection != number:
                continue
            with self._changed:
                while not self._errors and (self._sent < index or self._commits < command.commits_before):
                    self._changed.wait()
                if self._errors:
                    return
            try:
                connection._execute_command(COMMAND.COM_QUERY, command.sql)
                self._note(sent=True)
                connection._read_query_result()
                while connection._result.has_next:
                    connection._read_query_result()
            except Exception as error:  # noqa: BLE001 - reported by run
                if command.sql.startswith((b"USE ", b"SET SESSION innodb_strict_mode")):
                    continue  # of a database that the next statement creates; what only some accounts may
                self._errors.append(f"{error}: {command.sql[:60]!r}")
            self._note(committed=command.sql.rstrip(b"; ").upper().endswith(b"COMMIT"))

    def _note(self, *, sent: bool = False, committed: bool = False) -> None:
        with self._changed:
            self._sent += sent
            self._commits += committed
            self._changed.notify_all()


def _merely_asks(sql: bytes) -> bool:
    """Looks at descriptions and at the operator's wishes, which a trivial client has no need of."""
    return sql.startswith(b"SELECT") and (b"information_schema" in sql.lower() or b"`control`" in sql)


def measure(flavor: str, scale: float, folder: Path, stack: ExitStack) -> list[Run]:
    """All runs of the trivial client and of the applier; raises DevError where a target differs."""
    kafka = start_kafka(folder / "kafka", die_with_parent=True)
    stack.callback(kafka.destroy)
    servers = Servers(flavor, folder, stack)
    backlog = write_backlog(servers, "W1", scale)
    load = backlog.load

    def target() -> DatabaseServer:
        made = servers.fresh()
        prepare_server(made, [], [SCHEMA])
        return made

    def done(run: Run, at: DatabaseServer) -> Run:
        differences = compare(backlog.origin, at, [f"{SCHEMA}.*"])
        if differences:
            raise DevError(f"{run.system}: its target differs:\n" + "\n".join(differences))
        say(f"{run.system}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s")
        at.destroy()
        return run

    def apply(name: str, at: DatabaseServer, recorder: Recorder | None = None) -> Run:
        through = {"host": "127.0.0.1", "port": recorder.port, "user": USER, "password_file": "west.secret"} if recorder else None
        options = {"west": {"database": through}} if through else None
        drain = Drain(folder, backlog, at, kafka, name=name, site_options=options)
        try:
            drain.source()
            return drain.apply()
        finally:
            drain.close()

    def replay(at: DatabaseServer) -> Run:
        client = Replay(at, recorder.commands)
        watch = Watch({"client": os.getpid()}, {"target": at.pid, "origin": backlog.origin.pid, "broker": kafka.pid})
        seconds = client.run()
        _, cpu_s, rss = watch.end()
        counts = (load.row_changes, load.transactions, round(seconds, 3), round(cpu_s, 2))
        return Run("trivial client", flavor, load.name, *counts, rss, watch.profile)

    recorded = target()
    recorder = Recorder(recorded)
    recorder.start()
    done(apply("recorded", recorded, recorder), recorded)
    say(f"{len(recorder.commands):,} statements recorded")
    runs = []
    for number, trivial in enumerate((True, False, False, True)):
        fresh = target()
        runs.append(done(replay(fresh) if trivial else apply(f"plain{number}", fresh), fresh))
    return runs


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    options.add_argument("--flavor", default="mysql", choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--scale", type=float, default=1.0)
    chosen = options.parse_args()
    try:
        with workspace("limit") as (folder, stack):
            runs = measure(chosen.flavor, chosen.scale, folder, stack)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    by_system = {system: [run for run in runs if run.system == system] for system in dict.fromkeys(run.system for run in runs)}
    medians = {system: statistics.median([run.seconds for run in same]) for system, same in by_system.items()}
    ratio = medians["trivial client"] / medians["replicator, apply"]
    lines = []
    for system, same in by_system.items():
        each = ", ".join([f"{run.seconds:.2f}" for run in same])
        of_limit = f"{medians['trivial client'] / medians[system]:.2f}"
        lines.append((system, each, f"{same[0].row_changes / medians[system]:,.0f}", of_limit))
    print_table(("system", "s", "rows/s", "of the limit"), lines)
    for system, same in by_system.items():
        shares = sorted(same[-1].profile.items(), key=lambda share: -share[1])
        print(f"{system}, processors: " + "; ".join([f"{name} {share:.0f} %" for name, share in shares if share >= 1]))
    save(
        "limit",
        {"flavor": chosen.flavor, "scale": chosen.scale, "ratio": round(ratio, 3), "runs": [run.document() for run in runs]},
    )
    if chosen.scale == 1.0 and ratio < RATIO_MIN:
        print(f"below its bound: {ratio:.2f}, wanted {RATIO_MIN}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
