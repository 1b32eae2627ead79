"""What is known of the clocks' offset, from heartbeats in one direction and acknowledgements in the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.apply import clocks as module
from replicator.apply.clocks import Clocks, Least
from replicator.config import load_config
from replicator.context import Reporter
from replicator.model import Role
from replicator.stream.acks import Ack

NOW = 1_700_000_000_000_000
MS = 1000
CONFIG = """sites:
  east: {database: {port: 1}, kafka: {bootstrap_servers: ["127.0.0.1:1"]}}
  west: {database: {port: 2}}
pairs:
- {name: p, mode: bidirectional, origin: east, target: west, kafka: east}
"""


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Of the applier at west, whose clock stands still."""
    monkeypatch.setattr(module, "now_us", lambda: NOW)
    stream = next(s for s in load_config(Path("replicator.yaml"), text=CONFIG).streams() if s.id.origin == "east")
    return Clocks(stream, Reporter(Role.APPLIER, stream.id))


def acknowledge(clocks: Clocks, at_ms: int, sequence: int = 1, written_ms: int = 0) -> None:
    """East applied at that time, by its clock, what west committed at another by its own; both count from now."""
    origin_us = NOW + written_ms * MS
    clocks.acknowledged(Ack("s", 1, sequence, "", "", origin_us, NOW + at_ms * MS))


@pytest.mark.parametrize(
    ("beat_ms", "ack_ms", "at_least_ms"),
    [
        (-30, 40, 0),  # both ways took as long as they may have
        (-30, None, 0),
        (-9000, 40, 0),  # a slow way is no offset
        (-30, 9000, 0),
        (5000, None, -5000),  # a heartbeat before it was written: west is behind
        (5000, 5040, -5000),
        (-5030, -5000, 5000),  # an acknowledgement before what it acknowledges was written: west is ahead
        (-9000, -5000, 5000),
    ],
)
def test_an_offset_is_what_no_way_explains(clocks: Clocks, beat_ms: int, ack_ms: int | None, at_least_ms: int) -> None:
    """East's heartbeat by its clock, and when it says that it applied west's."""
    if ack_ms is not None:
        acknowledge(clocks, ack_ms)
        assert clocks.at_least_us is None, "one direction tells nothing of the other"
    clocks.heard(NOW + beat_ms * MS, fresh=True)
    assert clocks.at_least_us == clocks.offset_us() == at_least_ms * MS


def test_the_shortest_way_counts(clocks: Clocks) -> None:
    """Gauges hold the middle and how far the truth may be from it; an acknowledgement without a time tells nothing."""
    clocks.heard(NOW - 100 * MS, fresh=False)
    acknowledge(clocks, 700, 1)
    acknowledge(clocks, 60, 2)
    acknowledge(clocks, 900, 3)
    gauges = clocks._reporter.gauges
    assert gauges == {"clock_offset_seconds": 0.02, "clock_uncertainty_seconds": 0.08}
    clocks.acknowledged(Ack("s", 1, 4, "", "", 0, NOW - 3600_000 * MS))
    acknowledge(clocks, -5000, 3, written_ms=-5900)
    acknowledge(clocks, 50, 3, written_ms=-10)
    assert gauges == {"clock_offset_seconds": 0.02, "clock_uncertainty_seconds": 0.08}
    acknowledge(clocks, 30, 5)
    assert gauges["clock_uncertainty_seconds"] == 0.065
    clocks.close()


def test_what_was_smallest_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one to two windows: clocks are set right now and then."""
    at = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])
    least = Least()
    assert least.value is None
    least.add(5)
    least.add(9)
    assert least.value == 5
    for passed, added, value in ((121, 8, 5), (240, 9, 5), (242, 7, 7), (500, 30, 7), (700, 40, 30)):
        at[0] = passed
        least.add(added)
        assert least.value == value, passed
