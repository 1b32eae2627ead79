"""What the applier tells the source: how far it has durably applied. One compacted topic, the newest record counts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from ..errors import KafkaFailure, StreamError
from .client import consumer_client, kafka_failure, kafka_place, producer_client, translated
from .topics import ensure_topics, topic_id

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Ack", "AckPublisher", "AckReader"]

_KEY = b"ack"
_INTERVAL_S_MIN = 0.1
"""Acknowledgements follow each other at least this far apart: newer ones replace those that wait."""
_LOOK_FOR_TOPIC_S = 2.0
_OFFSETS_TIMEOUT_MS = 5000


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is applied and committed at the target."""

    stream_id: str
    epoch: int
    sequence: int
    gtid: str
    position: str
    """GTID set of the origin that is complete at the target."""
    origin_time_us: int
    """Commit time at the origin of the last transaction or heartbeat in it; 0: unknown."""
    applied_time_us: int
    """When it was committed at the target, by the applier's clock."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Ack)


class AckPublisher:
    """Publishes from a thread of its own: ``publish`` never waits, the newest wins, errors surface at the next call."""

    def __init__(self, stream: StreamConfig) -> None:
        self._topic = stream.id.ack_topic
        self._where = f"topic {self._topic}, {kafka_place(stream.kafka)}"
        self._lock = threading.Condition()
        self._next: Ack | None = None
        self._busy = False
        self._closed = False
        self._error: Exception | None = None
        ensure_topics(stream, only=self._topic)
        self._producer = producer_client(stream.kafka, max_block_ms=30_000)
        self._thread = threading.Thread(target=self._run, name="acks", daemon=True)
        self._thread.start()

    def publish(self, ack: Ack) -> None:
        """Take the newest acknowledgement. Raises KafkaFailure where an earlier one could not be sent."""
        with self._lock:
            self._raise()
            self._next = ack
            self._lock.notify_all()

    def flush(self, timeout_s: float = 5) -> None:
        """Wait until the newest one is acknowledged by Kafka, at most ``timeout_s`` seconds."""
        with self._lock:
            self._lock.wait_for(lambda: self._error is not None or (self._next is None and not self._busy), timeout_s)
            self._raise()

    def close(self) -> None:
        """Stop; what was not sent is sent by the next applier. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._thread.join(timeout=5)
        try:
            self._producer.close(timeout=1)
        except KafkaError:
            pass  # what was on its way the next applier says again

    def _raise(self) -> None:
        if self._error is not None:
            raise kafka_failure(self._error, "an acknowledgement was not taken", self._where) from self._error

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._next is not None)
                if self._closed:
                    return
                ack, self._next, self._busy = self._next, None, True
            try:
                self._producer.send(self._topic, key=_KEY, value=_encoder.encode(ack), partition=0).get(timeout=60)
            except (KafkaError, OSError) as error:
                with self._lock:
                    self._error = error
                    self._lock.notify_all()
                return
            with self._lock:
                self._busy = False
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._closed, _INTERVAL_S_MIN)


class AckReader:
    """Reads the newest acknowledgement; cheap to ask often. Not thread-safe."""

    def __init__(self, stream: StreamConfig) -> None:
        self._kafka = stream.kafka
        self._topic = stream.id.ack_topic
        self._where = f"topic {self._topic}, {kafka_place(stream.kafka)}"
        self._partition = TopicPartition(self._topic, 0)
        self._consumer: Any = None
        self._looked_at = 0.0
        self._end = 0
        self._next = 0
        self._newest: Ack | None = None

    def latest(self, timeout_s: float = 0.0) -> Ack | None:
        """The newest acknowledgement; None where there is none yet. Waits at most ``timeout_s`` seconds for a first or newer
        one than at the last call; raises KafkaFailure, StreamError."""
        deadline = time.monotonic() + timeout_s
        before = self._newest
        while True:
            if self._consumer is None and not self._open():
                if time.monotonic() >= deadline:
                    return None
                time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))
                continue
            left_ms = max(0.0, deadline - time.monotonic()) * 1000
            self._read(left_ms)
            if self._newest is not before and self._next >= self._end:
                return self._newest
            if left_ms <= 0:
                return self._newest

    def _open(self) -> bool:
        if self._looked_at and time.monotonic() - self._looked_at < _LOOK_FOR_TOPIC_S:
            return False
        self._looked_at = time.monotonic()
        if not topic_id(self._kafka, self._topic):
            return False
        consumer = consumer_client(self._kafka, fetch_max_wait_ms=500)
        try:
            with translated("cannot ask for the topic's offsets", self._where):
                consumer.assign([self._partition])
                first = consumer.beginning_offsets([self._partition], timeout_ms=_OFFSETS_TIMEOUT_MS)[self._partition]
                self._end = consumer.end_offsets([self._partition], timeout_ms=_OFFSETS_TIMEOUT_MS)[self._partition]
                # Only the last record counts, but offsets may have holes where compaction was.
                self._next = max(first, self._end - 100)
                consumer.seek(self._partition, self._next)
        except KafkaFailure:
            consumer.close(autocommit=False, timeout_ms=0)
            raise
        self._consumer = consumer
        return True

    def _read(self, timeout_ms: float) -> None:
        with translated("cannot read acknowledgements", self._where):
            answer = self._consumer.poll(timeout_ms=timeout_ms)
        for record in answer.get(self._partition, ()):
            self._next = record.offset + 1
            if record.value is None:
                continue
            try:
                self._newest = _decoder.decode(record.value)
            except msgspec.MsgspecError as error:
                raise StreamError(
                    "an acknowledgement cannot be read",
                    where=f"{self._where}, offset {record.offset}",
                    remedy="upgrade the source before the applier, or look for what else writes to this topic",
                ) from error

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1000)
            self._consumer = None
