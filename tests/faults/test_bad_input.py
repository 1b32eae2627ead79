"""Bad input stops the flow loudly: the error names the thing and the remedy, and the position stays before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from dev import start_kafka
from replicator.stream import wire
from tests.harness import Pair, Pairs, execute, resume

pytestmark = pytest.mark.servers


@pytest.fixture
def pair(pairs: Pairs, flavor: str) -> Pair:
    """A running pair with one table of three rows, equal at both sites."""
    pair = pairs(flavor, flavor)
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(20))")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1,'a'),(2,'b'),(3,'c')")
    pair.start()
    pair.settle()
    return pair


def rows(pair: Pair) -> Any:
    """The table at the target."""
    return execute(pair.target, f"SELECT id, v FROM {pair.name}.t ORDER BY id")


def last_record(pair: Pair, kind: wire.Kind) -> tuple[wire.RecordHeader, bytes]:
    """The last record of a kind in the topic."""
    partition = TopicPartition(pair.topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=pair.kafka.bootstrap, group_id=None, auto_offset_reset="earliest")
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    found = None
    while consumer.position(partition) < end:
        for batch in consumer.poll(timeout_ms=1000).values():
            for record in batch:
                header, body = wire.unpack_record(record.value)
                if header.kind == kind:
                    found = header, body
    consumer.close()
    assert found is not None
    return found


def send(pair: Pair, value: bytes) -> None:
    """Put a record into the topic behind the source's back."""
    producer = KafkaProducer(bootstrap_servers=pair.kafka.bootstrap, acks="all")
    producer.send(pair.topic, value=value, partition=0).get(timeout=30)
    producer.close()


def test_a_damaged_record_stops_the_applier(pair: Pair) -> None:
    """A flipped byte in a record: the offset is named, what came before is applied, nothing behind it is."""
    header, body = last_record(pair, wire.Kind.DATA)
    value = bytearray(wire.pack_record(header, body))
    value[-3] ^= 0xFF
    send(pair, bytes(value))
    error = pair.wait_stopped("west", "applier")
    assert "checksum" in error["what"] and pair.topic in error["where"] and error["remedy"]
    assert pair.readyz("west")[0] == 503


def test_a_gap_of_the_sequence_stops_the_applier(pair: Pair) -> None:
    """A record that begins too far on is not applied."""
    header, _ = last_record(pair, wire.Kind.DATA)
    at = header.last_sequence + 5
    forged = wire.RecordHeader(
        wire.Kind.DATA, header.stream_id, header.epoch, header.source_id, at, at, header.resume, header.flavor, 1
    )
    body = wire.pack_body([], [wire.Transaction(at, 1, "forged", b"")])
    send(pair, wire.pack_record(forged, body))
    error = pair.wait_stopped("west", "applier")
    assert f"sequence {header.last_sequence + 1} is missing" in error["what"]
    assert error["remedy"]


def test_records_of_an_older_epoch_are_ignored(pair: Pair) -> None:
    """A source that was superseded may still write: nobody heeds it, and the flow goes on."""
    header, _ = last_record(pair, wire.Kind.DATA)
    at = header.last_sequence + 1
    forged = wire.RecordHeader(
        wire.Kind.DATA, header.stream_id, header.epoch - 1, "a-dead-source", at, at, header.resume, header.flavor, 1
    )
    send(pair, wire.pack_record(forged, wire.pack_body([], [wire.Transaction(at, 1, "forged", b"")])))
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='z' WHERE id=1")
    pair.settle()
    assert pair.differences() == []


def test_statement_format_stops_the_source(pair: Pair) -> None:
    """An INSERT logged as a statement would be lost: the source stops before it and names its GTID."""
    execute(pair.origin, "SET SESSION binlog_format=STATEMENT", f"INSERT INTO {pair.name}.t VALUES (4,'d')")
    error = pair.wait_stopped("east", "source")
    assert "statement" in error["what"].lower() and "GTID" in error["where"]
    assert "binlog_format=ROW" in error["remedy"]
    assert len(rows(pair)) == 3


def test_a_dropped_target_table_stops_the_applier_and_resumes(pair: Pair) -> None:
    """The table is named; once it is back, `resume` goes on from the very transaction."""
    execute(pair.target, f"DROP TABLE {pair.name}.t")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (4,'d')")
    error = pair.wait_stopped("west", "applier")
    assert "target_table_missing" in error["what"] and "`t`" in error["what"]
    assert pair.readyz("west")[0] == 503
    execute(pair.target, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(20))")
    execute(pair.target, f"INSERT INTO {pair.name}.t VALUES (1,'a'),(2,'b'),(3,'c')")
    resume(pair)
    pair.settle()
    assert pair.differences() == []


def test_a_column_missing_at_the_target_stops_the_applier(pair: Pair) -> None:
    """The column is named, and so is what to do."""
    execute(pair.target, f"ALTER TABLE {pair.name}.t DROP COLUMN v")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='q' WHERE id=2")
    error = pair.wait_stopped("west", "applier")
    assert "target_column_missing" in error["what"] and "v" in error["what"]
    assert "resume" in error["remedy"]
    (applier,) = [w for w in pair.workers("west") if w["role"] == "applier"]
    assert applier["counters"].get("batch_retries", 0) == 0, "trying again would not have mended it"


def test_purged_binlogs_stop_the_source(pair: Pair) -> None:
    """Changes that the origin no longer has are not skipped: the source stops and says what to do."""
    pair.stop("east")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (4,'d')", "FLUSH BINARY LOGS")
    last = execute(pair.origin, "SHOW BINARY LOGS")[-1][0]
    # A MariaDB keeps binlogs that its storage engine may still need for recovery until a checkpoint.
    pair.until(lambda: purged(pair, last), 30, "the binlogs to be purged")
    pair.start("east", ready=False)
    error = pair.wait_stopped("east", "source")
    assert "binlog" in (error["what"] + error["remedy"]).lower()
    assert len(rows(pair)) == 3


def purged(pair: Pair, last: str) -> bool:
    """Purge all binlogs but the last; whether only that one is left."""
    execute(pair.origin, f"PURGE BINARY LOGS TO '{last}'")
    return len(execute(pair.origin, "SHOW BINARY LOGS")) == 1


def test_a_lost_topic_stops_both_sides(pairs: Pairs, flavor: str, tmp_path: Path) -> None:
    """Kafka comes back empty: neither side takes that for a new stream, and both say what to do. Started anew from where it began
    once, it runs all statements again, though they have the sequences and GTIDs of those that the target remembers as done."""
    kafka = start_kafka(tmp_path / "kafka", die_with_parent=True)
    try:
        pair = pairs(flavor, flavor, kafka=kafka)
        execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(20))")
        pair.start()
        execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (3,'c')", f"TRUNCATE {pair.name}.t")
        pair.settle()
        pair.stop()
        kafka.wipe()
        kafka.start()
        execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (4,'d')")
        pair.start(ready=False)
        error = pair.wait_stopped("east", "source")
        assert "history is gone" in error["what"] and "start the stream anew" in error["remedy"]
        error = pair.wait_stopped("west", "applier")
        assert "the topic" in error["what"] and "start the stream anew at the applier's position" in error["remedy"]
        assert not rows(pair)
        execute(pair.target, f"DROP TABLE {pair.name}.t", f"DELETE FROM replicator.checkpoint WHERE flow='{pair.flow}'")
        execute(pair.origin, f"DELETE FROM replicator.heartbeat WHERE flow='{pair.flow}'")
        resume(pair)
        pair.settle()
        assert pair.differences() == []
        assert [row[0] for row in execute(pair.target, f"SELECT id FROM {pair.name}.t")] == [4]
    finally:
        kafka.destroy()
