"""Reading real binlogs: every committed transaction comes out once, whole and in order."""

from __future__ import annotations

import pytest

from dev import DatabaseServer
from replicator.errors import SourceError
from replicator.filter import TableFilter
from replicator.gtid import parse_position
from tests.harness import Farm, execute
from tests.integration.source_reading import position, read

pytestmark = pytest.mark.servers


@pytest.fixture
def fresh(server: DatabaseServer) -> str:
    """An empty schema `shop` with a table; returns the position after it."""
    execute(
        server,
        "DROP DATABASE IF EXISTS shop",
        "CREATE DATABASE shop",
        "CREATE TABLE shop.item (id INT PRIMARY KEY, name VARCHAR(40))",
        "CREATE TABLE shop.other (id INT PRIMARY KEY)",
    )
    return position(server)


def test_every_transaction_comes_once_and_in_order(server: DatabaseServer, fresh: str) -> None:
    """Three transactions, one of them DDL: their GTIDs add up to exactly what the server committed."""
    execute(server, "INSERT INTO shop.item VALUES (1,'a'),(2,'b')", "UPDATE shop.item SET name='c' WHERE id=1")
    execute(server, "ALTER TABLE shop.item ADD x INT")
    execute(server, "DELETE FROM shop.item WHERE id=2")
    got = [(done.gtid, done.types) for done in read(server, fresh).transactions]
    rows = [30, 31, 32] if server.flavor == "mysql" else [23, 24, 25]
    assert [types for _, types in got] == [rows[:2], [2], rows[2:]]
    seen = parse_position(server.flavor, fresh)
    for gtid, _ in got:
        assert not seen.contains(gtid)
        seen.add(gtid)
    assert seen.covers(position(server))


def test_reading_from_the_very_beginning_works(farm: Farm, flavor: str) -> None:
    """An empty position means all binlogs; of a server of its own, because other tests purge theirs."""
    server = farm.fresh_database(flavor, "genesis")
    execute(server, "CREATE DATABASE IF NOT EXISTS genesis", "CREATE TABLE IF NOT EXISTS genesis.a (id INT PRIMARY KEY)")
    got = [event.payload for done in read(server, "", TableFilter(("genesis.*",))).transactions for event in done.events]
    assert b"CREATE TABLE IF NOT EXISTS genesis.a" in got[1]
    server.destroy()


def test_unwanted_tables_leave_the_transaction_but_not_its_gtid(server: DatabaseServer, fresh: str) -> None:
    """The filter drops rows and their table maps; the position still moves over the transaction."""
    execute(server, "INSERT INTO shop.other VALUES (1)")
    execute(server, "INSERT INTO shop.item VALUES (1,'a')", "INSERT INTO shop.other VALUES (2)")
    execute(server, "INSERT INTO shop.other VALUES (3)")
    reading = read(server, fresh, TableFilter(("shop.item",)))
    (done,) = reading.transactions
    assert (len(done.events), len(done.table_maps)) == (1, 1)
    assert parse_position(server.flavor, str(reading.assembler.position)).covers(position(server))


def test_a_table_seen_again_costs_no_second_map(server: DatabaseServer, fresh: str) -> None:
    """Maps are kept by content: two transactions on one table share one; after ALTER there is another."""
    execute(server, "INSERT INTO shop.item VALUES (1,'a')")
    execute(server, "INSERT INTO shop.item VALUES (2,'b')")
    execute(server, "ALTER TABLE shop.item ADD y INT")
    execute(server, "INSERT INTO shop.item VALUES (3,'c',3)")
    *_, last = read(server, fresh).transactions
    assert len(last.table_maps) == 2
    assert [event.table for event in last.events] == [1]


def test_a_row_larger_than_one_packet_arrives_whole(server: DatabaseServer, fresh: str) -> None:
    """A value of 20 MB crosses the protocol's 16 MiB packets."""
    execute(
        server,
        "CREATE TABLE shop.big (id INT PRIMARY KEY, b LONGBLOB)",
        "SET max_statement_time=0" if server.flavor == "mariadb" else "DO 0",
        "INSERT INTO shop.big VALUES (1, REPEAT('x', 20000000))",
    )
    *_, last = read(server, fresh).transactions
    assert last.large
    assert last.events[0].payload.count(b"x") == 20_000_000


def test_a_compressed_transaction_is_not_lost(server: DatabaseServer, fresh: str) -> None:
    """Any session may switch on compression of transactions (MySQL): the rows come as if it had not."""
    if server.flavor != "mysql":
        pytest.skip("MariaDB has no TRANSACTION_PAYLOAD events")
    execute(server, "SET SESSION binlog_transaction_compression=ON", "INSERT INTO shop.item VALUES (1, REPEAT('z', 40))")
    (done,) = read(server, fresh).transactions
    (row,) = done.events
    assert row.type == 30
    assert b"z" * 40 in row.payload


@pytest.mark.parametrize("lead", ["", "/* from the app */ ", "# note\n", "/*!50000 "])
def test_statement_format_stops_and_names_the_gtid(server: DatabaseServer, fresh: str, lead: str) -> None:
    """A session that logs statements would lose rows: the flow stops there, with the remedy."""
    tail = " */" if lead.startswith("/*!") else ""
    execute(server, "SET SESSION binlog_format=STATEMENT", f"{lead}INSERT INTO shop.item VALUES (1,'a'){tail}")
    with pytest.raises(SourceError, match="statement instead of rows") as caught:
        read(server, fresh)
    gtid = parse_position(server.flavor, fresh).missing(position(server))
    assert gtid.replace("-", "")[:8] in caught.value.where.replace("-", "")
    assert "binlog_format=ROW" in caught.value.remedy and "start the stream anew behind it" in caught.value.remedy


def test_a_table_versioned_by_transaction_stops_and_is_named(server: DatabaseServer, fresh: str) -> None:
    """MariaDB logs its changes as statements, whatever binlog_format says: only leaving it out helps."""
    if server.flavor != "mariadb":
        pytest.skip("MySQL has no such tables")
    columns = "id INT, s BIGINT UNSIGNED AS ROW START, e BIGINT UNSIGNED AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)"
    execute(server, f"CREATE TABLE shop.past ({columns}) WITH SYSTEM VERSIONING", "INSERT INTO shop.past (id) VALUES (1)")
    with pytest.raises(SourceError, match=r"INSERT statement instead of rows of shop\.past") as caught:
        read(server, fresh)
    assert "exclude it" in caught.value.remedy


def test_an_alter_in_two_phases_stops(server: DatabaseServer, fresh: str) -> None:
    """MariaDB logs it as it begins, when nobody knows whether it ends well."""
    if server.flavor != "mariadb":
        pytest.skip("MariaDB only")
    execute(server, "SET SESSION binlog_alter_two_phase=ON", "ALTER TABLE shop.item ADD COLUMN more INT")
    with pytest.raises(SourceError, match="two phases") as caught:
        read(server, fresh)
    assert "binlog_alter_two_phase=OFF" in caught.value.remedy


def test_commit_times_are_those_of_the_server(server: DatabaseServer, fresh: str) -> None:
    """MySQL's commit time has microseconds, MariaDB's whole seconds; both lie around the commit."""
    clock = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    before = int(execute(server, clock)[0][0])
    execute(server, "INSERT INTO shop.item VALUES (1,'a')")
    after = int(execute(server, clock)[0][0])
    (done,) = read(server, fresh).transactions
    slack = 0 if server.flavor == "mysql" else 1_000_000
    assert before - slack <= done.commit_time_us <= after


def test_a_damaged_event_is_noticed(server: DatabaseServer, fresh: str) -> None:
    """One changed byte in an event stops the flow instead of shipping another row."""
    execute(server, "INSERT INTO shop.item VALUES (1,'unmistakable')")

    def damage(piece: bytes) -> bytes:
        return piece.replace(b"unmistakable", b"unmistakeble")

    with pytest.raises(SourceError, match="checksum"):
        read(server, fresh, before_feed=damage)


def test_checksums_may_be_switched_off_and_on(server: DatabaseServer, fresh: str) -> None:
    """Each binlog file says how its events are checked; the rows come either way."""
    try:
        execute(server, "SET GLOBAL binlog_checksum=NONE", "INSERT INTO shop.item VALUES (1,'a')")
        execute(server, "SET GLOBAL binlog_checksum=CRC32", "INSERT INTO shop.item VALUES (2,'b')")
        execute(server, "SET GLOBAL binlog_checksum=NONE", "INSERT INTO shop.item VALUES (3,'c')")
        payloads = [event.payload for done in read(server, fresh).transactions for event in done.events]
        assert [payload[-1:] for payload in payloads] == [b"a", b"b", b"c"]
    finally:
        execute(server, "SET GLOBAL binlog_checksum=CRC32")
