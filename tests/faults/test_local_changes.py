"""Commit times decide in the middle of a large transaction, while the target's own clients write the same rows."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from dev import DatabaseServer
from tests.faults.test_kills import pid_at
from tests.harness import Pair, Pairs, await_, execute, until_next_second

pytestmark = pytest.mark.servers

REFERENCES = "FOREIGN KEY (id) REFERENCES parent (id), FOREIGN KEY (f) REFERENCES parent (id)"
LATEST = {"clock_offset_ms_max": 60_000, "default": "latest_timestamp"}


def started(pairs: Pairs, flavor: str) -> Pair:
    """A running pair with row 7 of ``child`` at both sites; transactions beyond 100 kB are written piece by piece."""
    options = {"conflicts": LATEST, "source": {"record_bytes": 65536}, "apply": {"batch_bytes": 100_000}}
    pair = pairs(flavor, flavor, mode="bidirectional", options=options)
    execute(
        pair.origin,
        f"USE {pair.name}",
        "CREATE TABLE filler (id INT PRIMARY KEY, t VARCHAR(100))",
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        f"CREATE TABLE child (id INT PRIMARY KEY, v VARCHAR(20), f INT NOT NULL, {REFERENCES})",
        "INSERT INTO parent VALUES (7), (8), (9)",
        "INSERT INTO child VALUES (7, 'both', 8)",
    )
    pair.start()
    for back in (False, True):
        pair.settle(back=back)
    return pair


def filler(first: int, count: int) -> str:
    """Rows of about 100 bytes."""
    return "INSERT INTO filler VALUES " + ",".join(f"({i},REPEAT('x',90))" for i in range(first, first + count))


def go_on_from(file: Path) -> int:
    """Let the worker that stopped itself go on; returns its pid."""
    pid = pid_at(file)
    file.unlink()
    stat = Path(f"/proc/{pid}/stat")
    await_("the worker to stand still", lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    os.kill(pid, signal.SIGCONT)
    return pid


def paused_at(point: str, file: Path) -> dict[str, str]:
    """For the environment of a daemon."""
    return {"REPLICATOR_PAUSE_AT": point, "REPLICATOR_PAUSE_FILE": str(file)}


def child(server: DatabaseServer, pair: Pair) -> list[tuple[str]]:
    """Row 7."""
    return execute(server, f"SELECT v FROM {pair.name}.child WHERE id=7")


def ends(pair: Pair, there: list[tuple[str]]) -> None:
    """Both sites are equal, with this as row 7."""
    for back in (False, True, False):
        pair.settle(back=back)
    assert pair.differences() == []
    assert child(pair.target, pair) == there


def waits_for_a_lock(server: DatabaseServer) -> bool:
    """Whether some transaction waits for a row. (``innodb_trx`` is not made anew while it is asked often.)"""
    return execute(server, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")[0][1] != "0"


def test_a_row_that_comes_and_goes_while_it_is_decided_upon(pairs: Pairs, flavor: str, tmp_path: Path) -> None:
    """East's update is later than west's delete, so the row is to come back; while it comes, west makes and deletes it."""
    pair = started(pairs, flavor)
    file = tmp_path / "pid"
    pair.restart("west", env=paused_at("applier:mid-transaction", file))
    east = pair.kill("east", "applier", signal.SIGSTOP)
    execute(pair.target, f"DELETE FROM {pair.name}.child WHERE id=7")
    until_next_second(pair.target)
    update = "UPDATE child SET v='east', f=9 WHERE id=7"  # with another reference: no upsert, which would ask for the parent too
    execute(pair.origin, f"USE {pair.name}", filler(0, 2000), update, filler(2000, 1000))
    first = pid_at(file)
    until_next_second(pair.target)
    with pair.target.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {pair.name}.parent WHERE id=7 FOR UPDATE")  # which the row's insert asks for
        assert go_on_from(file) == first
        await_("the applier to write the row", lambda: waits_for_a_lock(pair.target))
        cursor.execute(f"INSERT INTO {pair.name}.child VALUES (7, 'west', 8)")
        cursor.execute(f"DELETE FROM {pair.name}.child WHERE id=7")
        connection.commit()
    assert go_on_from(file) != first, "it began anew"
    os.kill(east, signal.SIGCONT)
    ends(pair, [])


def test_a_row_that_comes_after_it_was_decided_upon(pairs: Pairs, flavor: str, tmp_path: Path) -> None:
    """West's delete is later than east's update, so nothing is written; before the commit, west inserts the row anew."""
    pair = started(pairs, flavor)
    file = tmp_path / "pid"
    pair.stop("west")
    east = pair.kill("east", "applier", signal.SIGSTOP)
    execute(pair.origin, f"USE {pair.name}", "UPDATE child SET v='east' WHERE id=7", filler(0, 3000))
    until_next_second(pair.target)
    execute(pair.target, f"DELETE FROM {pair.name}.child WHERE id=7")
    pair.start("west", ready=False, env=paused_at("applier:mid-transaction:2", file))  # when the first part is settled
    first = pid_at(file)
    execute(pair.target, f"INSERT INTO {pair.name}.child VALUES (7, 'west', 8)")
    assert go_on_from(file) == first
    assert go_on_from(file) != first, "it began anew"
    os.kill(east, signal.SIGCONT)
    ends(pair, [("west",)])
    found = f"SELECT conflict FROM replicator.conflict_log WHERE flow='{pair.flow}' AND row_key='[7]'"
    assert execute(pair.target, found) == [("update_differing",)], "what the row was when it was decided upon"
