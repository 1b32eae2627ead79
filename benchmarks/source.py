"""Reading a binlog: our grouping against mysql-replication's rows, same server, same binlog, one run.

``python -m benchmarks.source [--transactions N]`` prints rates in row changes per second and their ratio, as a
line of JSON. It measures reading and grouping only: no compression, no Kafka.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from dev import DatabaseServer, start_mysql
from replicator.gtid import MySqlGtidSet
from replicator.source.connection import BinlogConnection
from replicator.source.transactions import Grouper


def load(server: DatabaseServer, transactions: int) -> None:
    """Transactions of W1's kind: two updates, a delete and an insert of one row each, about 200 bytes a row."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE bench")
        cursor.execute("CREATE TABLE bench.t (id INT PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60), KEY (k))")
        for start in range(0, 10_000, 500):
            values = ",".join(f"({i},{i},REPEAT('c',119),REPEAT('p',59))" for i in range(start, start + 500))
            cursor.execute(f"INSERT INTO bench.t VALUES {values}")
        connection.commit()
        for i in range(transactions):
            row = i % 9_000
            cursor.execute(f"UPDATE bench.t SET k=k+1 WHERE id={row}")
            cursor.execute(f"UPDATE bench.t SET c=REPEAT('{i % 10}',118) WHERE id={row + 7}")
            cursor.execute(f"DELETE FROM bench.t WHERE id={row + 9}")
            cursor.execute(f"INSERT INTO bench.t VALUES ({row + 9},{i},REPEAT('d',119),REPEAT('q',59))")
            connection.commit()


def ours(settings: dict[str, Any], start: str, until: str) -> tuple[float, int]:
    """Seconds and transactions with our reader."""
    began, count, seen = time.perf_counter(), 0, MySqlGtidSet(start)
    connection = BinlogConnection(settings, flavor="mysql", server_id=901, position=start)
    grouper = Grouper(lambda schema, table: True)
    for event in itertools.chain.from_iterable(connection.packets()):
        done = grouper.feed(event)
        if done is not None:
            count += 1
            seen.add(done.gtid)
            if (count % 1000 == 0 or done.gtid.endswith(until.rpartition("-")[2])) and seen.covers(until):
                break
    connection.close()
    return time.perf_counter() - began, count


def theirs(settings: dict[str, Any], start: str) -> tuple[float, int]:
    """Seconds and row changes with mysql-replication's `.rows`."""
    began, rows = time.perf_counter(), 0
    reader = BinLogStreamReader(
        connection_settings=settings,
        server_id=902,
        auto_position=start,
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
        enable_logging=False,
    )
    for event in reader:
        rows += len(event.rows)
    reader.close()
    return time.perf_counter() - began, rows


def main() -> None:
    """Run the comparison."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--transactions", type=int, default=10_000)
    transactions = options.parse_args().transactions
    with tempfile.TemporaryDirectory() as folder:
        server = start_mysql(
            Path(folder) / "mysql",
            server_id=1,
            die_with_parent=True,
            options={"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "0"},
        )
        try:
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE mark")  # the library takes an empty set for no GTIDs at all
                cursor.execute("SELECT @@global.gtid_executed")
                start = str(cursor.fetchone()[0])  # type: ignore[index]
            load(server, transactions)
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT @@global.gtid_executed")
                until = str(cursor.fetchone()[0])  # type: ignore[index]
            settings = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
            our_s, count = ours(dict(settings), start, until)
            their_s, rows = theirs(dict(settings), start)
            figures = {
                "transactions": count,
                "rows": rows,
                "replicator_rows_per_s": round(rows / our_s),
                "mysql_replication_rows_per_s": round(rows / their_s),
                "ratio": round(their_s / our_s, 1),
            }
            print(json.dumps(figures))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
