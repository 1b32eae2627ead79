"""A reader at the target only ever sees states that the origin showed; native replication, stopped at each, is the judge."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from benchmarks import native
from benchmarks.figures import position
from benchmarks.loads import SCHEMA, sysbench
from dev import DatabaseServer
from dev.accounts import PASSWORD, USER
from dev.ports import HOST
from tests.harness import Farm, Pairs, applied, execute, slots_that_wrote

pytestmark = pytest.mark.servers

TABLES = [f"{SCHEMA}.sbtest{i}" for i in range(1, 5)]
_STATE = "SELECT " + ", ".join(
    f"(SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(CRC32(CONCAT_WS('|', id, k, c, pad))), 0)) FROM {table})" for table in TABLES
)


class Reader:
    """Takes consistent snapshots of the target's rows, each with the checkpoint's transaction; none may go back."""

    def __init__(self, server: DatabaseServer, flow: str) -> None:
        self._server = server
        self._flow = flow
        self._stop = threading.Event()
        self.seen: dict[str, Any] = {}
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)
        assert self.error is None, self.error

    def _guarded(self) -> None:
        try:
            self._look()
        except BaseException as error:  # noqa: BLE001 - raised by __exit__ in the test's thread
            self.error = error

    def _look(self) -> None:
        newest = "SELECT sequence, gtid FROM replicator.checkpoint WHERE flow = %s ORDER BY sequence DESC LIMIT 1"
        with self._server.connect() as connection, connection.cursor() as cursor:
            highest = 0
            while not self._stop.is_set():
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                cursor.execute(newest, self._flow)
                sequence, gtid = cursor.fetchall()[0]
                cursor.execute(_STATE)
                state = cursor.fetchall()[0]
                connection.commit()
                assert self.seen.setdefault(gtid, state) == state, f"two states at {gtid}"
                assert sequence >= highest, f"from sequence {highest} back to {sequence}"
                highest = sequence


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("rows", "events", "batch_rows"), [(2_000, 6_000, 20), pytest.param(100_000, 50_000, 100, marks=pytest.mark.slow)]
)
def test_every_state_of_the_target_was_one_of_the_origin(
    pairs: Pairs, farm: Farm, flavor: str, rows: int, events: int, batch_rows: int
) -> None:
    """A backlog of sysbench's oltp_write_only, in merged batches that run side by side: each state seen is that of its GTID.

    Half of it changes rows anywhere, so that batches are independent, half of it mostly a few, so that each meets the one before.
    """
    # Of its own, so that its binlog begins with all that the native replica needs, the heartbeat's table too.
    origin = farm.fresh_database(flavor, "states-origin")
    execute(farm.database(flavor, "west"), f"DROP DATABASE IF EXISTS {SCHEMA}")
    execute(origin, "CREATE DATABASE begun")  # a position that is not empty
    start = position(origin)
    execute(origin, f"CREATE DATABASE IF NOT EXISTS {SCHEMA}")
    sysbench(origin, "prepare", rows=rows)
    options = {"apply": {"connections": 4, "batch_rows": batch_rows}}
    pair = pairs(flavor, flavor, east=origin, schemas=[SCHEMA], start=start, options=options)
    pair.start()
    pair.settle(300)
    pair.stop("west")
    for keys in ("uniform", "special"):
        sysbench(origin, "run", rows=rows, events=events // 2, keys=keys)
    with Reader(pair.target, pair.flow) as reader:
        pair.start("west")
        pair.settle(300)
    pair.until(lambda: applied(pair, "transactions_applied") > events * 0.99, 30, "the counters")
    print({name: applied(pair, name) for name in ("transactions_applied", "batches", "batches_side_by_side")}, len(reader.seen))
    assert applied(pair, "batches") < events / 2, "batches of several transactions each"
    assert applied(pair, "batches_side_by_side") > 10 and slots_that_wrote(pair) >= 2
    assert pair.differences() == []
    replica = farm.fresh_database(flavor, "states")
    # The origin logs what it grants to an account that it had long before.
    execute(replica, "SET sql_log_bin=0", f"CREATE USER IF NOT EXISTS '{USER}'@'{HOST}' IDENTIFIED BY '{PASSWORD}'")
    native.attach(origin, replica, start=start, workers=1, run=False)
    order = sorted(reader.seen, key=_number)
    assert len(order) > 10
    for gtid in order[:: 1 + len(order) // 25]:
        _run_until(replica, gtid)
        assert execute(replica, _STATE)[0] == reader.seen[gtid], f"no state of the origin at {gtid}"
    pair.stop()
    replica.destroy()
    origin.destroy()


def _number(gtid: str) -> int:
    return int(gtid.replace("-", ":").split(":")[-1])


def _run_until(replica: DatabaseServer, gtid: str) -> None:
    """Let the replica apply up to the transaction, and no further."""
    if replica.flavor == "mysql":
        execute(replica, f"START REPLICA UNTIL SQL_AFTER_GTIDS = '{gtid}'")
    else:
        execute(replica, f"START SLAVE UNTIL master_gtid_pos = '{gtid}'")
    native.await_position(replica, gtid)
    execute(replica, "STOP REPLICA")
