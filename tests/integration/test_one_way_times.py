"""``latest_timestamp`` without a column in a one-way pair: the target's own binlog tells when its rows were changed there."""

from __future__ import annotations

import pytest

from dev import DatabaseServer
from tests.harness import Pair, Pairs, execute, resume, until_next_second

pytestmark = pytest.mark.servers

LATEST = {"clock_offset_ms_max": 60_000, "default": "latest_timestamp"}


@pytest.fixture
def pair(pairs: Pairs, flavor: str) -> Pair:
    """A running pair with the rows 1 to 9 at both sites."""
    pair = pairs(flavor, flavor, options={"conflicts": LATEST})
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(20))")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES " + ",".join(f"({i},'both')" for i in range(1, 10)))
    pair.start()
    pair.settle()
    return pair


def rows(server: DatabaseServer, pair: Pair) -> dict[int, str]:
    """The table."""
    return dict(execute(server, f"SELECT id, v FROM {pair.name}.t"))


def write(server: DatabaseServer, pair: Pair, *statements: str) -> None:
    """Commit them one by one, in the next second: MariaDB's commit times have whole ones."""
    until_next_second(server)
    execute(server, f"USE {pair.name}", "SET autocommit=1", *statements)


def decisions(pair: Pair) -> dict[str, tuple[str, str]]:
    """Of each key: the conflict and what was decided."""
    query = f"SELECT row_key, conflict, decision FROM replicator.conflict_log WHERE flow LIKE '{pair.name}.%' ORDER BY id"
    return {key: (conflict, decision) for key, conflict, decision in execute(pair.target, query)}


def test_the_later_commit_wins(pair: Pair) -> None:
    """Updates, inserts and deletes of the target that are older give way; those that are later stay, deletes too."""
    pair.stop("west")
    write(pair.target, pair, "UPDATE t SET v='older' WHERE id=1", "INSERT INTO t VALUES (20,'older')", "DELETE FROM t WHERE id=6")
    write(
        pair.origin,
        pair,
        *[f"UPDATE t SET v='east' WHERE id={i}" for i in (1, 2, 4, 6)],
        "DELETE FROM t WHERE id=3",
        "INSERT INTO t VALUES (20,'east'), (21,'east')",
    )
    write(
        pair.target,
        pair,
        *[f"UPDATE t SET v='west' WHERE id={i}" for i in (2, 3)],
        "DELETE FROM t WHERE id=4",
        "INSERT INTO t VALUES (21,'west')",
    )
    pair.start("west")
    pair.settle()
    both = dict.fromkeys((5, 7, 8, 9), "both")
    assert rows(pair.target, pair) == {**both, 1: "east", 2: "west", 3: "west", 6: "east", 20: "east", 21: "west"}
    assert decisions(pair) == {
        "[1]": ("update_differing", "update"),
        "[2]": ("update_differing", "keep"),
        "[3]": ("delete_differing", "keep"),
        "[4]": ("update_missing", "skip"),
        "[6]": ("update_missing", "insert"),
        "[20]": ("insert_exists", "update"),
        "[21]": ("insert_exists", "keep"),
    }
    # What was settled is settled: later changes of the origin are later than all of it, also for a new process.
    pair.restart("west")
    write(pair.origin, pair, "UPDATE t SET v='last'", "INSERT INTO t VALUES (3,'last')")
    pair.settle()
    assert set(rows(pair.target, pair).values()) == {"last"} and pair.differences() == []


def test_what_is_changed_while_it_runs(pair: Pair) -> None:
    """Rows that both write now: the target's are known before the batch commits."""
    for turn in range(5):
        write(pair.target, pair, f"UPDATE t SET v='west{turn}' WHERE id<=5", f"INSERT INTO t VALUES ({30 + turn},'west')")
        write(pair.origin, pair, f"UPDATE t SET v='east{turn}' WHERE id<=3")
    pair.settle()
    there = rows(pair.target, pair)
    assert [there[i] for i in (1, 2, 3, 4, 5, 34)] == ["east4"] * 3 + ["west4"] * 2 + ["west"]


def test_a_large_transaction_and_statements_of_the_target(pair: Pair) -> None:
    """What does not fit into one record is remembered too; so are rows around DDL of the target's own."""
    pair.stop("west")
    write(pair.origin, pair, "INSERT INTO t SELECT 100 + id, 'east' FROM t", "UPDATE t SET v='east' WHERE id=7")
    digits = "(" + " UNION ALL ".join(f"SELECT {i} AS d" for i in range(10)) + ")"
    numbers = f"SELECT 100 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d FROM {digits} a, {digits} b, {digits} c, {digits} e"
    write(
        pair.target,
        pair,
        f"INSERT INTO t SELECT n.*, REPEAT('w', 20) FROM ({numbers}) n",
        "ALTER TABLE t ADD COLUMN mine INT DEFAULT 1",
        "UPDATE t SET v='west' WHERE id=7",
    )
    pair.start("west")
    pair.settle()
    there = dict(execute(pair.target, f"SELECT id, v FROM {pair.name}.t WHERE id IN (7, 101, 109, 10099)"))
    assert there == {7: "west", 101: "w" * 20, 109: "w" * 20, 10099: "w" * 20}


def test_a_change_that_the_target_logged_as_a_statement_stops_the_flow(pair: Pair) -> None:
    """Which rows it changed is not told. Statements that change none mean nothing."""
    write(pair.target, pair, "CREATE TEMPORARY TABLE x (id INT)", "DROP TEMPORARY TABLE x", "ANALYZE TABLE t")
    write(pair.origin, pair, "UPDATE t SET v='east' WHERE id=1")
    pair.settle()
    execute(pair.target, f"USE {pair.name}", "SET SESSION binlog_format=STATEMENT", "UPDATE t SET v='west' WHERE id=2")
    write(pair.origin, pair, "UPDATE t SET v='east' WHERE id=2")
    error = pair.wait_stopped("west", "applier")
    assert "UPDATE statement instead of rows" in error["what"] and "binlog_format=ROW" in error["remedy"]
    assert rows(pair.target, pair)[2] == "west"


def test_a_binlog_that_is_gone_stops_the_flow(pair: Pair) -> None:
    """What the target's binlog no longer tells is not guessed; the operator may say that it counts as older."""
    pair.stop("west")
    position = f"UPDATE replicator.local_position SET position=%s WHERE flow='{pair.flow}'"
    ((beyond,),) = execute(
        pair.target,
        "SELECT REGEXP_REPLACE(@@gtid_binlog_pos, '[0-9]+$', '99999999')"
        if pair.target.flavor == "mariadb"
        else "SELECT CONCAT(@@server_uuid, ':1-99999999')",
    )
    with pair.target.connect(autocommit=True) as connection, connection.cursor() as cursor:
        assert cursor.execute(position, (beyond,)) == 1
    write(pair.target, pair, "UPDATE t SET v='west' WHERE id=1")
    write(pair.origin, pair, "UPDATE t SET v='east' WHERE id=1")
    pair.start("west", ready=False)
    error = pair.wait_stopped("west", "applier")
    assert "who wrote a row last cannot be known" in error["what"]
    assert rows(pair.target, pair)[1] == "west"
    remedy = error["remedy"]
    statement = remedy[remedy.index("DELETE FROM") : remedy.index(" at the target")]
    execute(pair.target, statement)
    resume(pair)
    pair.settle()
    assert rows(pair.target, pair)[1] == "east"


def test_a_target_without_whole_rows_in_its_binlog_stops(pair: Pair) -> None:
    """Its binlog would not tell what was changed."""
    pair.stop("west")
    execute(pair.target, "SET GLOBAL binlog_row_image=MINIMAL")
    try:
        pair.start("west", ready=False)
        error = pair.wait_stopped("west", "applier")
        check = pair.command("check", "--site", "west")
    finally:
        execute(pair.target, "SET GLOBAL binlog_row_image=FULL")
    assert "binlog_row_image is MINIMAL" in error["what"] and "SET GLOBAL binlog_row_image=FULL" in error["remedy"]
    assert check.returncode == 1 and "binlog_row_image is MINIMAL, not FULL" in check.stdout
