"""``make bench-source``: reading W1 from the binlog, ours against mysql-replication, same server, same binlog, one run.

``python -m benchmarks.source [--scale 1]``. Figures: mysql-replication's ``.rows`` in a loop that does nothing else; then our
stages, each with one more than the line before: framing and checksums, the filter (which wants nothing), grouping (it wants
all), compression, and our source process whole, which produces to Kafka and waits for its acknowledgements. What a stage costs
is the difference of two lines. The topic is then applied to a target, which checks that its sequence has no gap, and compared
by SQL. Fails (exit 1) when that differs, or when the source is below ``RATIO_MIN`` times the first line.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import zlib
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

from .figures import Run, Watch, position, print_table, save
from .loads import SCHEMA, Load
from .ours import Drain, write_backlog
from .servers import Servers, say, workspace

RATIO_MIN = 10.0
_GTID, _XID, _ROTATE = 33, 16, 4
_CRC_RESIDUE = zlib.crc32(b"\0\0\0\0")  # of any data followed by its own CRC-32


def _settings(origin: DatabaseServer) -> dict[str, Any]:
    return {"host": origin.host, "port": origin.port, "user": origin.user, "password": origin.password}


def framing(origin: DatabaseServer, start: str, until: str, load: Load) -> Run:
    """Every event cut out of what the connection receives, and its checksum looked at: what no reader can do without."""
    transactions = _number(until) - _number(start)
    watch = Watch({"python": os.getpid()})
    connection = BinlogConnection(_settings(origin), flavor=origin.flavor, server_id=903, position=start)
    rest, ended = b"", False
    while not ended:
        connection.wait(1)
        data, at = rest + connection.receive(), 0
        while (at + 4 <= len(data)) and (stop := at + 4 + int.from_bytes(data[at : at + 3], "little")) <= len(data):
            kind, event = data[at + 9], data[at + 5 : stop]
            at = stop
            if zlib.crc32(event) != _CRC_RESIDUE and kind != _ROTATE:
                raise DevError(f"an event of type {kind} is damaged")
            transactions -= kind == _GTID
            ended = kind == _XID and transactions == 0
        rest = data[at:]
    run = _run("replicator: framing and checksums", load, watch)
    connection.close()
    return run


def _number(position: str) -> int:
    """How many transactions a server that was never anyone's replica has committed."""
    last = re.search(r"(\d+)$", position)
    return int(last[1]) if last else 0


def reading(origin: DatabaseServer, start: str, until: str, load: Load, *, wants: str, compress: bool = False) -> Run:
    """The same and more by our own assembler, without Kafka: the filter, and the grouping of what it wants."""
    wanted = TableFilter((wants,))
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
    connection = BinlogConnection(_settings(origin), flavor=origin.flavor, server_id=901, position=start)
    while not assembler.position.covers(until):
        if connection.wait(1):
            assembler.feed(connection.receive())
    assembler.records.seal()
    if not (wants.startswith("none.") or assembler.records.sequence > load.transactions):
        raise DevError(f"our source grouped {assembler.records.sequence} transactions of {load.transactions}")
    what = ", filter" if wants.startswith("none.") else ", filter, grouping"
    run = _run(f"replicator: framing{what}{', compression' if compress else ''}", load, watch)
    connection.close()
    return run


def rows_loop(origin: DatabaseServer, start: str, load: Load) -> Run:
    """mysql-replication's ``.rows``, in a loop that only counts them."""
    watch = Watch({"python": os.getpid()})
    reader = BinLogStreamReader(
        connection_settings=_settings(origin),
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
    backlog = write_backlog(servers, "W1", scale)
    origin, start, load, until = backlog.origin, backlog.start, backlog.load, position(backlog.origin)
    target = servers.fresh()
    prepare_server(target, [], [SCHEMA])
    drain = Drain(folder, backlog, target, kafka, name="source")
    runs = [rows_loop(origin, start, load), framing(origin, start, until, load)]
    runs.append(reading(origin, start, until, load, wants="none.*"))
    runs += [reading(origin, start, until, load, wants=f"{SCHEMA}.*", compress=compress) for compress in (False, True)]
    try:
        runs.append(drain.source())
        drain.apply()
        differences = drain.differences()
        if differences:
            raise DevError("what the source shipped differs from its origin:\n" + "\n".join(differences))
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
    lines = []
    for run in runs:
        cpu = f"{run.cpu_s / run.row_changes * 1e6:.2f}"
        lines.append((run.system, f"{run.seconds:.2f}", f"{run.rows_per_s:,.0f}", f"{theirs.seconds / run.seconds:.1f}", cpu))
    print_table(("system", "s", "rows/s", "ratio", "CPU s/10^6"), lines)
    ratio = theirs.seconds / ours.seconds
    save("source", {"scale": chosen.scale, "ratio": round(ratio, 2), "runs": [run.document() for run in runs]})
    if chosen.scale == 1.0 and ratio < RATIO_MIN:
        print(f"below its bound: {ratio:.1f} times, wanted {RATIO_MIN:g}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
