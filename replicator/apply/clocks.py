"""How far the target's clock is from the origin's, as far as that can be known without asking the origin's host.

A heartbeat committed at the origin's time ``t`` is here at the target's time ``r``: ``r - t`` is the offset of the clocks plus
the time of the way, which is not negative. Where there is a stream back, its acknowledgements tell the same of the other
direction: the offset with the other sign, plus the time of that way. So the offset lies between the two, however long the ways
took. The smallest values of some minutes count: they had the shortest way.

The origin's times are those of its database; the times of arrival are those of the appliers' hosts, which should share their
database's clock (`replicator check` compares them).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..context import now_us
from ..errors import KafkaFailure, StreamError
from ..stream.acks import AckReader

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Reporter

__all__ = ["Clocks", "Least"]

_WINDOW_S = 120.0
_LOOK_S = 1.0
_ASK_S = 5.0


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
    """Measures the offset for one applier; ``look`` and ``heard`` are called by its main loop."""

    def __init__(self, stream: StreamConfig, reporter: Reporter) -> None:
        self._stream = stream
        self._reporter = reporter
        self._acks = AckReader(stream.reverse) if stream.reverse is not None else None
        self._acknowledged = ("", 0, 0)
        self._there = Least()
        self._back = Least()
        self._due = 0.0
        self.at_least_us: int | None = None
        """The target's clock is at least so far ahead of (negative: behind) the origin's; 0 where they may agree, None where
        nothing is known. A slow way never makes it larger."""

    def heard(self, origin_time_us: int) -> None:
        """A heartbeat arrived that the origin committed at that time."""
        self._there.add(now_us() - origin_time_us)
        self._measure()

    def look(self) -> None:
        """Learn how heartbeats of this site arrived at the other one; cheap to call often."""
        now = time.monotonic()
        if self._acks is None or now < self._due:
            return
        self._due = now + _LOOK_S
        self._learn(self._acks, 0)

    def ask(self) -> None:
        """Learn what both directions' acknowledgements tell by now: for who hears no heartbeats."""
        there = AckReader(self._stream)
        try:
            ack = there.latest(_ASK_S)
        except (KafkaFailure, StreamError):
            ack = None
        finally:
            there.close()
        if ack is not None and ack.origin_time_us:
            self._there.add(ack.applied_time_us - ack.origin_time_us)
        if self._acks is not None:
            self._learn(self._acks, _ASK_S)
        self._measure()

    def _learn(self, acks: AckReader, timeout_s: float) -> None:
        try:
            ack = acks.latest(timeout_s)
        except (KafkaFailure, StreamError):
            return  # nothing is learned now; who needs the stream back notices too
        if ack is None or not ack.origin_time_us:
            return
        told = (ack.stream_id, ack.sequence, ack.origin_time_us)
        if told != self._acknowledged:
            self._acknowledged = told
            self._back.add(ack.applied_time_us - ack.origin_time_us)
            self._measure()

    def close(self) -> None:
        """Close the connection."""
        if self._acks is not None:
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
