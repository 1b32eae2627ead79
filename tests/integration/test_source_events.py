"""Every kind of event that real servers write: rows come once and whole, or the source stops and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dev import DatabaseServer
from replicator.errors import SourceError
from replicator.filter import TableFilter
from replicator.gtid import parse_position
from replicator.model import META_SCHEMA
from replicator.row.decode import decoder
from replicator.row.tablemap import parse_table_map
from replicator.source.assembler import Rules
from tests.harness import Farm, execute
from tests.integration.source_reading import Got, position, positions, read, rules

pytestmark = pytest.mark.servers

ROWS = {23, 24, 25, 30, 31, 32}


@pytest.fixture
def fresh(server: DatabaseServer) -> str:
    """An empty schema `shop` with a table in InnoDB and one in MyISAM; returns the position after it."""
    return prepare(server)


def prepare(server: DatabaseServer) -> str:
    execute(
        server,
        "DROP DATABASE IF EXISTS shop",
        "CREATE DATABASE shop",
        "CREATE TABLE shop.item (id INT PRIMARY KEY, name VARCHAR(4000))",
        "CREATE TABLE shop.other (id INT PRIMARY KEY)",
        "CREATE TABLE shop.flat (id INT PRIMARY KEY) ENGINE=MyISAM",
    )
    return position(server)


def ids(server: DatabaseServer, got: Got) -> list[int]:
    """First column of the after images of a transaction's rows (of the before images of deletes)."""
    found: list[int] = []
    for event in got.events:
        if event.type in ROWS:
            decode = decoder(parse_table_map(got.table_maps[event.table], server.flavor), before="value", after="value")
            found += [(after or before)[0] for before, after in decode(event.type, event.payload)]  # type: ignore[index]
    return found


class Session:
    """One connection in autocommit."""

    def __init__(self, server: DatabaseServer) -> None:
        self._connection = server.connect(autocommit=True)

    def run(self, *statements: str) -> Any:
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def close(self) -> None:
        self._connection.close()


# --- XA ---


def xa(session: Session, name: str, *statements: str) -> None:
    """Prepare an XA transaction."""
    session.run(f"XA START '{name}'", *statements, f"XA END '{name}'", f"XA PREPARE '{name}'")


def test_xa_rows_come_with_their_commit(server: DatabaseServer, fresh: str) -> None:
    """Another transaction in between comes first, as it was visible first; the commit's GTID names the rows."""
    a = Session(server)
    xa(a, "one", "INSERT INTO shop.item VALUES (1,'a'),(2,'b')")
    execute(server, "INSERT INTO shop.item VALUES (3,'c')")
    middle = position(server)
    a.run("XA COMMIT 'one'")
    a.close()
    reading = read(server, fresh)
    assert [ids(server, got) for got in reading.transactions] == [[3], [1, 2]]
    gtid = parse_position(server.flavor, middle).missing(position(server))
    assert reading.transactions[1].gtid == gtid
    assert reading.sealed[-1].resume == position(server)
    assert reading.sealed[-1].shipped == ""


def test_xa_rollback_drops_the_rows(server: DatabaseServer, fresh: str) -> None:
    """Nothing of it is shipped; the position moves over it."""
    a = Session(server)
    xa(a, "two", "INSERT INTO shop.item VALUES (1,'a')")
    a.run("XA ROLLBACK 'two'")
    a.close()
    execute(server, "INSERT INTO shop.item VALUES (2,'b')")
    reading = read(server, fresh)
    assert [ids(server, got) for got in reading.transactions] == [[2]]
    assert reading.sealed[-1].resume == position(server)


def test_xa_in_one_phase_is_an_ordinary_transaction(server: DatabaseServer, fresh: str) -> None:
    """Names with a branch and a format come apart right."""
    a = Session(server)
    a.run("XA START 'th','ree',7", "INSERT INTO shop.item VALUES (1,'a')", "XA END 'th','ree',7")
    a.run("XA COMMIT 'th','ree',7 ONE PHASE")
    a.close()
    assert [ids(server, got) for got in read(server, fresh).transactions] == [[1]]


def test_while_xa_is_prepared_a_restart_reads_it_again_and_nothing_twice(server: DatabaseServer, fresh: str) -> None:
    """The position to resume from stays before the prepared transaction; what was shipped since is dropped by its GTID."""
    a = Session(server)
    execute(server, "INSERT INTO shop.item VALUES (1,'a')")
    xa(a, "four", "INSERT INTO shop.item VALUES (2,'b')")
    execute(server, "INSERT INTO shop.item VALUES (3,'c')")
    first = read(server, fresh)
    assert [ids(server, got) for got in first.transactions] == [[1], [3]]
    last = first.sealed[-1]
    assert last.shipped == position(server)
    assert positions(first.items)[-1] == position(server)
    assert not parse_position(server.flavor, last.resume).covers(position(server))

    execute(server, "INSERT INTO shop.item VALUES (4,'d')")
    a.run("XA COMMIT 'four'")
    a.close()
    execute(server, "INSERT INTO shop.item VALUES (5,'e')")
    second = read(server, last.resume, shipped=last.shipped)
    assert [ids(server, got) for got in second.transactions] == [[4], [2], [5]]
    assert second.sealed[-1].shipped == ""


def test_a_restart_after_the_commit_of_what_it_reads_again_ships_nothing_twice(server: DatabaseServer, fresh: str) -> None:
    """Resuming where it was before the prepare, with both prepare and commit shipped already."""
    a = Session(server)
    xa(a, "five", "INSERT INTO shop.item VALUES (2,'b')")
    execute(server, "INSERT INTO shop.item VALUES (3,'c')")
    early = read(server, fresh).sealed[-1].resume
    a.run("XA COMMIT 'five'")
    a.close()
    shipped = position(server)
    execute(server, "INSERT INTO shop.item VALUES (6,'f')")
    if server.flavor == "mysql":
        early = shipped  # holes are only left where prepared ones are
    assert [ids(server, got) for got in read(server, early, shipped=shipped).transactions] == [[6]]


def test_a_lost_connection_while_xa_is_prepared(server: DatabaseServer, fresh: str) -> None:
    """The same assembler goes on behind what it read, and still ships the prepared rows once."""
    a = Session(server)
    xa(a, "six", "INSERT INTO shop.item VALUES (1,'a')")
    execute(server, "INSERT INTO shop.item VALUES (2,'b')")
    first = read(server, fresh)
    resume = first.assembler.restart()
    a.run("XA COMMIT 'six'")
    a.close()
    second = read(server, resume, shipped=str(first.assembler.position))
    assert [ids(server, got) for got in first.transactions + second.transactions] == [[2], [1]]


def test_a_large_xa_transaction_comes_in_chunks(server: DatabaseServer, fresh: str) -> None:
    """It waits on disk, and is then shipped as one."""
    a = Session(server)
    xa(a, "seven", *[f"INSERT INTO shop.item VALUES ({n}, REPEAT('x', 4000))" for n in range(500)])
    execute(server, "INSERT INTO shop.item VALUES (1000,'c')")
    a.run("XA COMMIT 'seven'")
    a.close()
    reading = read(server, fresh, record_bytes=100_000)
    assert [ids(server, got) for got in reading.transactions] == [[1000], list(range(500))]
    assert [got.large for got in reading.transactions] == [False, True]


def test_an_xa_commit_without_its_rows_stops(server: DatabaseServer, fresh: str) -> None:
    """Begun in the middle of one, the stream would lack its rows."""
    a = Session(server)
    xa(a, "eight", "INSERT INTO shop.item VALUES (1,'a')")
    start = position(server)
    a.run("XA COMMIT 'eight'")
    a.close()
    with pytest.raises(SourceError, match="prepared before the stream's beginning"):
        read(server, start)


# --- savepoints and rollbacks ---


@pytest.mark.parametrize("record_bytes", [786432, 20_000])
def test_rolled_back_rows_are_not_shipped(server: DatabaseServer, fresh: str, record_bytes: int) -> None:
    """ROLLBACK TO that made it into the binlog takes back exactly the rows behind the savepoint (MariaDB writes it)."""
    a = Session(server)
    wide = "REPEAT('x', 4000)"
    a.run("BEGIN", f"INSERT INTO shop.item VALUES (1,{wide}),(2,{wide}),(3,{wide})", "SAVEPOINT one")
    if server.flavor == "mariadb":
        a.run("INSERT INTO shop.flat VALUES (1)")
    a.run(f"INSERT INTO shop.item VALUES (4,{wide}),(5,{wide}),(6,{wide}),(7,{wide})", "SAVEPOINT two")
    a.run(f"INSERT INTO shop.item VALUES (8,{wide}),(9,{wide})", "ROLLBACK TO two")
    a.run("INSERT INTO shop.item VALUES (10,'a')", "ROLLBACK TO one", f"INSERT INTO shop.item VALUES (11,{wide})", "COMMIT")
    a.close()
    reading = read(server, fresh, record_bytes=record_bytes)
    expected = [[1, 2, 3, 11]] if server.flavor == "mysql" else [[1], [1, 2, 3, 11]]
    assert [ids(server, got) for got in reading.transactions] == expected


def test_a_rolled_back_transaction_in_the_binlog(server: DatabaseServer, fresh: str) -> None:
    """MariaDB logs one that made a temporary table, with ROLLBACK at its end: no row of it is shipped, small or large."""
    a = Session(server)
    a.run("BEGIN", "INSERT INTO shop.item VALUES (1,REPEAT('x',4000))", "CREATE TEMPORARY TABLE shop.t1 (id INT)")
    a.run(*[f"INSERT INTO shop.item VALUES ({n},REPEAT('x',4000))" for n in range(2, 40)], "ROLLBACK")
    a.close()
    execute(server, "INSERT INTO shop.item VALUES (50,'a')")
    for record_bytes in (786432, 20_000):
        reading = read(server, fresh, record_bytes=record_bytes)
        assert [ids(server, got) for got in reading.transactions] == [[50]]


def test_rows_of_non_transactional_tables_are_shipped_though_the_transaction_was_rolled_back(
    server: DatabaseServer, fresh: str
) -> None:
    """They stay at the origin too: the server logs them by themselves."""
    if server.flavor == "mysql":
        pytest.skip("MySQL with GTIDs refuses such transactions")
    a = Session(server)
    a.run("BEGIN", "INSERT INTO shop.item VALUES (1,'a')", "INSERT INTO shop.flat VALUES (1)", "ROLLBACK")
    a.close()
    assert [ids(server, got) for got in read(server, fresh).transactions] == [[1]]


# --- large and compressed ---


def test_a_large_transaction_goes_out_while_it_is_read(server: DatabaseServer, fresh: str) -> None:
    """Chunks stay below the record's size, small ones before and after it have records of their own."""
    execute(server, "INSERT INTO shop.other VALUES (1)")
    execute(server, *[f"INSERT INTO shop.item VALUES ({n}, REPEAT('x', 3000))" for n in range(300)])
    execute(server, "INSERT INTO shop.other VALUES (2)")
    reading = read(server, fresh, record_bytes=50_000)
    assert [(got.large, len(ids(server, got))) for got in reading.transactions] == [(False, 1), (True, 300), (False, 1)]
    assert max(len(sealed.body) for sealed in reading.sealed) <= 50_000
    chunks = [s for s in reading.sealed if s.kind == 3]
    assert len({c.resume for c in chunks}) == 1
    assert not parse_position(server.flavor, chunks[0].resume).covers(position(server))


def test_a_large_compressed_transaction(server: DatabaseServer, fresh: str) -> None:
    """A payload is decompressed piece by piece and goes out in chunks (MySQL)."""
    if server.flavor != "mysql":
        pytest.skip("MariaDB has no TRANSACTION_PAYLOAD events")
    values = [f"INSERT INTO shop.item VALUES ({n}, REPEAT('x', 3000))" for n in range(1000)]
    execute(server, "SET SESSION binlog_transaction_compression=ON", *values)
    reading = read(server, fresh, record_bytes=50_000)
    (got,) = reading.transactions
    assert (got.large, ids(server, got)) == (True, list(range(1000)))


def test_compressed_events_of_mariadb(server: DatabaseServer, fresh: str) -> None:
    """Rows and statements compressed by the server come as if they were not."""
    if server.flavor != "mariadb":
        pytest.skip("MySQL has no such events")
    try:
        execute(server, "SET GLOBAL log_bin_compress=ON")
        long = "x" * 1000
        execute(server, f"CREATE TABLE shop.wide (id INT PRIMARY KEY, t TEXT COMMENT '{long}')")
        execute(server, "INSERT INTO shop.wide VALUES (1, REPEAT('y', 5000)), (2, 'z')")
        execute(server, "UPDATE shop.wide SET t=REPEAT('w', 5000)")
        execute(server, "DELETE FROM shop.wide")
    finally:
        execute(server, "SET GLOBAL log_bin_compress=OFF")
    got = read(server, fresh).transactions
    assert [set(t.types) for t in got] == [{2}, {23}, {24}, {25}]
    assert long.encode() in got[0].events[0].payload
    assert b"y" * 5000 in got[1].events[0].payload
    assert [ids(server, t) for t in got[1:]] == [[1, 2]] * 3


def test_load_data_comes_as_rows(server: DatabaseServer, fresh: str, tmp_path: Path) -> None:
    """LOAD DATA in row format is rows like any others."""
    file = tmp_path / "rows.csv"
    file.write_text("1\ta\n2\tb\n")
    execute(server, f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE shop.item", local_infile=True)
    assert [ids(server, got) for got in read(server, fresh).transactions] == [[1, 2]]


def test_create_table_select_is_one_transaction(server: DatabaseServer, fresh: str) -> None:
    """The statement without its query, then the rows."""
    execute(server, "INSERT INTO shop.item VALUES (1,'a'),(2,'b')")
    execute(server, "CREATE TABLE shop.copy AS SELECT * FROM shop.item")
    _, got = read(server, fresh).transactions
    assert [2, *[t for t in got.types if t in ROWS]] == got.types
    assert ids(server, got) == [1, 2]


def test_partial_json_updates_are_shipped_raw(server: DatabaseServer, fresh: str) -> None:
    """PARTIAL_UPDATE_ROWS keeps its type (MySQL)."""
    if server.flavor != "mysql":
        pytest.skip("MariaDB has no partial updates")
    execute(server, "CREATE TABLE shop.doc (id INT PRIMARY KEY, j JSON)", "INSERT INTO shop.doc VALUES (1,'{\"a\": 1}')")
    execute(server, "SET binlog_row_value_options=PARTIAL_JSON", "UPDATE shop.doc SET j=JSON_SET(j,'$.a',2)")
    assert read(server, fresh).transactions[-1].types == [39]


def test_tagged_gtids(farm: Farm) -> None:
    """MySQL 8.3 and newer: the tag is part of the GTID, and a tagged position can be resumed from."""
    server = farm.database("mysql97")
    start = prepare(server)
    execute(server, "SET gtid_next='AUTOMATIC:blue'", "INSERT INTO shop.item VALUES (1,'a')")
    middle = position(server)
    execute(server, "SET gtid_next='AUTOMATIC:blue'", "INSERT INTO shop.item VALUES (2,'b')")
    execute(server, "INSERT INTO shop.item VALUES (3,'c')")
    got = read(server, start).transactions
    assert [ids(server, t) for t in got] == [[1], [2], [3]]
    assert ":blue:" in got[0].gtid
    assert all(got[0].commit_time_us < t.commit_time_us for t in got[1:])
    assert [ids(server, t) for t in read(server, middle).transactions] == [[2], [3]]


def test_several_mariadb_domains(server: DatabaseServer, fresh: str) -> None:
    """Each domain's position moves by itself."""
    if server.flavor != "mariadb":
        pytest.skip("MySQL has no domains")
    execute(server, "SET gtid_domain_id=77", "INSERT INTO shop.item VALUES (1,'a')")
    execute(server, "SET gtid_domain_id=78", "INSERT INTO shop.item VALUES (2,'b')")
    execute(server, "INSERT INTO shop.item VALUES (3,'c')")
    reading = read(server, fresh)
    assert [ids(server, got) for got in reading.transactions] == [[1], [2], [3]]
    assert {got.gtid.split("-")[0] for got in reading.transactions} == {"77", "78", str(server.server_id)}
    execute(server, "SET gtid_domain_id=77", "INSERT INTO shop.item VALUES (4,'d')")
    assert [ids(server, got) for got in read(server, reading.sealed[-1].resume).transactions] == [[4]]


# --- statements and the filter ---

ITEM = TableFilter(("shop.item",))


def test_statements_on_unwanted_tables_are_dropped(server: DatabaseServer, fresh: str) -> None:
    """Only what touches the flow's tables is shipped; accounts, administration and temporary tables never."""
    execute(
        server,
        "ALTER TABLE shop.other ADD x INT",
        "CREATE USER IF NOT EXISTS nobody@localhost",
        "DROP USER nobody@localhost",
        "ANALYZE TABLE shop.item",
        "FLUSH TABLES",
        "CREATE DATABASE elsewhere",
        "DROP DATABASE elsewhere",
        "CREATE TEMPORARY TABLE shop.temp (id INT)",
        "DROP TEMPORARY TABLE shop.temp",
        "ALTER TABLE shop.item ADD y INT",
    )
    reading = read(server, fresh, ITEM)
    (got,) = reading.transactions
    assert b"ADD y INT" in got.events[0].payload


def test_a_statement_on_wanted_and_unwanted_tables_stops(server: DatabaseServer, fresh: str) -> None:
    """It names the other table and what to do; what came before is shipped."""
    execute(server, "INSERT INTO shop.item VALUES (1,'a')")
    execute(server, "RENAME TABLE shop.item TO shop.gone, shop.other TO shop.item")
    with pytest.raises(SourceError, match=r"shop\.gone, shop\.other") as caught:
        read(server, fresh, ITEM)
    assert "GTID" in caught.value.where


def test_an_online_schema_change_passes(server: DatabaseServer, fresh: str) -> None:
    """The shadow table of a wanted table is wanted: its rows and the swap are shipped."""
    execute(server, "INSERT INTO shop.item VALUES (1,'a')", "COMMIT", "CREATE TABLE shop._item_new LIKE shop.item")
    execute(server, "ALTER TABLE shop._item_new ADD z INT", "INSERT INTO shop._item_new SELECT *, 1 FROM shop.item", "COMMIT")
    execute(server, "RENAME TABLE shop.item TO shop._item_old, shop._item_new TO shop.item", "DROP TABLE shop._item_old")
    types = [got.types[-1] in ROWS for got in read(server, fresh, ITEM).transactions]
    assert types == [True, False, False, True, False, False]


def test_dropping_a_database_with_some_wanted_tables_stops(server: DatabaseServer, fresh: str) -> None:
    """The target's tables of that database may be more than those at the origin."""
    execute(server, "DROP DATABASE shop")
    with pytest.raises(SourceError, match="drops tables that the flow carries"):
        read(server, fresh, ITEM)


def test_statement_format_on_unwanted_tables_is_dropped(server: DatabaseServer, fresh: str) -> None:
    """Rows changed by a statement matter only where the flow carries the table."""
    execute(server, "SET SESSION binlog_format=STATEMENT", "INSERT INTO shop.other VALUES (1)")
    assert read(server, fresh, ITEM).transactions == []


# --- marks ---

ANY_COLUMNS = "SET sql_mode=''"
"""Lets a row of our tables be written without naming all of its columns."""


def replicated(server: DatabaseServer, direct: frozenset[str] = frozenset({"west"})) -> Any:
    def make(server: DatabaseServer, tables: TableFilter) -> Rules:
        return rules(server, tables, direct=direct)

    return make


@pytest.fixture
def checkpoint(server: DatabaseServer) -> str:
    """Our tables, as appliers at this site have them."""
    from replicator import meta

    with server.connect() as connection:
        meta.ensure(connection)
    prepare(server)
    return position(server)


def applied(site: str, time_us: int = 1_700_000_000_000_000) -> str:
    return (
        f"REPLACE INTO {META_SCHEMA}.checkpoint (flow,stream,slot,owner,stream_id,epoch,source_id,sequence,gtid,site,"
        f"commit_time_us,position,kafka_offset,updated_us) VALUES ('f','main',0,'o','s',1,'x',5,'g','{site}',{time_us},'p',1,"
        "FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000000))"
    )


@pytest.mark.parametrize("record_bytes", [786432, 20_000])
def test_what_was_applied_from_the_target_is_not_sent_back(
    server: DatabaseServer, checkpoint: str, record_bytes: int
) -> None:
    """The checkpoint row that begins the transaction tells; the position moves on."""
    wide = [f"INSERT INTO shop.item VALUES ({n},REPEAT('x',4000))" for n in range(20)]
    execute(server, ANY_COLUMNS, applied("west"), *wide)
    execute(server, "INSERT INTO shop.other VALUES (2)")
    reading = read(server, checkpoint, record_bytes=record_bytes, make_rules=replicated(server))
    assert [ids(server, got) for got in reading.transactions] == [[2]]


def test_what_came_from_a_third_site_is_passed_on_with_its_origin(server: DatabaseServer, checkpoint: str) -> None:
    """A chain keeps the site and the time of the first commit."""
    execute(server, ANY_COLUMNS, applied("south"), "INSERT INTO shop.item VALUES (1,'a')")
    (got,) = read(server, checkpoint, make_rules=replicated(server)).transactions
    assert (got.site, got.commit_time_us) == ("south", 1_700_000_000_000_000)
    assert ids(server, got) == [1]


def test_ddl_that_was_applied_is_not_sent_back(server: DatabaseServer, checkpoint: str) -> None:
    """The intent tells connection and second; the same statement by anyone else is the origin's own."""
    a = Session(server)
    (connection_id,) = a.run("SELECT CONNECTION_ID()")[0]
    a.run(
        ANY_COLUMNS,
        f"REPLACE INTO {META_SCHEMA}.ddl_intent (flow,stream,sequence,event_index,gtid,site,connection_id,statement_time,state,"
        f"statement,started_us) VALUES ('f','main',1,0,'g','west',{connection_id},1700000000,'begun','',1)",
        "SET timestamp=1700000000",
        "ALTER TABLE shop.item ADD p INT",
        "SET timestamp=DEFAULT",
    )
    a.close()
    execute(server, "ALTER TABLE shop.item ADD q INT")
    (got,) = read(server, checkpoint, make_rules=replicated(server)).transactions
    assert b"ADD q INT" in got.events[0].payload
