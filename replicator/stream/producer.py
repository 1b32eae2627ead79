"""Writes a stream's records: in order, each acknowledged by every in-sync replica, one writer at a time.

kafka-python keeps order and drops duplicates (idempotence); the rest is checked here. Offsets of acknowledged records must
follow each other without a hole: a record in between means that another source writes, or lately wrote, this stream.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from kafka.errors import KafkaError, KafkaTimeoutError

from ..errors import START_ANEW, HistoryLostError, KafkaFailure
from .client import kafka_failure, kafka_place, producer_client

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["ControlRecord", "RecordProducer", "Sent"]

_BATCH_BYTES = 1 << 20
_REQUEST_BYTES = 32 << 20
_IN_FLIGHT_BYTES_MAX = 24 << 20
_PATIENCE_S = 120.0
"""So long without an acknowledgement the records wait before the source starts over."""
_NEVER_MS = 7 * 24 * 3600 * 1000
"""kafka-python gives up batches one by one, and goes on with those behind: a gap. So it never gives one up, the source does."""
_BLOCK_MS = 2000


class ControlRecord(msgspec.Struct, frozen=True):
    """What the compacted control topic remembers: that the stream has a history, and how far it had come for certain."""

    stream_id: str
    epoch: int
    source_id: str
    sequence: int
    gtid: str
    resume: str
    flavor: str
    offset: int
    """Of the last record that this tells of; everything before it is as it says."""
    shipped: str = ""
    seen: int = 0
    time_us: int = 0
    division: str | None = None
    """Which tables of the pair are the stream's, see ``source.division``; None: an older source did not tell."""


class Sent(NamedTuple):
    """A record on its way: what the caller gave with it, and its size."""

    token: Any
    size: int
    future: Any
    since: float
    """When it was sent, by ``time.monotonic``."""


class RecordProducer:
    """The one producer of a stream's topic. Not thread-safe, except that kafka-python sends from a thread of its own."""

    def __init__(self, stream: StreamConfig) -> None:
        self._topic = stream.id.topic
        self._control_topic = stream.id.control_topic
        self._where = f"topic {self._topic}, {kafka_place(stream.kafka)}"
        self._sent: deque[Sent] = deque()
        self._in_flight = 0
        self._heard_at = 0.0
        self._offset = -1
        self._look: Callable[[int, int], None] | None = None
        self._control: Any = None
        self._producer = producer_client(
            stream.kafka,
            batch_size=_BATCH_BYTES,
            linger_ms=0,
            max_request_size=_REQUEST_BYTES,
            delivery_timeout_ms=_NEVER_MS,
            max_in_flight_requests_per_connection=5,
            max_block_ms=_BLOCK_MS,
        )

    @property
    def pending(self) -> int:
        """Records that are not acknowledged yet."""
        return len(self._sent)

    def send(self, value: bytes, token: Any = None, *, waiting: Callable[[], None] | None = None) -> None:
        """Send one record; ``token`` comes back from ``acknowledged``. Waits while too much is on its way.

        ``waiting`` is called now and then meanwhile. Raises KafkaFailure; what is wrong with an earlier record is also told by
        ``acknowledged``.
        """
        while self._in_flight > _IN_FLIGHT_BYTES_MAX and not self._sent[0].future.is_done:
            self._settle(self._sent[0].future, 1.0)
            self._check_patience()
            if waiting is not None:
                waiting()
        if self._sent and self._sent[0].future.failed():
            self._check(self._sent[0].future)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                future = self._producer.send(self._topic, value=value, partition=0)
                break
            except KafkaTimeoutError as error:  # the topic's leader is not known, maybe because there is no topic any more
                if time.monotonic() > deadline:
                    raise kafka_failure(error, "cannot send a record", self._where) from error
                if waiting is not None:
                    waiting()
            except KafkaError as error:
                raise kafka_failure(error, "cannot send a record", self._where) from error
        future.add_errback(self._stop_sending)
        self._sent.append(Sent(token, len(value), future, time.monotonic()))
        self._in_flight += len(value)

    def acknowledged(self) -> list[tuple[Any, int]]:
        """Token and offset of the records acknowledged since the last call, in order. Raises KafkaFailure, FencedError."""
        done: list[tuple[Any, int]] = []
        while self._sent and self._sent[0].future.is_done:
            sent = self._sent.popleft()
            self._in_flight -= sent.size
            done.append((sent.token, self._check(sent.future)))
            self._heard_at = time.monotonic()
        self._check_patience()
        return done

    def drain(self, timeout_s: float) -> list[tuple[Any, int]]:
        """Wait until everything is acknowledged; raises KafkaFailure where it is not within ``timeout_s``."""
        done: list[tuple[Any, int]] = []
        for sent in list(self._sent):
            self._settle(sent.future, timeout_s)
        done += self.acknowledged()
        if self._sent:
            raise KafkaFailure(
                f"{len(self._sent)} records were not acknowledged within {timeout_s:g} s", where=self._where
            )
        return done

    def expect(self, offset: int, look: Callable[[int, int], None]) -> None:
        """The next record's offset must be the one behind ``offset``. Where others stand in between, ``look`` is called with
        the first and the last of them: it raises FencedError unless they mean nothing."""
        self._offset = offset
        self._look = look

    def remember(self, record: ControlRecord) -> None:
        """Write the control record; checks the one before. Raises KafkaFailure."""
        if self._control is not None and self._control.is_done and self._control.failed():
            raise kafka_failure(self._control.exception, "cannot write the control record", self._where)
        try:
            value = msgspec.json.encode(record)
            self._control = self._producer.send(self._control_topic, key=b"control", value=value, partition=0)
        except KafkaError as error:
            raise kafka_failure(error, "cannot write the control record", self._where) from error

    def flush_control(self, timeout_s: float = 10) -> None:
        """Wait for the control record. Raises KafkaFailure."""
        if self._control is not None:
            self._settle(self._control, timeout_s)
            if not self._control.is_done or self._control.failed():
                raise kafka_failure(
                    self._control.exception or TimeoutError(), "cannot write the control record", self._where
                )

    def close(self, timeout_s: float = 5) -> None:
        """Close the connections; what was not acknowledged may or may not have arrived, and does not any more. Safe to call
        twice."""
        try:
            self._producer.flush(timeout_s)
        except KafkaError as error:  # kafka-python would leave its thread at work
            self._stop_sending(error)
        with suppress(KafkaError):
            self._producer.close(timeout=timeout_s)

    def _stop_sending(self, _: BaseException) -> None:
        """Called by kafka-python's own thread before it sends more: no later record may follow one that did not arrive."""
        self._producer._sender.force_close()

    def _check_patience(self) -> None:
        if self._sent and time.monotonic() - max(self._sent[0].since, self._heard_at) > _PATIENCE_S:
            raise KafkaFailure(
                f"{len(self._sent)} records were not acknowledged within {_PATIENCE_S:g} s",
                where=self._where,
                remedy="check that the brokers run and can be reached, and that min.insync.replicas of the topic are in sync",
            )

    def _settle(self, future: Any, timeout_s: float) -> None:
        try:
            future.get(timeout=timeout_s)
        except KafkaError:
            pass  # a time-out, or a failure that ``acknowledged`` raises in its turn

    def _check(self, future: Any) -> int:
        if future.failed():
            raise kafka_failure(future.exception, "a record was not acknowledged", self._where) from future.exception
        offset = int(future.value.offset)
        expected = self._offset + 1
        if offset < 0:  # a duplicate that the broker had dropped: the next one tells
            offset = expected
        elif self._look is not None and offset < expected:
            raise HistoryLostError(
                f"the record behind offset {self._offset} got offset {offset}: the topic was made anew",
                where=self._where,
                remedy=f"restore the topic; or {START_ANEW}",
            )
        elif self._look is not None and offset > expected:
            self._look(expected, offset - 1)
        self._offset = offset
        return offset
