"""The stream's topics, consumer and acknowledgements on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import TopicPartition

from replicator.config import StreamConfig
from replicator.errors import HistoryLostError, KafkaFailure, StreamError
from replicator.stream.acks import Ack, AckPublisher, AckReader
from replicator.stream.consumer import RecordConsumer
from replicator.stream.producer import RecordProducer
from replicator.stream.topics import check_topics, ensure_topics
from tests.harness import Farm, await_
from tests.integration.source_running import stream_config

pytestmark = pytest.mark.servers


class Nowhere:
    """A site's database that is never asked."""

    host, port, user, password = "127.0.0.1", 1, "nobody", "none"


@pytest.fixture
def make(farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StreamConfig]:
    monkeypatch.setenv("TEST_PASSWORD", "none")
    return lambda **pair: stream_config(Nowhere(), farm.kafka(), tmp_path, **pair)  # type: ignore[arg-type]


@pytest.fixture
def admin(farm: Farm) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=farm.kafka().bootstrap)
    yield client
    client.close()


def produce(farm: Farm, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=farm.kafka().bootstrap, acks="all", enable_idempotence=True)
    for value in values:
        producer.send(topic, value=value, partition=0).get(10)
    producer.close()


def test_topics_are_made_with_what_keeps_data(make: Any, admin: KafkaAdminClient) -> None:
    """One partition each; the transactions' topic kept by age, the others compacted; large records fit."""
    stream = make(source={"record_bytes": 4 << 20})
    assert ensure_topics(stream)
    assert not ensure_topics(stream)
    assert check_topics(stream) == []
    resource = ConfigResource(ConfigResourceType.TOPIC, stream.id.topic)
    kept = admin.describe_configs([resource], config_filter="all")["topic"][stream.id.topic]
    assert kept["message.timestamp.type"]["value"] == "LogAppendTime"
    topics = {t["name"]: t for t in admin.describe_topics([stream.id.topic, stream.id.ack_topic, stream.id.control_topic])}
    assert {len(t["partitions"]) for t in topics.values()} == {1}
    producer = RecordProducer(stream)
    producer.send(bytes(4 << 20), "large")
    assert [token for token, _ in producer.drain(10)] == ["large"]
    producer.close()


@pytest.mark.parametrize(
    ("settings", "partitions", "words"),
    [
        ({"cleanup.policy": "compact"}, 1, "cleanup.policy=compact"),
        ({"retention.ms": "3600000"}, 1, "retention.ms=3600000"),
        ({"retention.ms": "604800000"}, 1, "message.timestamp.type=CreateTime"),
        ({"retention.bytes": "1000"}, 1, "retention.bytes=1000"),
        ({"max.message.bytes": "100000"}, 1, "max.message.bytes=100000"),
        ({"unclean.leader.election.enable": "true"}, 1, "unclean.leader.election"),
        ({}, 2, "2 partitions"),
    ],
)
def test_a_topic_that_would_lose_data_is_refused(
    make: Any, admin: KafkaAdminClient, settings: dict[str, str], partitions: int, words: str
) -> None:
    """One that exists is checked, never changed; the error names the setting."""
    stream = make()
    safe = {"retention.ms": "-1", "max.message.bytes": "2000000"}
    admin.create_topics(
        {stream.id.topic: {"num_partitions": partitions, "configs": {**safe, **settings}}}, wait_for_metadata=True
    )
    with pytest.raises(StreamError, match=words):
        ensure_topics(stream)
    assert any(words in problem for problem in check_topics(stream))


def test_records_are_read_from_any_offset(make: Any, farm: Farm) -> None:
    """By hand: committed offsets play no part."""
    stream = make()
    ensure_topics(stream)
    produce(farm, stream.id.topic, b"a", b"b", b"c")
    consumer = RecordConsumer(stream)
    consumer.assign(1)
    found: list[tuple[int, bytes]] = []
    await_("two records", lambda: bool(found.extend(consumer.poll(200))) or len(found) == 2)
    assert found == [(1, b"b"), (2, b"c")]
    assert consumer.end_offset() == consumer.next_offset == 3
    consumer.close()


def test_an_answer_at_the_wrong_moment_does_not_cost_a_tenth_of_a_second(
    make: Any, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kafka-python finds nothing at hand, an answer comes, it asks for nothing because that is at hand: and sleeps."""
    stream = make()
    ensure_topics(stream)
    consumer = RecordConsumer(stream)
    try:
        consumer.assign(0)
        assert consumer.poll(0) == []  # the question is on its way
        produce(farm, stream.id.topic, b"1")
        fetcher = consumer._consumer._fetcher
        drained, slept = fetcher.fetched_records, list[float]()

        def too_early(*arguments: Any, **options: Any) -> Any:
            monkeypatch.setattr(fetcher, "fetched_records", drained)
            await_("the answer", lambda: all(future.is_done for future in list(fetcher._fetch_futures)))
            return {}, False

        monkeypatch.setattr(fetcher, "fetched_records", too_early)
        monkeypatch.setattr(
            "kafka.consumer.group.time", SimpleNamespace(sleep=slept.append, time=time.time, monotonic=time.monotonic)
        )
        assert consumer.poll(5000) == [(0, b"1")]
        assert slept and max(slept) <= 0.01
    finally:
        consumer.close()


def test_a_topic_that_is_not_there_yet_is_waited_for_only_by_a_new_applier(make: Any) -> None:
    """Without an offset another try may help; with one the topic was lost."""
    stream = make()
    consumer = RecordConsumer(stream)
    with pytest.raises(KafkaFailure, match="does not exist yet"):
        consumer.assign(None)
    with pytest.raises(HistoryLostError):
        consumer.assign(7)
    consumer.close()


def test_a_topic_that_is_shorter_than_what_was_read_is_lost(make: Any, farm: Farm) -> None:
    """An offset behind the end says that records went missing."""
    stream = make()
    ensure_topics(stream)
    produce(farm, stream.id.topic, b"a")
    consumer = RecordConsumer(stream)
    with pytest.raises(HistoryLostError, match="ends at offset 1"):
        consumer.assign(5)
    consumer.close()


def test_a_topic_that_is_made_anew_while_it_is_read_is_noticed(
    make: Any, admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence alone would look like an idle origin."""
    monkeypatch.setattr("replicator.stream.consumer._SILENCE_S", 0.2)
    stream = make()
    ensure_topics(stream)
    consumer = RecordConsumer(stream)
    consumer.assign(None)
    assert consumer.poll(100) == []
    admin.delete_topics([stream.id.topic])
    await_("deleted", lambda: admin.describe_topics([stream.id.topic])[0]["error_code"] == 3)
    ensure_topics(stream)

    def noticed() -> bool:
        try:
            consumer.poll(100)
        except HistoryLostError:
            return True
        return False

    await_("noticed", noticed)
    consumer.close()


def test_what_was_not_sent_in_time_is_not_sent_later(make: Any) -> None:
    """A source that ended leaves nothing behind that goes on writing."""
    stream = make()
    ensure_topics(stream)
    producer = RecordProducer(stream)
    producer.send(b"before")
    producer.drain(10)
    producer._producer._accumulator.muted.add(TopicPartition(stream.id.topic, 0))  # as while the broker does not answer
    producer.send(b"late")
    producer.close(timeout_s=0.1)
    producer._producer._sender.join(10)
    assert not producer._producer._sender.is_alive()


def test_the_newest_acknowledgement_counts(make: Any) -> None:
    """Whoever asks gets it, at once or when it comes; before the first one there is none."""
    stream = make()
    reader = AckReader(stream)
    assert reader.latest() is None
    publisher = AckPublisher(stream)
    for n in range(1, 200):
        publisher.publish(Ack("s", 1, n, f"g{n}", "p", n, n))
    publisher.flush()
    late = AckReader(stream)
    for r in (late, reader):
        await_("the newest", lambda r=r: (ack := r.latest(0.5)) is not None and ack.sequence == 199)  # type: ignore[misc]
    publisher.publish(Ack("s", 1, 200, "g", "p", 1, 1))
    ack = late.latest(10)
    assert ack is not None and ack.sequence == 200
    for each in (reader, late, publisher):
        each.close()


def test_no_record_follows_one_that_kafka_refused(make: Any, admin: KafkaAdminClient) -> None:
    """The broker takes no large records any more: those behind the refused one, which it would take, must not arrive either."""
    stream = make()
    small = {stream.id.topic: {"num_partitions": 1, "configs": {"max.message.bytes": "1000"}}}
    admin.create_topics(small, wait_for_metadata=True)
    producer = RecordProducer(stream)
    producer.send(b"first")
    producer.drain(10)
    producer.send(bytes(900_000))
    deadline = time.monotonic() + 30

    def send_on() -> None:
        while time.monotonic() < deadline:
            producer.send(b"small")

    with pytest.raises(KafkaFailure):
        send_on()
    producer.close()
    consumer = RecordConsumer(stream)
    consumer.assign(None)
    assert consumer.end_offset() == 1
    consumer.close()
