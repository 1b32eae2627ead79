"""What the applier must not do: act through triggers, forget where it is after a statement, write behind a waiting conflict."""

from __future__ import annotations

import pymysql
import pytest

from replicator.config import load_config
from replicator.gtid import parse_position
from tests.harness import Farm, Pairs, execute, resume

pytestmark = pytest.mark.servers


def test_an_unguarded_trigger_at_the_target_stops_the_flow(pairs: Pairs, flavor: str) -> None:
    """It would act a second time on what already arrived: the flow stops, and goes on once the trigger is guarded."""
    pair = pairs(flavor, flavor)
    for table in ("t (id INT PRIMARY KEY)", "log (id INT PRIMARY KEY AUTO_INCREMENT, t INT)"):
        execute(pair.origin, f"CREATE TABLE {pair.name}.{table}")
    pair.start()
    pair.settle()
    trigger = f"CREATE TRIGGER {pair.name}.tr AFTER INSERT ON {pair.name}.t FOR EACH ROW"
    body = f"INSERT INTO {pair.name}.log (t) VALUES (NEW.id)"
    execute(pair.target, f"{trigger} {body}")
    execute(pair.origin, f"ALTER TABLE {pair.name}.t COMMENT 'the applier looks at the table again'")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1)")
    error = pair.wait_stopped("west", "applier")
    assert "triggers that would act twice: tr" in error["what"] and "guard" in error["remedy"]
    execute(pair.target, f"DROP TRIGGER {pair.name}.tr", f"{trigger} IF @replicator_applying IS NULL THEN {body}; END IF")
    resume(pair)
    pair.settle()
    assert pair.differences() == []


def test_the_position_stands_behind_a_statement_at_once(pairs: Pairs, flavor: str) -> None:
    """`wait` for a DDL statement returns, and the checkpoint's sequence never goes back afterwards."""
    pair = pairs(flavor, flavor)
    pair.start()
    for number in range(3):
        execute(pair.origin, f"CREATE TABLE {pair.name}.t{number} (id INT PRIMARY KEY)")
        pair.wait(30)
        (stream,) = pair.lag("west")["flows"][0]["streams"]
        assert stream["stages"]["applied"]["sequence"] == number + 1
        checkpoint = f"SELECT MAX(sequence) FROM replicator.checkpoint WHERE flow='{pair.flow}'"
        assert execute(pair.target, checkpoint)[0][0] == number + 1


def test_statements_and_large_transactions_are_waited_for_at_the_database(pairs: Pairs, flavor: str) -> None:
    """Else `status` would say, of hours of ALTER, that the applier is limited by its own processor time."""
    pair = pairs(flavor, flavor, options={"source": {"record_bytes": 65536}, "apply": {"batch_bytes": 100_000}})
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(1000))")
    pair.start()
    pair.wait(30)

    def waited() -> float:
        (applier,) = [w for w in pair.workers("west") if w["role"] == "applier"]
        return float(applier["counters"].get("wait_seconds|cause=database", 0))

    before = waited()
    execute(pair.origin, f"ALTER TABLE {pair.name}.t ADD n INT NOT NULL DEFAULT 1, ENGINE=InnoDB")
    pair.wait(30)
    pair.until(lambda: waited() > before, 10, "the ALTER to be counted")
    before = waited()
    execute(pair.origin, f"INSERT INTO {pair.name}.t (id, v) VALUES " + ",".join(f"({i},REPEAT('v',999))" for i in range(1000)))
    pair.wait(30)
    pair.until(lambda: waited() > before, 10, "the large transaction to be counted")


def test_a_default_schema_that_the_target_lacks_is_not_the_one_before(pairs: Pairs, flavor: str) -> None:
    """Names without a schema would mean tables of the last statement's: such a statement stops, others run without a default."""
    pair = pairs(
        flavor, flavor, name=f"default_{flavor}", schemas=["default_a", "default_b"], options={"tables": {"include": INCLUDED}}
    )
    pair.start()
    execute(pair.origin, "CREATE TABLE default_a.t (id INT PRIMARY KEY)", "INSERT INTO default_a.t VALUES (1)")
    execute(pair.origin, "CREATE TABLE default_b.t (id INT PRIMARY KEY)", "USE default_a", "CREATE TABLE x (id INT PRIMARY KEY)")
    pair.settle()
    execute(pair.target, "DROP DATABASE default_b")
    execute(pair.origin, "USE default_b", "ALTER TABLE default_a.x ADD c INT", "DROP TABLE IF EXISTS t")
    error = pair.wait_stopped("west", "applier")
    assert "database default_b" in error["what"] and "create database default_b" in error["remedy"]
    assert execute(pair.target, "SELECT id FROM default_a.t") == [(1,)]
    execute(pair.target, "CREATE DATABASE default_b", "CREATE TABLE default_b.t (id INT PRIMARY KEY)")
    resume(pair)
    pair.settle()
    assert pair.differences() == []
    assert execute(pair.target, "SHOW TABLES FROM default_b LIKE 't'") == []


INCLUDED = ["default_a.*", "default_b.*"]

def test_what_somebody_changes_of_the_targets_tables_is_noticed(pairs: Pairs, flavor: str) -> None:
    """Without an error of the server: other labels behind the same numbers, and triggers."""
    pair = pairs(flavor, flavor)
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, size ENUM('x', 'y'))")
    pair.start()

    def changed(number: int, statement: str) -> None:
        execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES ({number}, 'y')")
        pair.wait(30)  # no statement came behind the row, so that the table is known
        count = pair.log("west").read_text().count(NOTICED)
        execute(pair.target, statement, f"SELECT COUNT(*) FROM {pair.name}.t")
        pair.until(lambda: pair.log("west").read_text().count(NOTICED) > count, 30, "the statement is not noticed")

    changed(1, f"CREATE TRIGGER {pair.name}.tr BEFORE INSERT ON {pair.name}.t FOR EACH ROW SET NEW.size='x'")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (2, 'y')")
    assert "triggers that would act twice" in pair.wait_stopped("west", "applier")["what"]
    execute(pair.target, f"DROP TRIGGER {pair.name}.tr")
    resume(pair)
    changed(3, f"ALTER TABLE {pair.name}.t MODIFY size ENUM('y', 'x', 'z')")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (4, 'y')")
    assert "other members" in pair.wait_stopped("west", "applier")["what"]


NOTICED = "the target's tables were changed by others"


@pytest.mark.parametrize("origin", ["mysql", "mariadb"])
def test_utf8mb4_alone_means_the_collation_that_it_meant_at_the_origin(pairs: Pairs, origin: str) -> None:
    """Else other keys would be equal at a MySQL."""
    pair = pairs(origin, "mysql").start()
    session = ["SET default_collation_for_utf8mb4=utf8mb4_general_ci"] if origin == "mysql" else []
    columns = "k VARCHAR(20) PRIMARY KEY, v INT"
    execute(pair.origin, *session, f"CREATE TABLE {pair.name}.t ({columns}) CHARACTER SET utf8mb4")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES ('a', 1), ('Ⅰ', 2)")
    if origin == "mysql":
        execute(pair.origin, f"CREATE TABLE {pair.name}.usual ({columns}) CHARACTER SET utf8mb4")
    pair.settle()
    collations = (
        "SELECT table_name, collation_name FROM information_schema.columns"
        f" WHERE table_schema='{pair.name}' AND column_name='k' AND table_name IN ('t', 'usual')"
    )
    found = dict(execute(pair.target, collations))
    assert found == dict(execute(pair.origin, collations))
    assert found["t"] == "utf8mb4_general_ci"


HOSTILE = {
    "autocommit": "0",
    "completion_type": "'RELEASE'",
    "sql_safe_updates": "1",
    "sql_select_limit": "1",
    "sql_auto_is_null": "1",
    "transaction_isolation": "'SERIALIZABLE'",
}
"""Globals that new sessions take over."""


def test_a_servers_global_defaults_change_nothing(farm: Farm, pairs: Pairs, flavor: str) -> None:
    """Not how much of a table's description is read, nor whether `pause`, heartbeats and rows are committed."""
    servers = [farm.fresh_database(flavor, site) for site in ("east", "west")]
    try:
        pair = pairs(flavor, flavor, east=servers[0], west=servers[1])
        table = f"{pair.name}.t"
        execute(pair.origin, f"CREATE TABLE {table} (a INT, b VARCHAR(20), c INT, UNIQUE KEY (a), UNIQUE KEY (b))")
        limit, value = {"mysql": ("max_execution_time", "1"), "mariadb": ("max_statement_time", "5")}[flavor]
        names = {**HOSTILE, limit: value}
        if flavor == "mariadb":
            names["tx_isolation"] = names.pop("transaction_isolation")
        for server in servers:
            execute(server, *[f"SET GLOBAL {name}={value}" for name, value in names.items()])
        settings = load_config(pair.config()).site("west").database.connect_args()
        with pymysql.connect(**settings) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT @@{limit}")
            assert cursor.fetchone() == (0,)
        pair.start()
        execute(
            pair.origin,
            f"INSERT INTO {table} VALUES (1, 'x', 1), (2, NULL, 2), (3, 'z', 3)",
            f"UPDATE {table} SET a=a+10, c=c+1 WHERE a > 0",
            f"DELETE FROM {table} WHERE a=12",
        )
        pair.wait(30)
        assert pair.command("pause", "--pair", pair.name).returncode == 0
        pair.until(lambda: pair.lag("west")["flows"][0]["state"] == "paused", 15, "the applier does not pause")
        for server in servers:
            execute(server, *[f"SET GLOBAL {name}=DEFAULT" for name in names])
        resume(pair)
        pair.settle()
        assert pair.differences() == []
    finally:
        for server in servers:
            server.destroy()


def test_a_target_that_logs_statements_stops_the_flow(farm: Farm, pairs: Pairs, flavor: str) -> None:
    """It refuses rows at our isolation level for ever: said once, with the remedy, and `check` knows it before."""
    west = farm.fresh_database(flavor, "west", binlog_format="STATEMENT")
    try:
        pair = pairs(flavor, flavor, west=west)
        execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY)", f"INSERT INTO {pair.name}.t VALUES (1)")
        checked = pair.command("check")
        assert checked.returncode == 1 and "binlog_format is STATEMENT" in checked.stdout
        pair.start(ready=False)
        error = pair.wait_stopped("west", "applier")
        assert "binlog_format is STATEMENT" in error["what"] and "SET GLOBAL binlog_format=ROW" in error["remedy"]
        execute(west, "SET GLOBAL binlog_format=ROW")
        resume(pair)
        pair.settle()
        assert pair.differences() == []
    finally:
        west.destroy()


def test_a_statement_takes_nothing_from_the_targets_defaults(farm: Farm, pairs: Pairs, flavor: str) -> None:
    """New auto-increment values of rows, and what TIMESTAMP alone means, are as at the origin; `check` names the rest."""
    west = farm.fresh_database(flavor, "west", auto_increment_increment="7", explicit_defaults_for_timestamp="OFF")
    try:
        pair = pairs(flavor, flavor, west=west).start()
        table = f"{pair.name}.numbered"
        execute(pair.origin, f"CREATE TABLE {table} (a INT)", f"INSERT INTO {table} VALUES (1), (1), (1)")
        execute(pair.origin, f"ALTER TABLE {table} ADD id INT AUTO_INCREMENT PRIMARY KEY")
        pair.settle()
        assert pair.differences() == []
        execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, at TIMESTAMP)")
        execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1, NULL)")
        pair.settle()
        assert pair.differences() == []
        hints = ["explicit_defaults_for_timestamp"]
        if flavor == "mysql":
            hints += ["sql_generate_invisible_primary_key", "sql_require_primary_key"]
            execute(west, *[f"SET GLOBAL {name}=ON" for name in hints[1:]])
        found = pair.command("check").stdout
        assert all(f"{name} " in found for name in hints)
    finally:
        west.destroy()


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_the_position_is_exact_after_a_clean_end(pairs: Pairs, how: str) -> None:
    """However records and batches lay, it covers the last transaction: a stream can be started anew from there."""
    pair = pairs("mysql", "mysql", options={"apply": {"connections": 1, "batch_rows": 1}}).start()
    table = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE {table} (id INT PRIMARY KEY)")
    pair.settle()
    inserts = [f"INSERT INTO {table} VALUES ({number})" for number in range(60)]
    execute(pair.origin, "SET autocommit=1", *inserts)
    pair.until(lambda: execute(pair.target, f"SELECT COUNT(*) FROM {table}") == [(60,)], 30, "the rows")
    if how == "stop":
        assert pair.stop() == {"east": 0, "west": 0}
    else:
        assert pair.command("pause", "--pair", pair.name).returncode == 0
        pair.until(lambda: pair.lag("west")["flows"][0]["state"] == "paused", 15, "the pause")
    query = f"SELECT gtid, position FROM replicator.checkpoint WHERE flow='{pair.flow}' ORDER BY sequence DESC LIMIT 1"
    ((gtid, position),) = execute(pair.target, query)
    assert parse_position("mysql", position).covers(gtid)


_MANY = 40_000


def test_a_row_is_found_by_the_index_whatever_its_key(pairs: Pairs, flavor: str) -> None:
    """A server may take a condition on several columns for one that needs the whole table: each change would read all rows."""
    pair = pairs(flavor, flavor)
    keys = {"one": "a", "two": "a, b", "mixed": "c, a"}
    for table, key in keys.items():
        columns = f"a INT NOT NULL, b INT NOT NULL, c VARCHAR(20) NOT NULL, v INT, PRIMARY KEY ({key})"
        rows = ",".join([f"({n}, {n % 7}, 'c{n % 3}', 0)" for n in range(_MANY)])
        execute(pair.origin, f"CREATE TABLE {pair.name}.{table} ({columns})", f"INSERT INTO {pair.name}.{table} VALUES {rows}")
    pair.start()
    pair.settle()
    read = "SHOW GLOBAL STATUS LIKE 'Handler_read_rnd_next'"  # two scans would be twice as many; information_schema counts too
    for table in keys:
        before = int(execute(pair.target, read)[0][1])
        for number in (5, 6):
            execute(pair.origin, f"DELETE FROM {pair.name}.{table} WHERE a={number}")
            pair.wait(30)
        execute(pair.origin, f"UPDATE {pair.name}.{table} SET v=1 WHERE a BETWEEN 10 AND 12")
        pair.wait(30)
        assert int(execute(pair.target, read)[0][1]) - before < _MANY, table
    assert pair.differences() == []
