"""What a worker process reports about itself: one frozen snapshot, sent to the supervisor as a line of JSON.

All times are microseconds since the epoch, UTC; 0 means never. All positions are GTID set texts.
"""

from __future__ import annotations

import msgspec

__all__ = ["ErrorReport", "StageStatus", "WorkerStatus"]


class StageStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one stage of the way (`read`, `acknowledged`, `fetched`, `applied`, `confirmed`) has come."""

    sequence: int = 0
    """Sequence of the last transaction that passed this stage."""
    gtid: str = ""
    """GTID of that transaction (one GTID, not a set)."""
    origin_time_us: int = 0
    """Commit time at the origin of the last transaction or heartbeat that passed."""
    passed_time_us: int = 0
    """When it passed, by this host's clock."""


class ErrorReport(msgspec.Struct, frozen=True):
    """The last error of a worker, with its remedy."""

    what: str
    where: str
    remedy: str
    kind: str
    time_us: int
    retry: bool


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker's snapshot."""

    role: str
    pair: str
    origin: str
    target: str
    stream: str
    pid: int
    state: str
    time_us: int
    """When the snapshot was taken."""
    progress: int = 0
    """Rises whenever the worker's loop goes round; a watchdog that sees it stand still knows that it hangs."""
    epoch: int = 0
    stages: dict[str, StageStatus] = {}
    position: str = ""
    """The GTID set read (source) or applied (applier)."""
    counters: dict[str, float] = {}
    """Monotonic counts, by metric name without prefix and suffix, labels after a `|`: `conflicts|type=...,policy=...`."""
    gauges: dict[str, float] = {}
    error: ErrorReport | None = None
    note: str = ""
    """One sentence on what it is doing, for `status` and systemd's STATUS=."""
