"""``make bench-peers``: W1 on MySQL 8.0 by Debezium (source and JDBC sink), by the loop that mysql-replication's README
suggests, and by ours, in one run.

``python -m benchmarks.peers [--scale 1]``. Debezium's source and sink are measured one after the other, and then both at once
over a Kafka of their own, as is ours: from the first record in Kafka to the last row at the target. Its sink is up and
subscribed before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from dev import DatabaseServer, DevError, KafkaServer, start_kafka
from dev.accounts import prepare_server
from dev.judge import compare

from . import debezium
from .figures import Run, Watch, binlog_bytes, position, print_table, save, topic_bytes
from .loads import LOADS, SCHEMA, Load
from .ours import Backlog, Drain, position_mark
from .servers import Servers, execute, say, workspace

_TIMEOUT_S = 3600
_TABLES = [f"{SCHEMA}.sbtest*", f"{SCHEMA}.the_end"]
_DIFFERS = "its target differs"
WANTED = {"source": 5.0, "whole": 5.0, "processor time": 8.0}
"""Debezium's seconds in ours: what the project aims for."""


class Place:
    """Where a Debezium keeps its offsets and topics."""

    def __init__(self, folder: Path, kafka: KafkaServer, stack: ExitStack) -> None:
        self.folder = folder
        self.kafka = kafka
        self.topics = debezium.Topics(kafka)
        stack.callback(self.topics.close)

    def count(self, table: str) -> int:
        """Records in the topics of tables whose names begin so."""
        return sum(end for name, end in self.topics.ends().items() if name.startswith(table))


class Peers:
    """One origin with W1 in its binlog, and everyone who reads it."""

    def __init__(self, folder: Path, kafka: KafkaServer, stack: ExitStack, scale: float) -> None:
        self._folder = folder
        self._kafka = kafka
        self._servers = Servers("mysql", folder, stack)
        self.origin = self._servers.origin()
        prepare_server(self.origin, [], [SCHEMA])
        execute(
            self.origin,
            f"CREATE DATABASE {SCHEMA}",
            f"CREATE TABLE {SCHEMA}.warm (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
        )
        second = start_kafka(folder / "kafka-whole", options={"auto.create.topics.enable": "true"}, die_with_parent=True)
        stack.callback(second.destroy)
        self._parts = Place(folder / "dbz", kafka, stack)
        self._whole = Place(folder / "dbz-whole", second, stack)
        for place in (self._parts, self._whole):
            self._settle_debezium(place)
        self.start, before = position(self.origin), binlog_bytes(self.origin)
        say("W1 is being written at the origin")
        self.load: Load = LOADS["W1"](self.origin, scale)
        self.head = position_mark(self.origin)
        self.binlog = binlog_bytes(self.origin) - before

    def debezium(self) -> list[Run]:
        """Source, then sink."""
        runs = []
        place = self._parts
        connect = debezium.Connect(place.folder, place.kafka, debezium.source(self.origin, place.kafka))
        try:
            connect.until(lambda: place.count("sbtest") > 0, 300, "its first record")
            watch = Watch({"connect": connect.pid})
            connect.until(lambda: place.count("the_end") > 0, _TIMEOUT_S, "its last record")
            size = sum(topic_bytes(place.kafka, name) for name in place.topics.names())
            runs.append(self._run("Debezium source", watch, size))
        finally:
            connect.stop()
        target = self._servers.fresh()
        execute(target, f"CREATE DATABASE {SCHEMA}", *self._tables())
        connect = debezium.Connect(place.folder, place.kafka, debezium.sink(target))
        try:
            connect.until(lambda: _any_row(target), 300, "its first row")
            watch = Watch({"connect": connect.pid})
            connect.until(place.topics.drained, _TIMEOUT_S, "the sink to be done")
            runs.append(self._run("Debezium JDBC sink", watch))
        finally:
            connect.stop()
        differences = compare(self.origin, target, _TABLES, structure=False)
        if differences:
            runs[-1] = _noted(runs[-1], f"{_DIFFERS}: {differences[0]}")
        target.destroy()
        return runs

    def debezium_whole(self) -> Run:
        """Source and sink at once."""
        place = self._whole
        target = self._servers.fresh()
        execute(target, f"CREATE DATABASE {SCHEMA}", *self._tables())
        place.topics.create(["the_end", *(f"sbtest{n}" for n in range(1, 5))])
        sink = debezium.Connect(place.folder / "sink", place.kafka, debezium.sink(target))
        try:
            sink.until(place.topics.subscribed, 300, "its sink to have subscribed")
            source = debezium.Connect(place.folder, place.kafka, debezium.source(self.origin, place.kafka))
            try:
                source.until(lambda: place.count("sbtest") > 0, 300, "its first record")
                watch = Watch({"source": source.pid, "sink": sink.pid})
                sink.until(lambda: place.count("the_end") > 0 and place.topics.drained(), _TIMEOUT_S, "the sink to be done")
                run = self._run("Debezium, whole", watch)
            finally:
                source.stop()
        finally:
            sink.stop()
        differences = compare(self.origin, target, _TABLES, structure=False)
        target.destroy()
        return _noted(run, f"{_DIFFERS}: {differences[0]}") if differences else run

    def readme_loop(self) -> Run:
        """``for event in stream: for row in event.rows: send(json)``, one message a row."""
        producer = KafkaProducer(bootstrap_servers=self._kafka.bootstrap, linger_ms=20, batch_size=1 << 20)
        reader = BinLogStreamReader(
            connection_settings={
                "host": self.origin.host,
                "port": self.origin.port,
                "user": self.origin.user,
                "passwd": self.origin.password,
            },
            server_id=7002,
            auto_position=self.start,
            only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
            only_schemas=[SCHEMA],
            enable_logging=False,
        )
        watch = Watch({"python": os.getpid()})
        rows = 0
        for event in reader:
            for row in event.rows:
                message = {"table": event.table, "kind": type(event).__name__, "row": row}
                producer.send("readme", json.dumps(message, default=str).encode())
                rows += 1
        producer.flush()
        run = self._run("mysql-replication, README's loop", watch)
        reader.close()
        producer.close()
        return _noted(run, f"{rows} rows")

    def ours(self) -> list[Run]:
        """Source, applier, and the whole way."""
        runs: list[Run] = []
        for kind in ("parts", "whole"):
            target = self._servers.fresh()
            prepare_server(target, [SCHEMA])
            drain = Drain(
                self._folder,
                Backlog(self.origin, self.load, self.start, self.binlog, self.head),
                target,
                self._kafka,
                name=kind,
                options={"tables": {"include": [f"{SCHEMA}.*"], "exclude": [f"{SCHEMA}.warm"]}},
            )
            try:
                runs += [drain.whole()] if kind == "whole" else [drain.source(), drain.apply()]
                differences = compare(self.origin, target, _TABLES)
                if differences:
                    raise DevError("ours differs:\n" + "\n".join(differences))
            finally:
                drain.close()
            target.destroy()
        return runs

    def _settle_debezium(self, place: Place) -> None:
        """Let its source take its position, and keep it, while there is nothing to read."""
        connect = debezium.Connect(place.folder, place.kafka, debezium.source(self.origin, place.kafka))

        def warmed() -> bool:
            execute(self.origin, f"INSERT INTO {SCHEMA}.warm (n) VALUES (1)")
            return place.count("warm") > 0

        try:
            connect.until(warmed, 300, "its first record of the warm-up")
            time.sleep(3)  # its offsets are written once a second
        finally:
            connect.stop()

    def _tables(self) -> list[str]:
        with self.origin.connect(database=SCHEMA) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            names = [row[0] for row in cursor.fetchall()]
            statements = []
            for name in names:
                cursor.execute(f"SHOW CREATE TABLE `{name}`")
                row: Any = cursor.fetchone()
                statements.append(str(row[1]).replace("CREATE TABLE ", f"CREATE TABLE {SCHEMA}.", 1))
        return statements

    def _run(self, system: str, watch: Watch, kafka_bytes: int = 0) -> Run:
        seconds, cpu_s, rss = watch.end()
        run = Run(
            system,
            "mysql",
            self.load.name,
            self.load.row_changes,
            self.load.transactions,
            round(seconds, 2),
            round(cpu_s, 2),
            {name: round(value, 1) for name, value in rss.items()},
            kafka_bytes=kafka_bytes,
            binlog_bytes=self.binlog,
        )
        say(f"{system}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s, {run.cpu_s:.1f} s of processor")
        return run


def _noted(run: Run, note: str) -> Run:
    document = {name: getattr(run, name) for name in Run.__slots__}
    return Run(**{**document, "note": note})


def _any_row(target: DatabaseServer) -> bool:
    with target.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.sbtest1)")
        row: Any = cursor.fetchone()
        return bool(row[0])


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--skip-ours", action="store_true")
    chosen = options.parse_args()
    runs: list[Run] = []
    try:
        with workspace("peers") as (folder, stack):
            kafka = start_kafka(folder / "kafka", options={"auto.create.topics.enable": "true"}, die_with_parent=True)
            stack.callback(kafka.destroy)
            peers = Peers(folder, kafka, stack, chosen.scale)
            runs += peers.debezium()
            runs.append(peers.debezium_whole())
            runs.append(peers.readme_loop())
            if not chosen.skip_ours:
                runs += peers.ours()
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    return report(runs, chosen.scale)


def report(runs: list[Run], scale: float) -> int:
    """Print figures and ratios."""
    head = ("system", "s", "rows/s", "CPU s/10^6 rows", "RSS MiB", "Kafka/binlog", "note")
    lines = []
    for run in runs:
        size = f"{run.kafka_bytes / run.binlog_bytes:.2f}" if run.kafka_bytes else "-"
        cpu = f"{run.cpu_s / run.row_changes * 1e6:.1f}"
        memory = f"{max(run.rss_mib.values()):.0f}"
        lines.append((run.system, f"{run.seconds:.1f}", f"{run.rows_per_s:,.0f}", cpu, memory, size, run.note))
    print_table(head, lines)
    by_name = {run.system: run for run in runs}
    ratios: dict[str, float] = {}
    below = [f"{run.system}: {run.note}: its ratios don't count" for run in runs if run.note.startswith(_DIFFERS)]
    equal = {run.system for run in runs if not run.note.startswith(_DIFFERS)}
    if "replicator, source" in by_name:
        source, whole = by_name["replicator, source"], by_name["replicator, whole"]
        ratios["README's loop"] = by_name["mysql-replication, README's loop"].seconds / source.seconds
        both = by_name["Debezium, whole"]
        # Where a target differs its ratios are void; the sink had all from the source's topics.
        parts_count, whole_counts = "Debezium JDBC sink" in equal, both.system in equal
        ratios["source"] = by_name["Debezium source"].seconds / source.seconds * parts_count
        ratios["whole"] = both.seconds / whole.seconds * whole_counts
        ratios["processor time"] = both.cpu_s / whole.cpu_s * whole_counts
        for name, ratio in ratios.items():
            aim = f" (aim {WANTED[name]:g})" if name in WANTED else ""
            print(f"{name}, theirs in ours: {ratio:.1f}{aim}")
            if scale == 1.0 and ratio < WANTED.get(name, 0):
                below.append(f"{name}: {ratio:.1f}, wanted {WANTED[name]:g}")
    save("peers", {"scale": scale, "runs": [run.document() for run in runs], "ratios": ratios})
    for line in below:
        print(f"below its bound: {line}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
