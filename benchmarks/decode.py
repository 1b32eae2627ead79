"""``make bench-decode``: how fast rows are decoded, in one process, without a database.

``python -m benchmarks.decode [--flavor mysql] [--scale 1]``. W1's rows; ``mixed``, a table of 30 columns of many types, half of
them nullable; and W4's rows, which besides 30 columns have a JSON document and 4 KiB of bytes to escape. The rows are a real
server's, from its binlog files; an update counts as two rows, its before and its after image. Each form is decoded several
times, and the best pass counts, by processor time. ``value`` is what other readers call a decoded row; ``literal`` is SQL
text, which the applier's statements are made of. Fails (exit 1) where values come slower than ``BOUNDS``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from dev import DatabaseServer, DevError
from replicator.row.decode import Mode, decoder
from replicator.row.tablemap import parse_table_map
from replicator.row.types import TableMap

from .figures import print_table, save
from .loads import LOADS, SCHEMA
from .servers import Servers, execute, say, workspace

BOUNDS = {"W1": 500_000, "mixed": 100_000}
_SCALE = 0.3  # of the loads; more rows give the same rates
_PASSES = 5
_MODES: tuple[Mode, ...] = ("literal", "text", "value")
_TABLE_MAP = 19
_ROWS = {23, 24, 25, 30, 31, 32, 39}
_UPDATES = {24, 31, 39}
_HEADER = 19
_CHECKSUM = 4

_MIXED = (  # type, value of row i
    ("INT NOT NULL", "i"),
    ("INT", "-i * 1000"),
    ("BIGINT UNSIGNED NOT NULL", "18446744073709551615 - i"),
    ("SMALLINT", "i % 30000"),
    ("TINYINT UNSIGNED NOT NULL", "i % 256"),
    ("MEDIUMINT", "-i"),
    ("VARCHAR(60) NOT NULL", "LEFT(SHA2(i, 224), 32)"),
    ("VARCHAR(60)", "LEFT(SHA2(i, 256), 20)"),
    ("VARCHAR(500) NOT NULL", "SHA2(i, 256)"),
    ("VARCHAR(60)", "IF(i % 5, 'some text', NULL)"),
    ("VARCHAR(60) CHARACTER SET latin1 NOT NULL", "'it''s'"),
    ("CHAR(20)", "CONCAT('c', i)"),
    ("CHAR(2) NOT NULL", "'de'"),
    ("DECIMAL(18,4) NOT NULL", "i * 37 / 100"),
    ("DECIMAL(10,2)", "-i / 7"),
    ("DECIMAL(30,10) NOT NULL", "i * 1000003 / 13"),
    ("DATETIME(6) NOT NULL", "'2024-02-29 12:34:56.789012' + INTERVAL i * 7919 MICROSECOND"),
    ("DATETIME", "'2024-02-29' + INTERVAL i MINUTE"),
    ("TIMESTAMP(3) NOT NULL", "'2024-02-29 12:34:56.789' + INTERVAL i SECOND"),
    ("DATE", "'2024-02-29' + INTERVAL i DAY"),
    ("TIME NOT NULL", "SEC_TO_TIME(i)"),
    ("YEAR", "1970 + i % 100"),
    ("DOUBLE NOT NULL", "i / 7e0"),
    ("FLOAT", "i / 3e0"),
    ("ENUM('a','b','c') NOT NULL", "1 + i % 3"),
    ("SET('x','y','z')", "i % 8"),
    ("BIT(10) NOT NULL", "i % 1024"),
    ("BINARY(16)", "UNHEX(MD5(i))"),
    ("VARBINARY(64) NOT NULL", "UNHEX(SHA2(i, 256))"),
    ("TEXT", "REPEAT(MD5(i), 5)"),
)


def mixed(server: DatabaseServer, scale: float) -> None:
    """30 columns of many types: rows inserted by hundreds, a third of them updated."""
    table = ", ".join(f"c{n} {kind}" for n, (kind, _) in enumerate(_MIXED))
    values = ", ".join(value for _, value in _MIXED)
    execute(
        server,
        f"CREATE TABLE {SCHEMA}.mixed ({table}, PRIMARY KEY (c0))",
        f"CREATE TABLE {SCHEMA}.digit (d INT PRIMARY KEY)",
        f"INSERT INTO {SCHEMA}.digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    )
    numbers = f"SELECT a.d * 100 + b.d * 10 + c.d + %d AS i FROM {SCHEMA}.digit a, {SCHEMA}.digit b, {SCHEMA}.digit c"
    for start in range(1, int(30_000 * scale), 1000):
        execute(server, f"INSERT INTO {SCHEMA}.mixed SELECT {values} FROM ({numbers % start}) AS n")
    execute(server, f"UPDATE {SCHEMA}.mixed SET c4 = c4 ^ 1 WHERE c0 % 3 = 0")


def load(server: DatabaseServer, name: str, scale: float) -> None:
    """Fill the server's binlog."""
    if name == "mixed":
        mixed(server, scale)
    else:
        LOADS[name](server, scale)


Event = tuple[TableMap, int, bytes]
"""A rows event: its table, its type, its payload."""


def events(server: DatabaseServer) -> Iterator[Event]:
    """Every rows event of the benchmark's schema in the binlog files, in order."""
    parsed: dict[bytes, TableMap] = {}
    for file in sorted((server.dir / "data").glob("*bin*.[0-9]*")):
        data, at = file.read_bytes(), 4
        maps: dict[bytes, TableMap] = {}
        while at < len(data):
            size = int.from_bytes(data[at + 9 : at + 13], "little")
            kind, body = data[at + 4], data[at + _HEADER : at + size - _CHECKSUM]
            at += size
            if kind == _TABLE_MAP:
                described = body[8:]
                if described not in parsed:
                    parsed[described] = parse_table_map(described, server.flavor)
                maps[body[:6]] = parsed[described]
            elif kind in _ROWS and maps[body[:6]].schema == SCHEMA:
                yield maps[body[:6]], kind, body


def rate(logged: list[Event], mode: Mode) -> tuple[int, float]:
    """How many row images there are, and how many a second of processor time are decoded in the best of several passes."""
    best, rows = float("inf"), 0
    # Made once for a table, as the applier does it.
    made = {id(table_map): decoder(table_map, before=mode, after=mode) for table_map, _, _ in logged}
    work = [(made[id(table_map)], kind, payload) for table_map, kind, payload in logged]
    for _ in range(_PASSES):
        rows = 0
        began = time.process_time()
        for decode, kind, payload in work:
            rows += len(decode(kind, payload)) * (2 if kind in _UPDATES else 1)
        best = min(best, time.process_time() - began)
    return rows, rows / best


def measure(flavor: str, folder: Path, scale: float) -> list[dict[str, object]]:
    """The rates of each load and form."""
    found: list[dict[str, object]] = []
    for name in (*BOUNDS, "W4"):
        with ExitStack() as stack:
            server = Servers(flavor, folder / name, stack).origin()
            execute(server, f"CREATE DATABASE {SCHEMA}")
            load(server, name, _SCALE * scale)
            logged = list(events(server))
        logged = [event for event in logged if event[0].table != "digit"]
        columns = max(len(table_map.columns) for table_map, _, _ in logged)
        for mode in _MODES:
            rows, a_second = rate(logged, mode)
            say(f"{name}, {mode}: {a_second:,.0f} rows/s")
            found.append({"load": name, "columns": columns, "form": mode, "rows": rows, "rows_per_s": round(a_second)})
    return found


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__)
    options.add_argument("--flavor", default="mysql", choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--scale", type=float, default=1.0)
    chosen = options.parse_args()
    try:
        with workspace("decode") as (folder, _):
            found = measure(chosen.flavor, folder, chosen.scale)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    lines = [(f["load"], f["columns"], f["form"], f"{f['rows']:,}", f"{f['rows_per_s']:,}") for f in found]
    print_table(("load", "columns", "form", "rows", "rows/s of one core"), lines)
    save("decode", {"flavor": chosen.flavor, "scale": chosen.scale, "rates": found})
    rates = {str(f["load"]): int(str(f["rows_per_s"])) for f in found if f["form"] == "value"}
    slow = [f"{name}: {rates[name]:,} rows/s, wanted {bound:,}" for name, bound in BOUNDS.items() if rates[name] < bound]
    if slow:
        print("below its bound: " + "; ".join(slow), file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
