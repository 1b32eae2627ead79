"""A pair that writes at both sites: nothing circulates, and both end equal."""

from __future__ import annotations

import random
import time

import pymysql
import pytest
import yaml
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from dev import DatabaseServer
from replicator.config import load_config
from tests.faults.binlogs import Judge
from tests.faults.hot_rows import CONFLICTS, HotRows, create_tables, shipped
from tests.harness import Pair, Pairs, await_, execute, seed_of_run, until_next_second

pytestmark = pytest.mark.servers


def both_ways(pairs: Pairs, flavor: str, **options: object) -> Pair:
    """A running pair that writes at both sites."""
    return pairs(flavor, flavor, mode="bidirectional", options={"conflicts": CONFLICTS, **options})


def settle(pair: Pair, timeout: float = 60) -> None:
    """Everything written so far has arrived at the other side, and what that caused too."""
    for back in (False, True, False):
        pair.settle(timeout, back=back)


def counter(pair: Pair, site: str, name: str) -> float:
    """A counter of the site's applier."""
    (applier,) = [w for w in pair.workers(site) if w["role"] == "applier"]
    return float(applier["counters"].get(name, 0))


def test_nothing_echoes(pairs: Pairs, flavor: str) -> None:
    """Topics and binlogs hold what each site's own clients did, once: under load, DDL, a large transaction, restarts."""
    options = {"conflicts": CONFLICTS, "source": {"record_bytes": 65536}, "apply": {"batch_bytes": 100_000}}
    name, other = f"echo_{flavor}", f"echo_{flavor}_2"
    pair = pairs(flavor, flavor, mode="bidirectional", name=name, schemas=[name, other], options=options)
    create_tables(pair.origin, pair.name, 50, ["stock"])
    execute(pair.origin, f"CREATE TABLE {name}.near (id INT PRIMARY KEY)", f"CREATE TABLE {other}.far (id INT PRIMARY KEY)")
    pair.start()
    settle(pair)
    before = shipped(pair), shipped(pair, back=True)
    judge = Judge(pair)
    filler = "(" + " UNION ALL ".join(["SELECT 1 AS x"] * 20) + ")"
    large = f"SELECT {{}}, REPEAT('x', 100) FROM {filler} a, {filler} b, {filler} c"
    with (
        HotRows(pair.origin, pair.name, rows=50, tables=["stock"], writers=2, seed=1) as east,
        HotRows(pair.target, pair.name, rows=50, tables=["stock"], writers=2, seed=2) as west,
    ):
        execute(pair.origin, f"CREATE TABLE {pair.name}.east_made (id INT PRIMARY KEY AUTO_INCREMENT, site INT, t TEXT)")
        execute(pair.target, f"CREATE TABLE {pair.name}.west_made (id INT PRIMARY KEY AUTO_INCREMENT, site INT, t TEXT)")
        execute(pair.origin, f"ALTER TABLE {pair.name}.stock ADD COLUMN more INT NOT NULL DEFAULT 5")
        execute(pair.origin, f"INSERT INTO {pair.name}.east_made (site, t) {large.format(1)}")
        execute(pair.target, f"INSERT INTO {pair.name}.west_made (site, t) {large.format(2)}")
        for server, first in ((pair.origin, 1), (pair.target, 11)):  # by sessions that are in another database, or in none
            execute(server, "USE mysql", f"INSERT INTO {name}.near VALUES ({first})", f"INSERT INTO {other}.far VALUES ({first})")
            execute(server, f"INSERT INTO {other}.far VALUES ({first + 1})")
        for site in ("east", "west"):
            pair.restart(site)
        pair.kill_daemon("west")
        pair.start("west")
    settle(pair)
    forth, back = shipped(pair), shipped(pair, back=True)
    assert forth["stock"] - before[0]["stock"] == east.committed["stock"] > 20
    assert back["stock"] - before[1]["stock"] == west.committed["stock"] > 20
    assert [shipped_there[table] for shipped_there in (forth, back) for table in ("near", "far")] == [1, 2, 1, 2]
    assert (forth["east_made"], back["east_made"]) == (1, 0)
    assert (forth["west_made"], back["west_made"]) == (0, 1)
    at_east, at_west = judge.nothing_circulates(statements=(2, 1))
    for writers, here, there in ((east, at_east, at_west), (west, at_west, at_east)):
        assert here.local["stock"] == writers.committed["stock"]
        assert 0 < there.applied["stock"] <= writers.committed["stock"]
    for held in (at_east, at_west):
        assert (held.local["near"], held.local["far"]) == (1, 2)
        assert (held.applied["near"], held.applied["far"]) in ((1, 1), (1, 2))
    assert (at_east.local["east_made"], at_east.applied["east_made"]) == (1, 0)
    assert (at_west.local["east_made"], at_west.applied["east_made"]) == (0, 1)
    assert pair.differences() == []
    assert sum_of(pair.origin, pair.name) == sum_of(pair.target, pair.name) == east.added + west.added


def sum_of(server: DatabaseServer, schema: str) -> int:
    """All of ``stock``."""
    return int(execute(server, f"SELECT SUM(n) FROM {schema}.stock")[0][0])


def converge(pair: Pair, *, rows: int, seconds: float, writers: int, kills: int, tables: list[str], seed: int) -> None:
    """Write at both sites on the same rows, kill workers meanwhile: both end equal, sums are exact, nothing circulates."""
    create_tables(pair.origin, pair.name, rows, tables)
    pair.start()
    settle(pair)
    before = shipped(pair), shipped(pair, back=True)
    judge = Judge(pair)
    rnd = random.Random(seed)
    settings = {"rows": rows, "tables": tables, "writers": writers}
    with (
        HotRows(pair.origin, pair.name, seed=2 * seed, **settings) as east,  # type: ignore[arg-type]
        HotRows(pair.target, pair.name, seed=2 * seed + 1, **settings) as west,  # type: ignore[arg-type]
    ):
        for _ in range(kills):
            time.sleep(seconds / (kills + 1))
            pair.kill(rnd.choice(("east", "west")), rnd.choice(("source", "applier")))
        time.sleep(seconds / (kills + 1))
    settle(pair, 60 + 3 * seconds)
    assert pair.differences() == [], f"seed {seed}"
    after = shipped(pair), shipped(pair, back=True)
    for table in tables:
        assert after[0][table] - before[0][table] == east.committed[table] > 5
        assert after[1][table] - before[1][table] == west.committed[table] > 5
    for writers, binlog in zip((east, west), judge.nothing_circulates(), strict=True):
        assert {table: binlog.local[table] for table in tables} == writers.committed
    if "stock" in tables:
        assert sum_of(pair.origin, pair.name) == east.added + west.added
    assert execute(pair.origin, f"SELECT COUNT(*) FROM replicator.conflict_log WHERE flow LIKE '{pair.name}.%'")[0][0] > 0


def test_both_sites_end_equal(pairs: Pairs, flavor: str) -> None:
    """By timestamp column and by difference, with kills."""
    converge(both_ways(pairs, flavor), rows=40, seconds=6, writers=2, kills=2, tables=["item", "stock"], seed=seed_of_run())


def test_commit_times_settle_without_a_column(pairs: Pairs, flavor: str) -> None:
    """Keys used again, key changes, contested unique values, deletes: the sites know what the other one had not seen."""
    pair = both_ways(pairs, flavor)
    converge(pair, rows=40, seconds=6, writers=2, kills=2, tables=["note"], seed=seed_of_run())
    assert counter(pair, "east", "fallbacks") + counter(pair, "west", "fallbacks") > 0


def test_two_spellings_of_one_key_are_one_row(pairs: Pairs, flavor: str) -> None:
    """Both sites insert what their collation takes for the same key: the later one stays at both, and not each the other's."""
    pair = both_ways(pairs, flavor, conflicts={**CONFLICTS, "default": "latest_timestamp"})
    columns = "k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT"
    execute(pair.origin, f"CREATE TABLE {pair.name}.spelt ({columns})")
    pair.start()
    settle(pair)
    pair.stop()
    names = ["one", "two", "drei", "élan"]
    execute(pair.origin, *[f"INSERT INTO {pair.name}.spelt VALUES ('{name}', 1)" for name in names])
    execute(pair.target, *[f"INSERT INTO {pair.name}.spelt VALUES ('{name.upper()}', 2)" for name in names])
    pair.start()
    settle(pair)
    assert pair.differences() == []
    assert len(execute(pair.target, f"SELECT * FROM {pair.name}.spelt")) == len(names)


def an_hour_ahead(flavor: str) -> str:
    """What makes a session commit in an hour."""
    if flavor == "mysql":
        return "SET SESSION original_commit_timestamp=(UNIX_TIMESTAMP()+3600)*1000000"
    return "SET SESSION timestamp=UNIX_TIMESTAMP()+3600"


def test_a_commit_in_the_future_is_not_compared(pairs: Pairs, flavor: str) -> None:
    """An origin whose clock is ahead would win everything: the flow halts before the change, and says by how much."""
    pair = both_ways(pairs, flavor, conflicts={**CONFLICTS, "clock_offset_ms_max": 5000})
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    settle(pair)
    pair.stop("west")
    execute(pair.origin, an_hour_ahead(flavor), f"UPDATE {pair.name}.note SET text='east' WHERE id=1")
    execute(pair.target, f"UPDATE {pair.name}.note SET text='west' WHERE id=1")
    pair.start("west", ready=False)
    error = pair.wait_stopped("west", "applier")
    assert "in the target's future, more than clock_offset_ms_max" in error["what"]
    assert execute(pair.target, f"SELECT text FROM {pair.name}.note WHERE id=1") == [("west",)]


def test_clocks_too_far_apart_settle_nothing(pairs: Pairs, flavor: str) -> None:
    """A heartbeat from an hour ahead says so; what needs commit times halts, what fits goes on."""
    pair = both_ways(pairs, flavor, conflicts={**CONFLICTS, "clock_offset_ms_max": 30_000})
    create_tables(pair.origin, pair.name, 3, ["note", "stock"])
    pair.start()
    settle(pair)
    execute(pair.origin, an_hour_ahead(flavor), f"UPDATE replicator.heartbeat SET time_us=time_us+1 WHERE flow='{pair.flow}'")
    execute(pair.origin, f"UPDATE {pair.name}.stock SET n=n+1 WHERE id=1", f"UPDATE {pair.name}.note SET text='x' WHERE id=1")
    pair.settle()
    assert execute(pair.target, f"SELECT text FROM {pair.name}.note WHERE id=1") == [("x",)]
    execute(pair.target, "SET sql_log_bin=0", f"UPDATE {pair.name}.note SET text='west' WHERE id=2")
    execute(pair.origin, f"UPDATE {pair.name}.note SET text='east' WHERE id=2")
    error = pair.wait_stopped("west", "applier")
    assert "clocks are 3" in error["what"] and "ms apart, more than clock_offset_ms_max" in error["what"]
    assert execute(pair.target, f"SELECT text FROM {pair.name}.note WHERE id=2") == [("west",)]


def test_nothing_is_settled_before_the_clocks_were_compared(pairs: Pairs, flavor: str) -> None:
    """A backlog whose first change conflicts waits for a heartbeat that comes only then, and goes by what that says."""
    conflicts = {**CONFLICTS, "clock_offset_ms_max": 30_000}
    pair = both_ways(pairs, flavor, conflicts=conflicts, heartbeat_seconds=3600)
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    settle(pair)
    pair.stop("west")
    beat = f"UPDATE replicator.heartbeat SET time_us=time_us+1 WHERE flow='{pair.flow}'"
    execute(pair.origin, beat)  # that one lies in the topic, and may have lain there for long
    execute(pair.origin, f"UPDATE {pair.name}.note SET text='east' WHERE id=1")
    execute(pair.target, f"UPDATE {pair.name}.note SET text='west' WHERE id=1")
    pair.start("west", ready=False)

    def met() -> bool:
        """Whether the conflict is being looked at, or was decided."""
        with pair.target.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT 1 FROM {pair.name}.note WHERE id=1 FOR UPDATE NOWAIT")
            except pymysql.MySQLError:
                return True
        return decided() > 0

    def decided() -> int:
        return int(execute(pair.target, f"SELECT COUNT(*) FROM replicator.conflict_log WHERE flow='{pair.flow}'")[0][0])

    def stopped() -> bool:
        execute(pair.origin, an_hour_ahead(flavor), beat)
        return bool(pair.stopped())

    pair.until(met, 60, "the conflict")
    assert decided() == 0
    await_("what that heartbeat says", stopped)
    assert "clocks are 3" in pair.wait_stopped("west", "applier")["what"]
    assert execute(pair.target, f"SELECT text FROM {pair.name}.note WHERE id=1") == [("west",)]


def test_a_sites_own_statement_changes_what_is_written_there(pairs: Pairs, flavor: str) -> None:
    """Its applier knows a column that came so; and a row made before the statement arrived is not written by other labels."""
    pair = both_ways(pairs, flavor, conflicts={**CONFLICTS, "default": "latest_timestamp"})
    table = f"{pair.name}.sized"
    execute(pair.origin, f"CREATE TABLE {table} (id INT PRIMARY KEY, size ENUM('x', 'y'))")
    pair.start()
    execute(pair.target, f"INSERT INTO {table} VALUES (1, 'y')")
    settle(pair)
    execute(pair.origin, f"ALTER TABLE {table} ADD COLUMN more INT")
    pair.settle()
    execute(pair.target, f"INSERT INTO {table} VALUES (2, 'y', 2)")
    settle(pair)
    assert pair.differences() == []
    assert pair.command("pause", "--pair", pair.name, "--flow", "east-west").returncode == 0
    pair.until(lambda: any(worker["state"] == "paused" for worker in pair.workers("west")), 15, "the applier does not pause")
    execute(pair.origin, f"ALTER TABLE {table} MODIFY size ENUM('y', 'x', 'z')")
    execute(pair.target, f"INSERT INTO {table} VALUES (3, 'y', 3)")
    error = pair.wait_stopped("east", "applier")
    assert "other members" in error["what"]
    assert execute(pair.origin, f"SELECT id, size FROM {table} ORDER BY id") == [(1, "y"), (2, "y")]


def test_a_deleted_row_is_remembered_until_the_origin_knows(pairs: Pairs, flavor: str) -> None:
    """An older change finds no row, and none comes back; once the delete is known there, the key may be used again."""
    pair = both_ways(pairs, flavor)
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    settle(pair)
    pair.stop()
    execute(pair.origin, f"UPDATE {pair.name}.note SET text='older' WHERE id=1")
    until_next_second(pair.origin)
    execute(pair.target, f"DELETE FROM {pair.name}.note WHERE id=1")
    pair.start()
    settle(pair)
    note = f"SELECT text FROM {pair.name}.note WHERE id=1"
    assert execute(pair.origin, note) == execute(pair.target, note) == []
    execute(pair.origin, f"INSERT INTO {pair.name}.note VALUES (1, 1, 'again')")
    settle(pair)
    assert execute(pair.target, note) == [("again",)]
    assert pair.differences() == []


def test_an_idle_origin_acknowledges_too(pairs: Pairs, flavor: str) -> None:
    """It only applies: its heartbeats say how far, and the target need not remember all that it ever wrote."""
    pair = both_ways(pairs, flavor)
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    settle(pair)
    execute(pair.target, "SET autocommit=1", *[f"UPDATE {pair.name}.note SET text='{i}' WHERE id=1" for i in range(20)])
    sequence = f"SELECT MAX(sequence) FROM replicator.checkpoint WHERE flow='{pair.name}.west-east'"
    note = f"SELECT text FROM {pair.name}.note WHERE id=1"
    pair.until(lambda: execute(pair.origin, note) == [("19",)], 30, "west's changes at east")
    ((written,),) = execute(pair.origin, sequence)
    seen = f"SELECT MAX(seen) FROM replicator.checkpoint WHERE flow='{pair.flow}'"

    def acknowledged() -> bool:
        pair.restart("west")  # which writes down how far it is
        return bool(execute(pair.target, seen)[0][0] >= written)

    pair.until(acknowledged, 60, "the acknowledgement by a heartbeat")


def test_local_changes_lost_from_the_topic_are_not_guessed(pairs: Pairs, flavor: str) -> None:
    """Retention took what the origin had not seen: its change is not applied as if nobody had written here."""
    pair = both_ways(pairs, flavor)
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    settle(pair)
    pair.stop("east")
    execute(pair.target, f"UPDATE {pair.name}.note SET text='west' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.note SET text='east' WHERE id=1")
    (back,) = [s for s in load_config(pair.config()).streams(pair=pair.name) if s.id.origin == "west"]
    pair.until(lambda: shipped(pair, back=True)["note"] == 1, 30, "west's change in the topic")
    pair.stop("west")
    topic = TopicPartition(back.id.topic, 0)
    admin = KafkaAdminClient(bootstrap_servers=pair.kafka.bootstrap)
    consumer = KafkaConsumer(bootstrap_servers=pair.kafka.bootstrap, group_id=None)
    admin.delete_records({topic: consumer.end_offsets([topic])[topic]})
    consumer.close()
    admin.close()
    pair.start(ready=False)
    error = pair.wait_stopped("west", "applier")
    assert "who wrote a row last cannot be known" in error["what"] and "retention" in error["remedy"]
    assert execute(pair.target, f"SELECT text FROM {pair.name}.note WHERE id=1") == [("west",)]


def test_a_difference_that_is_in_no_binlog_is_settled_by_the_rows(pairs: Pairs, flavor: str) -> None:
    """The origin knew all that the streams tell, and yet the row is another: columns and priorities decide, no such knowledge."""
    tables = {"*.item": {"policy": "latest_timestamp", "column": "at"}, "*.note": "site_priority"}
    policies = {table: {"default": policy} for table, policy in tables.items()}
    pair = both_ways(pairs, flavor, conflicts={**CONFLICTS, "tables": policies})
    create_tables(pair.origin, pair.name, 4, ["item", "note"])
    pair.start()
    settle(pair)
    unlogged = "SET sql_log_bin=0"
    execute(pair.target, unlogged, f"UPDATE {pair.name}.item SET b='later', at='2099-01-01' WHERE id=1")
    execute(pair.target, unlogged, f"UPDATE {pair.name}.item SET b='earlier', at='2001-01-01' WHERE id=2")
    execute(pair.origin, f"UPDATE {pair.name}.item SET b='east', at=NOW(6) WHERE id BETWEEN 1 AND 3")
    execute(pair.target, unlogged, f"UPDATE {pair.name}.note SET text='second' WHERE id=1")
    execute(pair.origin, unlogged, f"UPDATE {pair.name}.note SET text='first' WHERE id=2")
    execute(pair.origin, f"UPDATE {pair.name}.note SET text='east' WHERE id=1")
    execute(pair.target, f"UPDATE {pair.name}.note SET text='west' WHERE id=2")
    settle(pair)
    there = execute(pair.target, f"SELECT b FROM {pair.name}.item WHERE id BETWEEN 1 AND 3 ORDER BY id")
    assert there == [("later",), ("east",), ("east",)]
    assert execute(pair.target, f"SELECT text FROM {pair.name}.note WHERE id=1") == [("east",)]
    ((here, there),) = [[execute(s, f"SELECT text FROM {pair.name}.note WHERE id=2")[0][0] for s in (pair.origin, pair.target)]]
    assert (here, there) == ("first", "west"), "both have the same priority here, and east is first by name"


def test_a_flow_started_anew_alone_stops(pairs: Pairs, flavor: str) -> None:
    """What the other site has seen is of the former stream: the changes of the new one would count as seen. Both together may."""
    pair = both_ways(pairs, flavor)
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    settle(pair)
    pair.stop()
    forget_stream(pair, "west", "east")
    pair.start(ready=False)
    error = pair.wait_stopped("west", "source")
    assert "would begin anew, and east knew" in error["what"] and "both flows" in error["remedy"]
    pair.stop()
    forget_stream(pair, "east", "west")
    configure(pair, start="latest")
    pair.start()
    execute(pair.target, f"UPDATE {pair.name}.note SET text='west' WHERE id=1")
    settle(pair)
    assert pair.differences() == []


def forget_stream(pair: Pair, origin: str, target: str) -> None:
    """What docs/WHAT-IF.md says of starting a stream anew."""
    flow = f"{pair.name}.{origin}-{target}"
    admin = KafkaAdminClient(bootstrap_servers=pair.kafka.bootstrap)
    topics = [f"replicator.{flow}.main{part}" for part in ("", ".ack", ".control")]
    admin.delete_topics(topics)
    await_("the topics to go", lambda: all(t["error_code"] == 3 for t in admin.describe_topics(topics)))
    admin.close()
    execute(pair.servers[target], f"DELETE FROM replicator.checkpoint WHERE flow='{flow}' AND stream='main'")
    execute(pair.servers[origin], f"DELETE FROM replicator.heartbeat WHERE flow='{flow}' AND stream='main'")


def configure(pair: Pair, **settings: object) -> None:
    """Other settings of the pair, while no daemon runs."""
    document = yaml.safe_load(pair.config().read_text())
    document["pairs"][0].update(settings)
    pair.config().write_text(yaml.safe_dump(document))


def test_a_pair_that_comes_to_write_both_ways_knows_what_was_seen(pairs: Pairs, flavor: str) -> None:
    """The first change made at the former target is made in knowledge of what was applied there, and not beaten by it."""
    pair = pairs(flavor, flavor, options={"conflicts": {"tables": {"*.note": "site_priority"}}})
    create_tables(pair.origin, pair.name, 3, ["note"])
    pair.start()
    execute(pair.origin, f"UPDATE {pair.name}.note SET text='east' WHERE id=1")
    pair.settle()
    pair.stop()
    configure(pair, mode="bidirectional")
    pair.start()
    execute(pair.target, f"UPDATE {pair.name}.note SET text='west' WHERE id=1")
    pair.settle(back=True)
    assert execute(pair.origin, f"SELECT text FROM {pair.name}.note WHERE id=1") == [("west",)]
    settle(pair)
    assert pair.differences() == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_four_writers_a_side_for_a_minute(pairs: Pairs, flavor: str) -> None:
    """A thousand rows, every way of settling at once, a kill every few seconds."""
    tables = ["item", "stock", "note"]
    converge(both_ways(pairs, flavor), rows=1000, seconds=60, writers=4, kills=8, tables=tables, seed=seed_of_run())
