"""The servers' own replication, into a fresh server of the same settings as ours."""

from __future__ import annotations

import time
from typing import Any

from dev import DatabaseServer, DevError

from .figures import Run
from .loads import Load

__all__ = ["attach", "await_position", "drain"]

_TIMEOUT_S = 1800


def drain(origin: DatabaseServer, replica: DatabaseServer, load: Load, *, start: str, until: str, workers: int) -> Run:
    """Replicate from position ``start`` to ``until`` with ``workers`` threads (MariaDB: 0 is its single-threaded way)."""
    began = attach(origin, replica, start=start, workers=workers)
    await_position(replica, until)
    seconds = time.monotonic() - began
    with replica.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("STOP REPLICA")
        cursor.execute("RESET REPLICA ALL")
    return Run(
        system=f"native replication, {workers} workers",
        flavor=origin.flavor,
        load=load.name,
        row_changes=load.row_changes,
        transactions=load.transactions,
        seconds=round(seconds, 3),
    )


def attach(origin: DatabaseServer, replica: DatabaseServer, *, start: str, workers: int, run: bool = True) -> float:
    """Make it replicate from position ``start`` on, from now on if ``run``; returns the (monotonic) time of the start."""
    statements = (_mysql if origin.flavor == "mysql" else _mariadb)(origin, start, workers)
    with replica.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        began = time.monotonic()
        if run:
            cursor.execute("START REPLICA")
    return began


def await_position(replica: DatabaseServer, until: str) -> None:
    """Return when the replica has applied ``until``; raises DevError with its status otherwise."""
    mysql = replica.flavor == "mysql"
    with replica.connect(autocommit=True) as connection, connection.cursor() as cursor:
        function = "WAIT_FOR_EXECUTED_GTID_SET" if mysql else "MASTER_GTID_WAIT"
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            cursor.execute(f"SELECT {function}(%s, 5)", until)
            row: Any = cursor.fetchone()
            if row[0] == 0:
                return
            cursor.execute("SHOW REPLICA STATUS" if mysql else "SHOW SLAVE STATUS")
            status: Any = cursor.fetchall()
            names = [column[0] for column in cursor.description or ()]
            errors = [str(value) for name, value in zip(names, status[0], strict=True) if name.endswith("_Error") and value]
            if errors:
                raise DevError(f"native replication stopped: {'; '.join(errors)}")
        raise DevError(f"native replication did not arrive at {until}")


def _mysql(origin: DatabaseServer, start: str, workers: int) -> list[str]:
    reset = "RESET BINARY LOGS AND GTIDS" if origin.version.startswith("9") else "RESET MASTER"
    return [
        reset,
        f"SET GLOBAL gtid_purged = '{start}'",
        f"SET GLOBAL replica_parallel_workers = {workers}",
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{origin.host}', SOURCE_PORT={origin.port}, SOURCE_USER='{origin.user}', "
        f"SOURCE_PASSWORD='{origin.password}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
    ]


def _mariadb(origin: DatabaseServer, start: str, workers: int) -> list[str]:
    return [
        f"SET GLOBAL slave_parallel_threads = {workers}",
        f"SET GLOBAL gtid_slave_pos = '{start}'",
        f"CHANGE MASTER TO MASTER_HOST='{origin.host}', MASTER_PORT={origin.port}, MASTER_USER='{origin.user}', "
        f"MASTER_PASSWORD='{origin.password}', MASTER_USE_GTID=slave_pos",
    ]
