"""Held changes that are decided again, where it matters who wrote a row last, or what has become of the table meanwhile."""

from __future__ import annotations

import pytest

from tests.harness import Pair, Pairs, execute, resume, until_next_second
from tests.integration.test_quarantine import HOLD, decide, held, start, waiting

pytestmark = pytest.mark.servers


def family(pairs: Pairs, flavor: str) -> Pair:
    """A pair of two sites that write, with parents and children; a child whose parent is missing is held."""
    policies = {"clock_offset_ms_max": 60_000, "default": {"foreign_key_missing": "quarantine", "default": "latest_timestamp"}}
    pair = pairs(flavor, flavor, mode="bidirectional", options={"conflicts": policies})
    name = pair.name
    execute(
        pair.origin,
        f"CREATE TABLE {name}.p (id INT PRIMARY KEY)",
        f"CREATE TABLE {name}.c (id INT PRIMARY KEY, p INT, v VARCHAR(20), FOREIGN KEY (p) REFERENCES {name}.p (id))",
        f"INSERT INTO {name}.p VALUES (1), (2)",
    )
    pair.start()
    for back in (False, True, False):
        pair.settle(back=back)
    execute(pair.target, "SET sql_log_bin=0", f"DELETE FROM {name}.p WHERE id=2")
    return pair


def test_a_release_knows_what_was_changed_here(pairs: Pairs, flavor: str) -> None:
    """By commit time: a row that was written here later stays, an older one goes, though the origin has seen both by now."""
    pair = family(pairs, flavor)
    name = pair.name
    pair.stop()
    execute(pair.target, f"INSERT INTO {name}.c VALUES (1, 1, 'west')")
    until_next_second(pair.origin)
    execute(pair.origin, f"INSERT INTO {name}.c VALUES (1, 2, 'east')", f"INSERT INTO {name}.c VALUES (2, 2, 'east')")
    until_next_second(pair.origin)
    execute(pair.target, f"INSERT INTO {name}.c VALUES (2, 1, 'west')")
    pair.start()
    for back in (False, True, False, True, False):
        pair.settle(back=back)
    assert waiting(pair) == [("insert", "[1]")], "the other one has lost already"
    pair.restart("west")
    execute(pair.target, "SET sql_log_bin=0", f"INSERT INTO {name}.p VALUES (2)")
    done = decide(pair, "retry", held(pair)[0]["id"])
    assert (done.returncode, done.stdout) == (0, "decided again: 1\n"), done.stderr
    pair.settle(back=True)
    assert execute(pair.target, f"SELECT * FROM {name}.c ORDER BY id") == [(1, 2, "east"), (2, 1, "west")]
    assert pair.differences() == []


def test_a_release_loses_to_what_was_written_here_since(pairs: Pairs, flavor: str) -> None:
    """The change was held, then the row was written here, and the origin took that for the newer one: so does the release."""
    pair = family(pairs, flavor)
    name = pair.name
    execute(pair.origin, f"INSERT INTO {name}.c VALUES (1, 2, 'east')")
    pair.settle()
    assert waiting(pair) == [("insert", "[1]")]
    until_next_second(pair.origin)
    execute(pair.target, f"INSERT INTO {name}.c VALUES (1, 1, 'west')")
    for back in (True, False):
        pair.settle(back=back)
    assert execute(pair.origin, f"SELECT v FROM {name}.c") == [("west",)]
    execute(pair.target, "SET sql_log_bin=0", f"INSERT INTO {name}.p VALUES (2)")
    done = decide(pair, "retry", held(pair)[0]["id"])
    assert (done.returncode, done.stdout) == (0, "decided again: 1\n"), done.stderr
    pair.settle(back=True)
    assert pair.differences() == []
    assert execute(pair.target, f"SELECT v FROM {name}.c") == [("west",)]


def test_a_release_deletes_no_other_row(pairs: Pairs, flavor: str) -> None:
    """A later change, of another row, has taken the unique value meanwhile: the older one does not displace it."""
    conflicts = {"default": {"insert_exists": "quarantine", "default": "apply_origin"}}
    pair = pairs(flavor, flavor, options={"conflicts": conflicts})
    table = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(20), u INT NULL UNIQUE)")
    pair.start()
    pair.settle()
    execute(pair.target, f"INSERT INTO {table} VALUES (7, 'mine', NULL)")
    execute(pair.origin, f"INSERT INTO {table} VALUES (7, 'x', 1)")
    execute(pair.origin, f"UPDATE {table} SET u=2 WHERE id=7")
    execute(pair.origin, f"INSERT INTO {table} VALUES (8, 'y', 1)")
    pair.settle()
    assert waiting(pair) == [("insert", "[7]"), ("update", "[7]")]
    execute(pair.target, f"DELETE FROM {table} WHERE id=7")
    first = held(pair)[0]["id"]
    done = decide(pair, "retry", first)
    assert done.returncode == 1 and "holds a unique key of the change" in done.stderr, done.stdout + done.stderr
    assert execute(pair.target, f"SELECT id FROM {table}") == [(8,)] and len(held(pair)) == 2
    execute(pair.target, f"UPDATE {table} SET u=NULL WHERE id=8")
    assert decide(pair, "retry", first).stdout == "decided again: 2\n"
    execute(pair.target, f"UPDATE {table} SET u=1 WHERE id=8")
    assert pair.differences() == []


def test_a_held_change_waits_for_its_table(pairs: Pairs, flavor: str) -> None:
    """Dropped at the target, and a policy would leave its changes out: the release says so, and nothing is lost."""
    lenient = {"target_table_missing": "skip_if_missing", "target_column_missing": "skip_if_missing", "default": "quarantine"}
    pair = start(pairs, flavor, {"default": lenient})
    table = f"{pair.name}.t"
    execute(pair.target, f"INSERT INTO {table} VALUES (7, 'mine')")
    execute(pair.origin, f"INSERT INTO {table} VALUES (7, 'x')")
    pair.settle()
    (one,) = held(pair)
    execute(pair.target, f"RENAME TABLE {table} TO {table}_away")
    done = decide(pair, "retry", one["id"])
    assert done.returncode == 1 and f"the target has no table {table}" in done.stderr
    assert f"`replicator quarantine retry {one['id']}` again" in done.stderr
    assert held(pair) == [one]
    back = f"RENAME TABLE {table}_away TO {table}"
    execute(pair.target, back, f"DELETE FROM {table} WHERE id=7", f"ALTER TABLE {table} DROP v")
    assert decide(pair, "retry", one["id"]).returncode == 0
    assert execute(pair.target, f"SELECT id FROM {table} ORDER BY id") == [(1,), (2,), (3,), (7,)]
    log = f"SELECT conflict, row_key FROM replicator.conflict_log WHERE flow='{pair.flow}' ORDER BY id"
    assert execute(pair.target, log)[-1] == ("target_column_missing", "[7]")


def test_spellings_of_a_key_wait_for_one_another(pairs: Pairs, flavor: str) -> None:
    """The target takes them for one row: a later change under another spelling stays behind the held one."""
    conflicts = {"default": {"update_differing": "quarantine", "default": "apply_origin"}}
    pair = pairs(flavor, flavor, options={"conflicts": conflicts})
    table = f"{pair.name}.spelt"
    columns = "k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT"
    execute(pair.origin, f"CREATE TABLE {table} ({columns})", f"INSERT INTO {table} VALUES ('élan', 1)")
    pair.start()
    pair.settle()
    execute(pair.target, f"UPDATE {table} SET v=9")
    execute(pair.origin, "SET autocommit=1", f"UPDATE {table} SET v=2", f"DELETE FROM {table}")
    execute(pair.origin, f"INSERT INTO {table} VALUES ('ELAN ', 3)")
    pair.settle()
    pair.restart("west")
    execute(pair.origin, f"UPDATE {table} SET v=4")
    pair.settle()
    assert [operation for operation, _ in waiting(pair)] == ["update", "delete", "insert", "update"]
    execute(pair.target, f"UPDATE {table} SET v=1")
    assert decide(pair, "retry", held(pair)[0]["id"]).stdout == "decided again: 4\n"
    assert pair.differences() == []


PARTITIONED: dict[str, tuple[str, ...]] = {
    "DROP PARTITION p1": ("mysql", "mariadb"),
    "TRUNCATE PARTITION p1": ("mysql", "mariadb"),
    "EXCHANGE PARTITION p1 WITH TABLE {0}_x": ("mysql", "mariadb"),
    "CONVERT PARTITION p1 TO TABLE {0}_y": ("mariadb",),
}


def test_a_partition_with_held_changes_is_not_taken_away(pairs: Pairs, flavor: str) -> None:
    """Dropped, truncated, exchanged, made a table: the flow stops before it, and goes on when the changes are decided."""
    pair = start(pairs, flavor, HOLD)
    table = f"{pair.name}.parted"
    for number, action in enumerate(action for action, flavors in PARTITIONED.items() if flavor in flavors):
        name = f"{table}{number}"
        parts = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))"
        execute(
            pair.origin,
            f"CREATE TABLE {name}_x (id INT PRIMARY KEY, v VARCHAR(20))",
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20)) {parts}",
            f"INSERT INTO {name} VALUES (1, 'a'), (11, 'b')",
        )
        pair.settle()
        execute(pair.target, f"UPDATE {name} SET v='mine' WHERE id=11")
        execute(pair.origin, f"UPDATE {name} SET v='x' WHERE id=11")
        pair.settle()
        (one,) = held(pair)
        execute(pair.origin, "SET autocommit=1", f"ALTER TABLE {name} {action.format(name)}")  # else MariaDB locks itself out
        error = pair.wait_stopped("west", "applier")
        assert f"of {name}, of which 1 earlier changes are in quarantine" in error["what"], action
        assert execute(pair.target, f"SELECT v FROM {name} WHERE id=11") == [("mine",)]
        execute(pair.target, f"UPDATE {name} SET v='b' WHERE id=11")
        assert decide(pair, "retry", one["id"]).returncode == 0
        resume(pair)
        pair.settle()
        assert pair.differences() == [], action


def test_a_release_does_not_overtake_what_a_later_change_ties_it_to(pairs: Pairs) -> None:
    """Two rows wait, each with its changes, and the last one moves the one row to the other's key: the oldest goes first."""
    pair = start(pairs, "mysql", HOLD)
    name = pair.name
    execute(pair.target, f"UPDATE {name}.t SET v='mine' WHERE id<3")
    for change in ("UPDATE {} SET v='x' WHERE id=2", "DELETE FROM {} WHERE id=2", "UPDATE {} SET v='y' WHERE id=1"):
        execute(pair.origin, change.format(f"{name}.t"))
    execute(pair.origin, f"UPDATE {name}.t SET id=2 WHERE id=1")
    pair.settle()
    first, _, third, _ = held(pair)
    refused = decide(pair, "retry", third["id"])
    assert refused.returncode == 2 and f"retry or discard {first['id']} first" in refused.stderr
    assert len(held(pair)) == 4
    execute(pair.target, f"UPDATE {name}.t SET v='b' WHERE id=2", f"UPDATE {name}.t SET v='a' WHERE id=1")
    assert decide(pair, "retry", first["id"]).returncode == 0
    assert held(pair) == [] and pair.differences() == []
