"""Finds a sequence in a topic by halving: every record's header says where it stands."""

from __future__ import annotations

import time

from ..errors import KafkaFailure
from .consumer import RecordConsumer
from .wire import RecordHeader, unpack_header

__all__ = ["offset_behind"]

_TIMEOUT_S = 30.0


def offset_behind(consumer: RecordConsumer, sequence: int) -> int | None:
    """An offset from which every transaction behind ``sequence`` can be read; None: from the topic's beginning.

    Errs towards earlier offsets. Leaves the consumer assigned somewhere.
    """
    if sequence <= 0:
        return None
    consumer.assign(None)
    low = high = _first(consumer)
    end = consumer.end_offset()
    if high is None or low is None:
        return None
    high = end
    while high - low > 1:  # all of ``low`` and before is at or before the sequence
        middle = (low + high) // 2
        consumer.assign(middle)
        found = _header(consumer)
        if found is not None and found[1].first_sequence <= sequence:
            low = middle
        else:
            high = middle
    return low


def _first(consumer: RecordConsumer) -> int | None:
    found = _header(consumer)
    return None if found is None else found[0]


def _header(consumer: RecordConsumer) -> tuple[int, RecordHeader] | None:
    """Offset and header of the next record; None where there is none any more."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        records = consumer.poll(500)
        if records:
            offset, value = records[0]
            return offset, unpack_header(value)[0]
        if consumer.end_offset() <= consumer.next_offset:
            return None
    raise KafkaFailure("a record could not be read in time", remedy="check that the brokers run")
