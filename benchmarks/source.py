"""``make bench-source``: reading W1 from the binlog, ours against mysql-replication, same server, same binlog, one run.

``python -m benchmarks.source [--scale 1]``. Figures: mysql-replication's ``.rows`` in a loop that does nothing else; our reading
and grouping alone, without and with compression; and our source process whole, with Kafka's acknowledgements. Fails (exit 1)
when the last is below ``RATIO_MIN`` times the first.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from dev import DatabaseServer, DevError, start_kafka
from dev.accounts import prepare_server
from replicator.config_pairs import SourceSettings
from replicator.filter import TableFilter
from replicator.gtid import parse_position
from replicator.model import StreamId
from replicator.source.assembler import Assembler, Rules
from replicator.source.connection import BinlogConnection
from replicator.source.marks import Marks
from replicator.source.records import Sealed
from replicator.source.statements import Statements
from replicator.stream.wire import RecordHeader, pack_record

from .figures import Run, Watch, binlog_bytes, position, print_table, save
from .loads import LOADS, SCHEMA, Load
from .ours import Backlog, Drain, position_mark
from .servers import QUICK, Servers, execute, say, workspace

RATIO_MIN = 7.0


def reading(origin: DatabaseServer, start: str, until: str, load: Load, *, compress: bool) -> Run:
    """Our framing, checksums and grouping, without Kafka."""
    settings = {"host": origin.host, "port": origin.port, "user": origin.user, "password": origin.password}
    wanted = TableFilter((f"{SCHEMA}.*",))
    rules = Rules(
        origin.flavor,
        wanted.wants,
        Statements(wanted, flavor=origin.flavor, version=80031, lower_names=False),
        Marks(StreamId("bench", "east", "west"), origin.flavor),
    )
    sealed_bytes = 0

    def emit(sealed: Sealed) -> None:
        nonlocal sealed_bytes
        if compress:
            header = RecordHeader(sealed.kind, "bench", 1, "bench", sealed.first, sealed.last, sealed.resume, origin.flavor, 0)
            sealed_bytes += len(pack_record(header, sealed.body, level=SourceSettings().compression_level))
        else:
            sealed_bytes += len(sealed.body)

    first = parse_position(origin.flavor, start)
    assembler = Assembler(rules, read=first, resume=first, sequence=0, record_bytes=768 << 10, emit=emit)
    watch = Watch({"python": os.getpid()})
    connection = BinlogConnection(settings, flavor=origin.flavor, server_id=901, position=start)
    while assembler.records.sequence < load.transactions or not assembler.position.covers(until):
        if connection.wait(1):
            assembler.feed(connection.receive())
    assembler.records.seal()
    run = _run("replicator, reading, grouping, compressing" if compress else "replicator, reading and grouping", load, watch)
    connection.close()
    return run


def rows_loop(origin: DatabaseServer, start: str, load: Load) -> Run:
    """mysql-replication's ``.rows``, in a loop that only counts them."""
    settings: dict[str, Any] = {"host": origin.host, "port": origin.port, "user": origin.user, "passwd": origin.password}
    watch = Watch({"python": os.getpid()})
    reader = BinLogStreamReader(
        connection_settings=settings,
        server_id=902,
        auto_position=start,
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
        only_schemas=[SCHEMA],
        enable_logging=False,
    )
    rows = sum(len(event.rows) for event in reader)
    run = _run("mysql-replication, .rows", load, watch)
    reader.close()
    if not 0.99 <= rows / load.row_changes <= 1.01:
        raise DevError(f"mysql-replication read {rows} rows of {load.row_changes}")
    return run


def _run(system: str, load: Load, watch: Watch) -> Run:
    seconds, cpu_s, rss = watch.end()
    return Run(system, "mysql", load.name, load.row_changes, load.transactions, round(seconds, 3), round(cpu_s, 2), rss)


def measure(folder: Path, scale: float, stack: ExitStack) -> list[Run]:
    """All of them on one binlog."""
    kafka = start_kafka(folder / "kafka", die_with_parent=True)
    stack.callback(kafka.destroy)
    servers = Servers("mysql", folder, stack)
    origin, target = servers.fresh(**QUICK), servers.fresh()
    prepare_server(origin, [], [SCHEMA])
    prepare_server(target, [], [SCHEMA])
    execute(origin, f"CREATE DATABASE {SCHEMA}")
    start, before = position(origin), binlog_bytes(origin)
    load = LOADS["W1"](origin, scale)
    position_mark(origin)
    size = binlog_bytes(origin) - before
    drain = Drain(folder, Backlog(origin, load, start, size), target, kafka, name="source")
    runs = [rows_loop(origin, start, load)]
    runs += [reading(origin, start, position(origin), load, compress=compress) for compress in (False, True)]
    try:
        runs.append(drain.source())
    finally:
        drain.close()
    for run in runs:
        say(f"{run.system}: {run.seconds:.2f} s, {run.rows_per_s:,.0f} rows/s")
    return runs


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.source", description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    chosen = options.parse_args()
    try:
        with workspace("source") as (folder, stack):
            runs = measure(folder, chosen.scale, stack)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    theirs, ours = runs[0], runs[-1]
    lines = [(run.system, f"{run.seconds:.2f}", f"{run.rows_per_s:,.0f}", f"{theirs.seconds / run.seconds:.1f}") for run in runs]
    print_table(("system", "s", "rows/s", "ratio"), lines)
    ratio = theirs.seconds / ours.seconds
    save("source", {"scale": chosen.scale, "ratio": round(ratio, 2), "runs": [run.document() for run in runs]})
    if chosen.scale == 1.0 and ratio < RATIO_MIN:
        print(f"below its bound: {ratio:.1f} times, wanted {RATIO_MIN:g}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
