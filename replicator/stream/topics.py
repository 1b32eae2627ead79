"""The topics of a stream: made with the right settings, or checked when they exist.

The transactions' topic has one partition and is deleted by age only, by the broker's clock; the acknowledgement and control
topics are compacted: they keep the last record of each key for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, for_code

from ..errors import START_ANEW, HistoryLostError, KafkaFailure, StreamError
from .client import admin_client, kafka_failure, kafka_place, translated

if TYPE_CHECKING:
    from ..config import Kafka, StreamConfig

__all__ = ["TopicSettings", "TopicWatch", "check_topics", "ensure_topics", "message_bytes_max", "topic_id"]

_UNKNOWN_TOPIC = 3
_BROKER_DEFAULT_MESSAGE_BYTES = 1_048_588
_FRAME_BYTES = 64 << 10
"""Room for what stands around a record's body: its header with a long position, and Kafka's own framing."""
_HOUR_MS = 3_600_000
_MISSING_TIMES = 3
_LOOK_TIMEOUT_MS = 4000
"""A worker's loop stands still meanwhile, and has to end within ten seconds when it is told to."""


def message_bytes_max(stream: StreamConfig) -> int:
    """The largest record that the source of a stream may have to send: a body that does not compress, and its header."""
    return max(_BROKER_DEFAULT_MESSAGE_BYTES, stream.source.record_bytes + stream.source.record_bytes // 64 + _FRAME_BYTES)


class TopicWatch:
    """Notices that a topic was deleted or made anew: to its clients that looks like a cluster that is slow, or idle."""

    def __init__(self, stream: StreamConfig, topic: str = "") -> None:
        self._kafka = stream.kafka
        self._name = topic or stream.id.topic
        self._missing = 0
        self.id = topic_id(self._kafka, self._name)
        """The id that the cluster gave it; empty if there is none yet."""

    def look(self) -> KafkaFailure | None:
        """Ask the cluster. Returns why it does not answer, if so; raises HistoryLostError."""
        try:
            found = topic_id(self._kafka, self._name, _LOOK_TIMEOUT_MS)
        except KafkaFailure as error:
            return KafkaFailure(f"no news from Kafka: {error.what}", where=error.where, remedy=error.remedy)
        if found == self.id:
            self._missing = 0
            return None
        self._missing += 1  # a broker that just started may not know its topics yet
        if found or self._missing >= _MISSING_TIMES:
            raise HistoryLostError(
                "the topic was made anew, its records are lost" if found else "the topic is gone",
                where=f"topic {self._name}, {kafka_place(self._kafka)}",
                remedy=f"restore the topic; or {START_ANEW}",
            )
        return None


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """One topic as it should be."""

    name: str
    settings: dict[str, str]


def _wanted(stream: StreamConfig) -> list[TopicSettings]:
    kafka = stream.kafka
    hours = kafka.retention_hours
    shared = {} if kafka.min_insync_replicas is None else {"min.insync.replicas": str(kafka.min_insync_replicas)}
    log = {
        "cleanup.policy": "delete",
        "retention.ms": str(hours * _HOUR_MS if hours > 0 else -1),
        "retention.bytes": "-1",
        "max.message.bytes": str(message_bytes_max(stream)),
        "message.timestamp.type": "LogAppendTime",
        **shared,
    }
    compacted = {"cleanup.policy": "compact", "segment.ms": str(24 * _HOUR_MS), **shared}
    return [
        TopicSettings(stream.id.topic, log),
        TopicSettings(stream.id.ack_topic, compacted),
        TopicSettings(stream.id.control_topic, compacted),
    ]


@contextmanager
def _admin(kafka: Kafka, timeout_ms: int = 10_000) -> Iterator[KafkaAdminClient]:
    client = admin_client(kafka, timeout_ms)
    try:
        with translated("a request about topics failed", kafka_place(kafka)):
            yield client
    finally:
        client.close()


def topic_id(kafka: Kafka, topic: str, timeout_ms: int = 10_000) -> str:
    """The id that the cluster gave the topic when it was made, empty where there is no such topic; raises KafkaFailure."""
    with _admin(kafka, timeout_ms) as admin:
        return _describe(admin, [topic]).get(topic, "")


def _describe(admin: KafkaAdminClient, topics: list[str]) -> dict[str, str]:
    found = {}
    for answer in admin.describe_topics(topics):
        code = answer["error_code"]
        if code == _UNKNOWN_TOPIC:
            continue
        if code:
            raise for_code(code)()
        found[answer["name"]] = str(answer["topic_id"])
    return found


def ensure_topics(stream: StreamConfig, *, only: str = "") -> bool:
    """Make what is missing of the stream's topics, or ``only`` one of them; returns whether the transactions' topic is new.

    Raises StreamError where a topic that exists would lose data, KafkaFailure where the cluster refuses.
    """
    wanted = [topic for topic in _wanted(stream) if topic.name == (only or topic.name)]
    with _admin(stream.kafka) as admin:
        present = _describe(admin, [topic.name for topic in wanted])
        for topic in wanted:
            if topic.name not in present:
                _create(admin, stream.kafka, topic)
        problems = _problems(admin, stream, [topic for topic in wanted if topic.name in present])
    if problems:
        raise StreamError(
            "a topic of the stream has settings that lose data: " + "; ".join(problems),
            where=kafka_place(stream.kafka),
            remedy="change the topic's configuration with kafka-configs.sh, then `replicator resume`",
        )
    return stream.id.topic not in present


def _create(admin: KafkaAdminClient, kafka: Kafka, topic: TopicSettings) -> None:
    request = {
        "num_partitions": 1,
        "replication_factor": kafka.replication_factor or -1,
        "configs": topic.settings,
    }
    try:
        admin.create_topics({topic.name: request}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        pass  # the applier's acknowledgements, or another source, came first
    except Exception as error:
        raise _refused(error, topic, kafka) from error


def _refused(error: Exception, topic: TopicSettings, kafka: Kafka) -> KafkaFailure:
    return kafka_failure(error, f"cannot create the topic {topic.name}", kafka_place(kafka))


def check_topics(stream: StreamConfig) -> list[str]:
    """What is wrong with those of the stream's topics that exist, one sentence each; raises KafkaFailure."""
    wanted = _wanted(stream)
    with _admin(stream.kafka) as admin:
        present = _describe(admin, [topic.name for topic in wanted])
        return _problems(admin, stream, [topic for topic in wanted if topic.name in present])


def _problems(admin: KafkaAdminClient, stream: StreamConfig, topics: list[TopicSettings]) -> list[str]:
    if not topics:
        return []
    problems = []
    partitions = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([t.name for t in topics])}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(resources, config_filter="all")["topic"]
    for topic in topics:
        if partitions[topic.name] != 1:
            problems.append(f"{topic.name} has {partitions[topic.name]} partitions, not 1: order would be lost")
        actual = {name: str(entry["value"]) for name, entry in answers[topic.name].items()}
        problems += _differences(topic, actual)
    return problems


def _differences(topic: TopicSettings, actual: dict[str, Any]) -> Iterator[str]:
    """Only what loses data: longer retention and larger limits than wanted are fine."""
    wanted = topic.settings
    policy = set(actual["cleanup.policy"].split(","))
    if policy != {wanted["cleanup.policy"]}:
        yield f"{topic.name} has cleanup.policy={actual['cleanup.policy']} instead of {wanted['cleanup.policy']}"
    if "max.message.bytes" in wanted and int(actual["max.message.bytes"]) < int(wanted["max.message.bytes"]):
        yield f"{topic.name} has max.message.bytes={actual['max.message.bytes']}, too small for source.record_bytes: " + (
            f"needs {wanted['max.message.bytes']}"
        )
    if wanted["cleanup.policy"] == "delete":
        for name in ("retention.ms", "retention.bytes"):
            have, want = int(actual[name]), int(wanted[name])
            if have != -1 and (want == -1 or have < want):
                yield f"{topic.name} has {name}={have}, less than {want if want != -1 else 'for ever'}"
        stamp, wanted_stamp = actual["message.timestamp.type"], wanted["message.timestamp.type"]
        if stamp != wanted_stamp and actual["retention.ms"] != "-1":
            change = f"--alter --entity-type topics --entity-name {topic.name} --add-config message.timestamp.type={wanted_stamp}"
            yield f"{topic.name} has message.timestamp.type={stamp}: retention would go by the source's clock ({change})"
    if int(actual["min.insync.replicas"]) < int(wanted.get("min.insync.replicas", 1)):
        yield f"{topic.name} has min.insync.replicas={actual['min.insync.replicas']}"
    if actual.get("unclean.leader.election.enable") == "true":
        yield f"{topic.name} has unclean.leader.election.enable=true: a broker that lacks records may become leader"
