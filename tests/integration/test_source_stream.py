"""The whole source on real servers: binlog to Kafka, taking over, going on, giving up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from msgspec.structs import replace

from dev import DatabaseServer
from replicator import meta
from replicator.context import now_us
from replicator.control import Control
from replicator.errors import ConfigError, FencedError, HistoryLostError, SourceError
from replicator.model import Role, State
from replicator.source import origin
from replicator.stream.acks import Ack, AckPublisher
from replicator.stream.producer import RecordProducer
from replicator.stream.reader import Heartbeat, LargeAbort, RecordEnd
from replicator.stream.wire import Kind, pack_body, pack_record, unpack_header
from tests.harness import Farm, await_, execute
from tests.integration.source_reading import position
from tests.integration.source_running import Running, fresh_shop, got, items, records, stream_config
from tests.integration.test_source_events import ids

pytestmark = pytest.mark.servers

UNKNOWN = "abababab-abab-abab-abab-abababababab"
"""A server that there is not."""


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch, server: DatabaseServer) -> None:
    monkeypatch.setenv("TEST_PASSWORD", server.password)


@pytest.fixture
def make(server: DatabaseServer, farm: Farm, tmp_path: Path) -> Callable[..., Any]:
    """Makes a stream of its own: ``make(start=...)``. Default start: latest."""
    fresh_shop(server)
    return lambda **pair: stream_config(server, farm.kafka(), tmp_path, **{"start": "latest", **pair})


def insert(server: DatabaseServer, *numbers: int) -> None:
    """Each in a transaction of its own."""
    for number in numbers:
        execute(server, f"INSERT INTO shop.item VALUES ({number}, 'x')")


def all_ids(server: DatabaseServer, stream: Any) -> list[list[int]]:
    return [ids(server, t) for t in got(stream)]


def test_every_transaction_comes_once_over_restarts(server: DatabaseServer, make: Any) -> None:
    """Stopped and started twice under changes: sequences without gaps, an epoch each, nothing twice."""
    stream = make()
    with Running(stream).await_streaming() as source:
        insert(server, 1, 2)
        source.await_acknowledged(2)
    insert(server, 3)
    with Running(stream).await_streaming() as source:
        insert(server, 4)
        source.await_acknowledged(4)
        assert source.reporter.epoch == 2
        assert source.reporter.stages["read"].sequence == 4
    with Running(stream).await_streaming():
        pass
    assert all_ids(server, stream) == [[1], [2], [3], [4]]
    ends = [item for item in items(stream) if isinstance(item, RecordEnd)]
    assert (ends[-1].state.epoch, ends[-1].state.sequence) == (3, 4)


def test_latest_is_pinned_at_the_first_start(server: DatabaseServer, make: Any) -> None:
    """What is committed between the first start and the next is not lost, though nothing was shipped before."""
    insert(server, 1)
    stream = make()
    with Running(stream).await_streaming():
        pass
    insert(server, 2)
    with Running(stream).await_streaming() as source:
        source.await_acknowledged(1)
    assert all_ids(server, stream) == [[2]]


def test_a_gtid_set_or_a_file_and_position_begin_there(server: DatabaseServer, make: Any) -> None:
    """MariaDB turns a file and position into a GTID position by itself."""
    insert(server, 1)
    start = position(server)
    if server.flavor == "mariadb":
        file, at = execute(server, "SHOW MASTER STATUS")[0][:2]
        start = f"{file}:{at}"
    insert(server, 2)
    stream = make()
    object.__setattr__(stream, "start", start)
    with Running(stream).await_streaming() as source:
        source.await_acknowledged(1)
    assert all_ids(server, stream) == [[2]]


def test_a_start_that_is_none_of_the_origins_is_not_pinned(server: DatabaseServer, make: Any) -> None:
    """The other flavor's form, or what the origin never had; nothing is written, so that the right one begins the stream."""
    ahead = {"mysql": f"{UNKNOWN}:1-5", "mariadb": "77-1-99"}
    stream = make()
    for start, words in (
        (ahead["mariadb" if server.flavor == "mysql" else "mysql"], "is no GTID position"),
        (f"{position(server)},{ahead[server.flavor]}", f"never had {ahead[server.flavor]}"),
    ):
        object.__setattr__(stream, "start", start)
        with Running(stream) as source:
            error = source.ended()
        assert isinstance(error, ConfigError) and words in error.what and "replicator.yaml:" in error.where
        assert records(stream) == []
    object.__setattr__(stream, "start", position(server))
    with Running(stream).await_streaming() as source:
        insert(server, 1)
        source.await_acknowledged(1)
    assert all_ids(server, stream) == [[1]]


@pytest.mark.parametrize(
    ("variable", "bad", "good"), [("binlog_row_metadata", "MINIMAL", "FULL"), ("binlog_row_image", "MINIMAL", "FULL")]
)
def test_server_settings_that_lose_data_stop(
    server: DatabaseServer, make: Any, variable: str, bad: str, good: str
) -> None:
    """The error names the variable and the statement that mends it."""
    execute(server, f"SET GLOBAL {variable}={bad}")
    try:
        with Running(make()) as source:
            error = source.ended()
    finally:
        execute(server, f"SET GLOBAL {variable}={good}")
    assert isinstance(error, SourceError)
    assert variable in error.what
    assert f"SET GLOBAL {variable}={good}" in error.remedy


def test_statements_stop_with_everything_before_them_shipped(server: DatabaseServer, make: Any) -> None:
    """The position stays before the statement: a new start stops there again."""
    stream = make()
    with Running(stream).await_streaming() as source:
        execute(server, "INSERT INTO shop.item VALUES (1,'a')")
        execute(server, "SET SESSION binlog_format=STATEMENT", "UPDATE shop.item SET name='b'")
        assert isinstance(source.ended(), SourceError)
    with Running(stream) as source:
        assert "statement instead of rows" in str(source.ended())
    assert all_ids(server, stream) == [[1]]


@pytest.mark.parametrize("what", ["topic", "all"])
def test_a_lost_topic_is_not_taken_for_a_new_stream(server: DatabaseServer, farm: Farm, make: Any, what: str) -> None:
    """Control topic or the origin's heartbeat row tell that there was a history."""
    stream = make()
    with Running(stream).await_streaming() as source:
        insert(server, 1)
        source.await_acknowledged(1)
    admin = KafkaAdminClient(bootstrap_servers=farm.kafka().bootstrap)
    topics = [stream.id.topic] + ([stream.id.control_topic] if what == "all" else [])
    admin.delete_topics(topics)
    await_("deleted", lambda: all(t["error_code"] == 3 for t in admin.describe_topics(topics)))
    admin.close()
    with Running(stream) as source:
        error = source.ended()
    assert isinstance(error, HistoryLostError)
    assert "start the stream anew at the applier's position" in error.remedy


def test_a_topic_that_is_lost_while_the_source_runs(server: DatabaseServer, farm: Farm, make: Any) -> None:
    """It ends soon, and says that the history is gone; it does not wait for a delivery that never comes."""
    stream = make()
    with Running(stream).await_streaming() as source:
        insert(server, 1)
        source.await_acknowledged(1)
        admin = KafkaAdminClient(bootstrap_servers=farm.kafka().bootstrap)
        admin.delete_topics([stream.id.topic])
        admin.close()
        insert(server, 2)
        assert isinstance(source.ended(60), HistoryLostError)


def test_a_source_that_was_superseded_gives_up(server: DatabaseServer, make: Any) -> None:
    """The first notices at its next record; the stream has everything once, by the second."""
    stream = make()
    with Running(stream).await_streaming() as first:
        insert(server, 1)
        first.await_acknowledged(1)
        with Running(stream).await_streaming() as second:
            insert(server, 2)
            second.await_acknowledged(2)
            assert isinstance(first.ended(), FencedError)
            insert(server, 3)
            second.await_acknowledged(3)
            assert second.error is None
    assert all_ids(server, stream) == [[1], [2], [3]]


def test_heartbeats_tell_that_the_origin_lives(server: DatabaseServer, make: Any) -> None:
    """Their time is the commit time of a row at the origin; unwanted transactions move the position without a sequence."""
    stream = make(heartbeat_seconds=0.2)
    with Running(stream).await_streaming():
        execute(server, "INSERT INTO shop.item VALUES (1,'a')")
        before = now_us()
        await_("a heartbeat", lambda: any(h.origin_time_us > before for h in beats(stream)))
    newest = max(h.origin_time_us for h in beats(stream))
    assert abs(newest - now_us()) < 10_000_000


def beats(stream: Any) -> list[Heartbeat]:
    return [item for item in items(stream) if isinstance(item, Heartbeat)]


def test_a_read_only_origin_has_no_heartbeat_rows_but_flows(
    server: DatabaseServer, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records tell that the source is there, with an unknown origin time, until it can be written to again."""
    monkeypatch.setattr(origin, "_READ_ONLY_S", 0.5)
    with server.connect() as connection:
        meta.ensure(connection)
    stream = make(heartbeat_seconds=0.2)
    variable = "super_read_only" if server.flavor == "mysql" else "read_only"
    if server.flavor == "mariadb":
        pytest.skip("root may write at a read-only MariaDB 10.11")
    insert(server, 1)
    execute(server, f"SET GLOBAL {variable}=ON")
    try:
        with Running(stream).await_streaming():
            await_("records by time", lambda: sum(h.origin_time_us == 0 for h in beats(stream)) >= 2)
            execute(server, f"SET GLOBAL {variable}=OFF", "SET GLOBAL read_only=OFF")
            await_("heartbeats again", lambda: beats(stream)[-1].origin_time_us > 0)
    finally:
        execute(server, f"SET GLOBAL {variable}=OFF", "SET GLOBAL read_only=OFF")


def test_a_restarted_origin_is_read_on(server: DatabaseServer, make: Any) -> None:
    """The same source connects again behind what it read: same epoch, nothing lost, nothing twice."""
    stream = make()
    with Running(stream).await_streaming() as source:
        insert(server, 1)
        source.await_acknowledged(1)
        server.restart()
        insert(server, 2)
        source.await_acknowledged(2)
        assert source.reporter.epoch == 1
    assert all_ids(server, stream) == [[1], [2]]


def test_a_killed_dump_connection_in_a_large_transaction(server: DatabaseServer, make: Any) -> None:
    """Its chunks are taken back and it is sent again, whole."""
    stream = make(source={"record_bytes": 20_000})
    rows = [f"INSERT INTO shop.item VALUES ({n}, REPEAT('x', 3000))" for n in range(2000)]
    with Running(stream).await_streaming() as source:
        execute(server, *rows)

        def kill() -> bool:
            dumps = [r[0] for r in execute(server, "SHOW PROCESSLIST") if "Binlog Dump" in str(r[4])]
            for dump in dumps:
                execute(server, f"KILL {dump}")
            stage = source.reporter.stages.get("acknowledged")
            return stage is not None and stage.sequence >= 1

        await_("the large transaction", kill, 60)
    (large,) = got(stream)
    assert ids(server, large) == list(range(2000))
    kinds = [type(item) for item in items(stream)]
    assert kinds.count(LargeAbort) <= len(kinds)


def test_a_restarted_broker_is_waited_for(server: DatabaseServer, farm: Farm, make: Any) -> None:
    """Nothing is lost or doubled while Kafka is away."""
    stream = make()
    with Running(stream).await_streaming() as source:
        insert(server, 1)
        source.await_acknowledged(1)
        farm.kafka().restart()
        insert(server, 2)
        source.await_acknowledged(2, 60)
    assert all_ids(server, stream) == [[1], [2]]


def test_prepared_xa_survives_a_restart_of_the_source(server: DatabaseServer, make: Any) -> None:
    """Its rows come with the commit, and nothing that was shipped in between comes again."""
    stream = make()
    session = server.connect(autocommit=True)
    with Running(stream).await_streaming() as source, session.cursor() as cursor:
        for statement in ("XA START 'r'", "INSERT INTO shop.item VALUES (1,'a')", "XA END 'r'", "XA PREPARE 'r'"):
            cursor.execute(statement)
        insert(server, 2)
        source.await_acknowledged(1)
    insert(server, 3)
    with Running(stream).await_streaming() as source, session.cursor() as cursor:
        source.await_acknowledged(2)
        cursor.execute("XA COMMIT 'r'")
        source.await_acknowledged(3)
    session.close()
    assert all_ids(server, stream) == [[2], [3], [1]]


def test_a_paused_source_holds_still(server: DatabaseServer, make: Any) -> None:
    """Nothing is shipped until `resume`, and nothing is lost."""
    stream = make()
    control = Control(stream, Role.SOURCE)
    with Running(stream).await_streaming() as source:
        control.pause("a test")
        await_("paused", lambda: source.reporter.state is State.PAUSED)
        insert(server, 1)
        time.sleep(0.5)
        assert got(stream) == []
        control.resume()
        source.await_acknowledged(1)
    control.close()
    assert all_ids(server, stream) == [[1]]


def test_acknowledgements_of_the_applier_are_seen(server: DatabaseServer, make: Any) -> None:
    """The stage `confirmed` is what the applier has durably applied."""
    stream = make()
    with Running(stream).await_streaming() as source:
        insert(server, 1)
        source.await_acknowledged(1)
        stream_id = unpack_header(records(stream)[0][1])[0].stream_id
        acks = AckPublisher(stream)
        acks.publish(Ack(stream_id, 1, 1, "g", "p", 5, 6))
        acks.flush()
        await_("confirmed", lambda: "confirmed" in source.reporter.stages)
        assert source.reporter.stages["confirmed"].sequence == 1
        acks.close()


def test_an_origin_that_was_set_back_stops(server: DatabaseServer, make: Any) -> None:
    """A position that the origin does not have means that shipped transactions are missing there."""
    stream = make()
    with Running(stream).await_streaming():
        pass
    ahead = "77-1-99" if server.flavor == "mariadb" else f"{UNKNOWN}:1-5"
    newest = unpack_header(records(stream)[-1][1])[0]
    header = replace(newest, resume=f"{newest.resume},{ahead}", kind=Kind.HEARTBEAT)
    producer = RecordProducer(stream)
    producer.send(pack_record(header, pack_body([], [])))
    producer.drain(10)
    producer.close()
    with Running(stream) as source:
        error = source.ended()
    assert isinstance(error, SourceError)
    assert "lacks transactions" in error.what


def test_a_commit_time_in_the_future_is_of_one_transaction_only(server: DatabaseServer, make: Any) -> None:
    """In a pair whose commit times never go back; nor does a restart take it up from the topic's tail."""
    stream = make(mode="bidirectional", kafka="east")
    ahead_us = now_us() + 7_200_000_000
    variable = f"timestamp={ahead_us // 1_000_000}" if server.flavor == "mariadb" else f"original_commit_timestamp={ahead_us}"
    with Running(stream).await_streaming() as source:
        execute(server, f"SET SESSION {variable}", "INSERT INTO shop.item VALUES (1, 'x')")
        source.await_acknowledged(1)
        insert(server, 2)
        source.await_acknowledged(2)
    with Running(stream).await_streaming() as source:
        insert(server, 3)
        source.await_acknowledged(3)
    first, second, third = (t.commit_time_us for t in got(stream))
    assert first == ahead_us - (ahead_us % 1_000_000 if server.flavor == "mariadb" else 0)
    assert second <= third < now_us() + 1_000_000


def test_a_quick_succession_shares_records(server: DatabaseServer, make: Any) -> None:
    """A backlog is packed: far fewer records than transactions."""
    start = position(server)
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for n in range(500):
            cursor.execute(f"INSERT INTO shop.other VALUES ({n})")
    stream = make(start=start)
    with Running(stream).await_streaming() as source:
        source.await_acknowledged(500)
    data = [value for _, value in records(stream) if unpack_header(value)[0].kind == Kind.DATA]
    assert len(data) < 100
    assert [i for t in got(stream) for i in ids(server, t)] == list(range(500))
