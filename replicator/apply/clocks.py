"""How far the target's clock is from the origin's, as far as that can be known without asking the origin's host.

A heartbeat committed at the origin's time ``t`` is here at the target's time ``r``: ``r - t`` is the offset of the clocks plus
the time of the way, which is not negative. Where there is a stream back, its acknowledgements tell the same of the other
direction: the offset with the other sign, plus the time of that way. So the offset lies between the two, however long the ways
took. The smallest values of some minutes count: they had the shortest way.

A heartbeat that lay in the topic tells little, and a batch that has to know may stand before those that come: so the first time
the stream's end is asked for one, by a consumer of its own.

The origin's times are those of its database; the times of arrival are those of the appliers' hosts, which should share their
database's clock (`replicator check` compares them).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..context import now_us
from ..errors import DatabaseError, KafkaFailure, ReplicatorError, StreamError
from ..stream.acks import Ack, AckReader
from ..stream.consumer import RecordConsumer
from ..stream.wire import Kind, unpack_header

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Reporter

__all__ = ["Clocks", "Least"]

_WINDOW_S = 120.0
_LOOK_S = 1.0
_ASK_S = 5.0
_WAIT_S = 30.0
_POLL_MS = 100


class Least:
    """The smallest of the values of the last one to two windows."""

    def __init__(self) -> None:
        self._now: int | None = None
        self._before: int | None = None
        self._since = time.monotonic()

    def add(self, value: int) -> None:
        """One more."""
        if time.monotonic() - self._since > _WINDOW_S:
            self._before, self._now, self._since = self._now, None, time.monotonic()
        self._now = value if self._now is None else min(self._now, value)

    @property
    def value(self) -> int | None:
        """The smallest; None where none was seen."""
        values = [v for v in (self._now, self._before) if v is not None]
        return min(values) if values else None


class Clocks:
    """Measures the offset for one applier; ``look`` and ``heard`` are called by its main loop, ``offset_us`` by any thread."""

    def __init__(self, stream: StreamConfig, reporter: Reporter) -> None:
        self._stream = stream
        self._reporter = reporter
        self._acks = AckReader(stream.reverse) if stream.reverse is not None else None
        self._acknowledged = ("", 0, 0)
        self._there = Least()
        self._back = Least()
        self._due = 0.0
        self._measuring = threading.Lock()
        self._asking = threading.Lock()
        """Held by whoever asks Kafka."""
        self._fresh = False
        self._closed = False
        self.at_least_us: int | None = None
        """The target's clock is at least so far ahead of (negative: behind) the origin's; 0 where they may agree, None where
        nothing is known. A slow way never makes it larger."""

    def offset_us(self) -> int | None:
        """What ``at_least_us`` says once the clocks were compared; waits for that.

        Raises DatabaseError where the origin gives no sign of life in time; trying again may help.
        """
        if not self._fresh:
            with self._asking:
                self._await_beat()
        return self.at_least_us

    def heard(self, origin_time_us: int, *, fresh: bool) -> None:
        """A heartbeat arrived that the origin committed at that time; ``fresh``: and had not lain in the topic."""
        with self._measuring:
            self._there.add(now_us() - origin_time_us)
            self._measure()
            self._fresh |= fresh

    def acknowledged(self, ack: Ack) -> None:
        """The other site applied something of this one, as it said then."""
        told = (ack.stream_id, ack.sequence, ack.origin_time_us)
        if ack.origin_time_us and told != self._acknowledged:
            self._acknowledged = told
            with self._measuring:
                self._back.add(ack.applied_time_us - ack.origin_time_us)
                self._measure()

    def look(self) -> None:
        """Learn how heartbeats of this site arrived at the other one; cheap to call often."""
        now = time.monotonic()
        if self._acks is None or now < self._due or not self._asking.acquire(blocking=False):
            return
        try:
            self._due = now + _LOOK_S
            self._learn(self._acks, 0)
        finally:
            self._asking.release()

    def ask(self) -> None:
        """Learn what both directions' acknowledgements tell by now: for who hears no heartbeats."""
        there = AckReader(self._stream)
        try:
            ack = there.latest(_ASK_S)
        except (KafkaFailure, StreamError):
            ack = None
        finally:
            there.close()
        with self._asking:
            if self._acks is not None:
                self._learn(self._acks, _ASK_S)
        if ack is not None and ack.origin_time_us:
            with self._measuring:
                self._there.add(ack.applied_time_us - ack.origin_time_us)
                self._measure()
                self._fresh = True

    def _learn(self, acks: AckReader, timeout_s: float) -> None:
        try:
            ack = acks.latest(timeout_s)
        except (KafkaFailure, StreamError):
            return  # nothing is learned now; who needs the stream back notices too
        if ack is not None:
            self.acknowledged(ack)

    def _await_beat(self) -> None:
        """Wait until a heartbeat comes in at the stream's end."""
        if self._acks is not None and self._back.value is None:
            self._learn(self._acks, _ASK_S)
        consumer = RecordConsumer(self._stream)
        try:
            consumer.assign(None)
            consumer.assign(consumer.end_offset())
            deadline = time.monotonic() + _WAIT_S
            while not self._fresh:
                for _, value in consumer.poll(_POLL_MS):
                    header = unpack_header(value)[0]
                    if header.kind == Kind.HEARTBEAT and header.origin_time_us:
                        self.heard(header.origin_time_us, fresh=True)
                if self._closed:
                    raise ReplicatorError("rolled back: the applier ends")
                if not self._fresh and time.monotonic() > deadline:
                    raise self._unknown()
        finally:
            consumer.close()

    def _unknown(self) -> DatabaseError:
        origin = self._stream.origin.name
        return DatabaseError(
            "a conflict is to be settled by commit times, and how far the sites' clocks are apart is not yet known: "
            f"no heartbeat of {origin} came for {_WAIT_S:.0f} s",
            where=f"stream {self._stream.id}",
            remedy=f"check the source of {origin}, and that it may write its heartbeat there; the applier goes on by itself. If "
            f"{origin} will not come back, set a policy that needs no commit times (docs/CONFLICTS.md)",
        )

    def close(self) -> None:
        """Close the connection, and wait for nothing any more; safe to call twice."""
        self._closed = True
        if self._acks is not None:
            with self._asking:
                self._acks.close()

    def _measure(self) -> None:
        most, back = self._there.value, self._back.value
        if most is None:
            return
        least = None if back is None else -back
        self.at_least_us = most if most < 0 else max(0, least or 0)
        if least is not None:
            self._reporter.gauge("clock_offset_seconds", round((most + least) / 2e6, 6))
            self._reporter.gauge("clock_uncertainty_seconds", round(abs(most - least) / 2e6, 6))
