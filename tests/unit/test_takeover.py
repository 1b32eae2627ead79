"""Taking a stream over: what the headers behind the remembered place tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from replicator.errors import HistoryLostError
from replicator.source.takeover import _find_tail, _Scan
from replicator.stream.producer import ControlRecord
from replicator.stream.wire import Kind, RecordHeader, pack_body, pack_record

FIRST = RecordHeader(Kind.DATA, "a" * 32, 1, "b" * 32, 1, 10, "0-1-10", "mariadb", 1)


def test_a_record_behind_a_gap_is_not_taken_for_the_tail() -> None:
    """What is between was never written: to go on behind it would leave it out for good."""
    scan = _Scan(None)
    scan.take(0, FIRST, "here")
    scan.take(1, replace(FIRST, first_sequence=11, last_sequence=12, resume="0-1-12"), "here")
    with pytest.raises(HistoryLostError, match="sequence 15 comes behind 12"):
        scan.take(2, replace(FIRST, first_sequence=15, last_sequence=15, resume="0-1-15"), "here")
    assert scan.tail is not None and (scan.tail.sequence, scan.tail.resume) == (12, "0-1-12")


def test_records_of_an_epoch_whose_beginning_is_gone_are_not_passed_over() -> None:
    """A late record of the source before is all that retention left in front of them: it is not where the stream ends."""
    scan = _Scan(None)
    scan.take(6, FIRST, "here")
    with pytest.raises(HistoryLostError, match="begins epoch 2 is not there"):
        scan.take(7, replace(FIRST, epoch=2, source_id="c" * 32, first_sequence=11, last_sequence=12), "here")


class Topic:
    """A topic whose first ``gone`` records were deleted."""

    def __init__(self, gone: int, *headers: RecordHeader) -> None:
        self._records = [(gone + i, pack_record(header, pack_body([], []))) for i, header in enumerate(headers)]
        self._first, self._end = gone, gone + len(headers)
        self.next_offset = 0

    def assign(self, offset: int | None) -> None:
        self.next_offset = max(offset or 0, self._first)

    def end_offset(self) -> int:
        return self._end

    def poll(self, timeout_ms: float) -> list[tuple[int, bytes]]:
        found = [record for record in self._records if record[0] >= self.next_offset]
        self.next_offset = self._end
        return found


def find(topic: Any, remembered: ControlRecord | None, known_id: str) -> Any:
    """The tail that a source finds."""
    stream: Any = SimpleNamespace(id=SimpleNamespace(topic="replicator.p.east-west.main"))
    return _find_tail(stream, topic, remembered, known_id)


@pytest.mark.parametrize("known_id", ["", "a" * 32])
def test_a_topic_without_its_records_and_their_control_record_is_lost(known_id: str) -> None:
    """Retention took all of them, and the control topic was lost: a stream that begins anew would lose what was between."""
    with pytest.raises(HistoryLostError, match="its 7 records were all deleted"):
        find(Topic(7), None, known_id)


def test_an_empty_topic_is_lost_only_where_the_origin_remembers_the_stream() -> None:
    """A first start, or one that died between making the topic and its first record, finds the same."""
    assert find(Topic(0), None, "") is None
    with pytest.raises(HistoryLostError, match="empty, but the origin remembers"):
        find(Topic(0), None, "a" * 32)


@pytest.mark.parametrize("known_id", ["", "a" * 32])
def test_what_is_left_tells_the_tail(known_id: str) -> None:
    """By the last records, or by the control record alone."""
    tail = find(Topic(7, FIRST, replace(FIRST, first_sequence=11, last_sequence=12)), None, known_id)
    assert (tail.sequence, tail.offset) == (12, 8)
    remembered = ControlRecord("a" * 32, 1, "b" * 32, 10, "0-1-10", "0-1-10", "mariadb", 6)
    tail = find(Topic(7), remembered, known_id)
    assert (tail.sequence, tail.offset) == (10, 6)
