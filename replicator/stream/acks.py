"""Acknowledgements: the applier says, on a compacted topic, what it has durably applied; the origin's site reads it.

This is how the sender knows that the receiver has it. Only the newest acknowledgement matters.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from .consumer import open_consumer, trouble

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Ack", "AckPublisher", "AckReader"]

_KEY = b"ack"
_MIN_INTERVAL_S = 0.005
"""Acknowledgements follow each other at least this far apart: newer ones replace those that wait."""


class Ack(msgspec.Struct, frozen=True):
    """What one applier has applied. ``position`` is a GTID set: everything in it is there. Times in µs since the epoch."""

    stream_id: str
    epoch: int
    sequence: int
    gtid: str
    position: str
    origin_time_us: int
    applied_time_us: int


class AckPublisher:
    """Publishes from a thread of its own: ``publish`` never waits, the newest wins, errors surface at the next call."""

    def __init__(self, stream: StreamConfig) -> None:
        self._kafka = stream.kafka
        self._topic = stream.id.ack_topic
        self._lock = threading.Condition()
        self._next: Ack | None = None
        self._busy = False
        self._closed = False
        self._error: Exception | None = None
        try:
            self._producer: Any = KafkaProducer(
                **{
                    "acks": "all",
                    "enable_idempotence": True,
                    "metrics_enabled": False,
                    "max_block_ms": 30_000,
                    **stream.kafka.client_args(),
                }
            )
        except (KafkaError, OSError) as error:
            raise trouble(self._kafka, error) from error
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
        self._producer.close(timeout=1)

    def _raise(self) -> None:
        if self._error is not None:
            raise trouble(self._kafka, self._error) from self._error

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._next is not None)
                if self._closed:
                    return
                ack, self._next, self._busy = self._next, None, True
            try:
                self._producer.send(self._topic, key=_KEY, value=msgspec.json.encode(ack), partition=0).get(timeout=60)
            except (KafkaError, OSError) as error:
                with self._lock:
                    self._error = error
                    self._lock.notify_all()
                return
            with self._lock:
                self._busy = False
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._closed, _MIN_INTERVAL_S)


class AckReader:
    """Follows a stream's acknowledgements."""

    def __init__(self, stream: StreamConfig) -> None:
        self._kafka = stream.kafka
        self._partition = TopicPartition(stream.id.ack_topic, 0)
        self._consumer = open_consumer(stream.kafka, fetch_max_bytes=1 << 20, max_partition_fetch_bytes=1 << 20)
        self._ready = False
        self._latest: Ack | None = None

    def latest(self, timeout_s: float = 0) -> Ack | None:
        """The newest acknowledgement; waits up to ``timeout_s`` seconds for a newer one than the last. None if there is none.

        Raises KafkaFailure.
        """
        try:
            if not self._ready:
                self._start()
            deadline = time.monotonic() + timeout_s
            while True:
                left_ms = max(0.0, deadline - time.monotonic()) * 1000
                fetched = self._consumer.poll(timeout_ms=left_ms)
                newest = [record for batch in fetched.values() for record in batch if record.value is not None]
                if newest:
                    self._latest = msgspec.json.decode(newest[-1].value, type=Ack)
                if newest or time.monotonic() >= deadline:
                    return self._latest
        except KafkaError as error:
            raise trouble(self._kafka, error) from error

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._consumer.close(autocommit=False)

    def _start(self) -> None:
        """Begin at the last acknowledgement, which may be followed by others."""
        self._consumer.assign([self._partition])
        first = self._consumer.beginning_offsets([self._partition])[self._partition]
        end = self._consumer.end_offsets([self._partition])[self._partition]
        self._consumer.seek(self._partition, max(first, end - 1))
        self._ready = True
        if end > first:  # the last record is there: fetching it may take several polls
            deadline = time.monotonic() + 5
            while self._latest is None and time.monotonic() < deadline:
                for batch in self._consumer.poll(timeout_ms=200).values():
                    self._latest = msgspec.json.decode(batch[-1].value, type=Ack)
