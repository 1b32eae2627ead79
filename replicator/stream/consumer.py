"""Reads a stream's topic by offset. What is lost in Kafka is noticed here or by the reader, never passed over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, OffsetOutOfRangeError

from ..errors import START_ANEW, HistoryLostError, KafkaFailure, StreamError
from .client import consumer_client, kafka_failure, kafka_place, translated
from .topics import TopicWatch

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["RecordConsumer"]

_FETCH_BYTES = 8 << 20
_IDLE_MS = 2
_SILENCE_S = 5.0
"""After so long without a record the topic itself is looked at: a source writes heartbeats more often."""
_OFFSETS_TIMEOUT_MS = 10_000

_GONE = f"restore the topic; or {START_ANEW}"


class RecordConsumer:
    """One topic's records in order of their offsets. Not thread-safe: one thread at a time may call it."""

    def __init__(self, stream: StreamConfig, *, topic: str | None = None) -> None:
        self._stream = stream
        self._topic = topic or stream.id.topic
        self._partition = TopicPartition(self._topic, 0)
        self._where = f"topic {self._topic}, {kafka_place(stream.kafka)}"
        self._watch: TopicWatch | None = None
        self._next = 0
        self._heard_at = time.monotonic()
        self.away: KafkaFailure | None = None
        """Why Kafka does not answer, some seconds after it last did: its client only says that nothing came."""
        self._consumer = consumer_client(
            stream.kafka,
            fetch_max_bytes=2 * _FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            max_poll_records=1_000_000,
        )
        # Where an answer comes in the moment before kafka-python asks anew, it takes itself for idle, with records at hand, and
        # sleeps that long: a tenth of a second, many times a minute. Its other parts have copies of this setting.
        self._consumer.config["retry_backoff_ms"] = _IDLE_MS

    def assign(self, offset: int | None) -> None:
        """Read from that offset on, or from the first record that is there (None, or where retention went past the offset:
        whether that took transactions away shows in the sequence).

        Raises KafkaFailure where the topic is not there yet, HistoryLostError where ``offset`` says that it once was more.
        """
        self._watch = TopicWatch(self._stream, self._topic)
        if not self._watch.id:
            if offset is None:
                raise KafkaFailure("the topic does not exist yet", where=self._where, remedy="start the stream's source")
            raise HistoryLostError("the topic is gone", where=self._where, remedy=_GONE)
        self._consumer.assign([self._partition])
        first, end = self.bounds()
        offset = first if offset is None else max(offset, first)
        if offset > end:
            raise HistoryLostError(
                f"the topic ends at offset {end}, before {offset}, from where on it was not applied",
                where=self._where,
                remedy=f"Kafka lost the topic's records: {_GONE}",
            )
        self._consumer.seek(self._partition, offset)
        self._next = offset
        self._heard_at = time.monotonic()

    def poll(self, timeout_ms: float) -> list[tuple[int, bytes]]:
        """The next records as (offset, value), or none when nothing came in time.

        Raises StreamError for a record that Kafka finds corrupt, HistoryLostError where the topic lost its records.
        """
        try:
            answer = self._consumer.poll(timeout_ms=timeout_ms)
        except OffsetOutOfRangeError as error:
            raise HistoryLostError(f"offset {self._next} is not in the topic", where=self._where, remedy=_GONE) from error
        except CorruptRecordError as error:
            raise StreamError(
                "a record is corrupt by Kafka's own checksum",
                where=f"{self._where}, offset {self._next} or the batch around it",
                remedy=f"repair the broker's disk or let another replica lead; or {START_ANEW}",
            ) from error
        except (KafkaError, OSError) as error:
            raise kafka_failure(error, "cannot fetch", self._where) from error
        records = [(record.offset, record.value or b"") for record in answer.get(self._partition, ())]
        if records:
            self._next = records[-1][0] + 1
            self._heard_at = time.monotonic()
            self.away = None
        elif time.monotonic() - self._heard_at > _SILENCE_S:
            if self._watch is not None:
                self.away = self._watch.look()
            self._heard_at = time.monotonic()
        return records

    @property
    def next_offset(self) -> int:
        """The offset behind the last record that was given out."""
        return self._next

    @property
    def behind(self) -> int | None:
        """How many records Kafka had beyond the last one given out, as of the last fetch; None where nothing was fetched yet, or
        Kafka does not answer."""
        end = self._consumer.highwater(self._partition)
        return None if end is None or self.away is not None else max(0, int(end) - self._next)

    def bounds(self) -> tuple[int, int]:
        """The first offset and the one behind the last record; raises KafkaFailure."""
        with translated("cannot ask for the topic's offsets", self._where):
            first = self._consumer.beginning_offsets([self._partition], timeout_ms=_OFFSETS_TIMEOUT_MS)
            end = self._consumer.end_offsets([self._partition], timeout_ms=_OFFSETS_TIMEOUT_MS)
        return int(first[self._partition]), int(end[self._partition])

    def end_offset(self) -> int:
        """The offset that the next record will get; raises KafkaFailure."""
        return self.bounds()[1]

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close(autocommit=False, timeout_ms=1000)
