"""Reads a stream's topic: one partition, assigned by hand, from an offset of ours. Kafka's committed offsets play no part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, OffsetOutOfRangeError

from ..errors import KafkaFailure, StreamError

if TYPE_CHECKING:
    from ..config import Kafka, StreamConfig

__all__ = ["RecordConsumer", "open_consumer"]

_FETCH_BYTES = 8 << 20
_MAX_WAIT_MS = 500


def open_consumer(kafka: Kafka, **options: Any) -> KafkaConsumer:
    """A consumer without a group, for reading by hand; raises KafkaFailure where the cluster cannot be reached."""
    settings = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "check_crcs": True,
        "metrics_enabled": False,
        "fetch_max_wait_ms": _MAX_WAIT_MS,
        "fetch_max_bytes": 4 * _FETCH_BYTES,
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "receive_buffer_bytes": 4 << 20,
        **kafka.client_args(),
        **options,
    }
    try:
        return KafkaConsumer(**settings)
    except (KafkaError, OSError) as error:
        raise trouble(kafka, error) from error


def trouble(kafka: Kafka, error: Exception) -> KafkaFailure:
    """The error for a cluster that does not do what it should."""
    return KafkaFailure(
        f"Kafka: {type(error).__name__}: {error}",
        where=", ".join(kafka.bootstrap_servers),
        remedy="check that the cluster runs and can be reached; the flow goes on by itself when it does",
    )


class RecordConsumer:
    """The records of one topic in order of their offsets, each once."""

    def __init__(self, stream: StreamConfig, *, topic: str | None = None) -> None:
        self._kafka = stream.kafka
        self._topic = topic or stream.id.topic
        self._partition = TopicPartition(self._topic, 0)
        self._consumer = open_consumer(stream.kafka)
        self._next = 0

    def assign(self, offset: int | None) -> None:
        """Read from ``offset``, or from the oldest record there is (None, or where retention went past the offset).

        What retention took away shows as a gap of the sequence. Raises StreamError where the topic ends before the offset.
        """
        try:
            self._consumer.assign([self._partition])
            first = self._consumer.beginning_offsets([self._partition])[self._partition]
            end = self._consumer.end_offsets([self._partition])[self._partition]
            wanted = first if offset is None else max(offset, first)
            if wanted > end:
                raise StreamError(
                    f"the topic ends at offset {end}, before the checkpoint's offset {wanted}: its history was lost or replaced",
                    where=f"topic {self._topic}",
                    remedy="restore the topic, or load the target anew and start the stream anew (docs/WHAT-IF.md)",
                )
            self._consumer.seek(self._partition, wanted)
            self._next = wanted
        except KafkaError as error:
            raise trouble(self._kafka, error) from error

    def poll(self, timeout_ms: float) -> list[tuple[int, bytes]]:
        """The next records, at least one if there is one within ``timeout_ms``.

        Raises StreamError on a damaged record and where records were taken away, KafkaFailure where trying again may help.
        """
        try:
            fetched = self._consumer.poll(timeout_ms=timeout_ms)
        except OffsetOutOfRangeError as error:
            raise StreamError(
                f"offset {self._next} is gone from the topic",
                where=f"topic {self._topic}",
                remedy="retention deleted it before it was applied, or the topic was replaced: load the target anew",
            ) from error
        except CorruptRecordError as error:
            raise StreamError(
                f"a record behind offset {self._next} is damaged: {error}",
                where=f"topic {self._topic}",
                remedy="check the broker's disk; restore the topic or load the target anew",
            ) from error
        except KafkaError as error:
            raise trouble(self._kafka, error) from error
        records: list[tuple[int, bytes]] = []
        for batch in fetched.values():
            for record in batch:
                if record.value is None:
                    raise StreamError("a record without a value", where=f"topic {self._topic}, offset {record.offset}")
                records.append((record.offset, record.value))
        if records:
            self._next = records[-1][0] + 1
        return records

    def end_offset(self) -> int:
        """The offset behind the last record."""
        try:
            return int(self._consumer.end_offsets([self._partition])[self._partition])
        except KafkaError as error:
            raise trouble(self._kafka, error) from error

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._consumer.close(autocommit=False)
