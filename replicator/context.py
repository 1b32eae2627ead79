"""What a worker (a source or an applier of one stream) is handed: its clock, its pause points, its way to report."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from .errors import ReplicatorError
from .model import Role, State, StreamId
from .observe.status import ErrorReport, StageStatus, WorkerStatus

__all__ = ["PausePoints", "Reporter", "Waits", "Worker", "now_us"]

_TELL_S = 5.0


def now_us() -> int:
    """Microseconds since the epoch, UTC, by this host's clock."""
    return time.time_ns() // 1000


class PausePoints:
    """Named places where a test may stop the process dead, to kill it exactly there.

    ``REPLICATOR_PAUSE_AT=name`` or ``name:N`` (the N-th passage) makes the process write its pid to the file
    ``REPLICATOR_PAUSE_FILE`` and stop itself (SIGSTOP). Without it, ``hit`` does nothing.
    """

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        point = env.get("REPLICATOR_PAUSE_AT", "")
        name, _, nth = point.rpartition(":")  # names hold a colon themselves: ``source:acknowledged``
        self._name, self._left = (name, int(nth)) if nth.isdigit() else (point, 1)
        self._file = env.get("REPLICATOR_PAUSE_FILE", "")

    def hit(self, name: str) -> None:
        """Pass the point ``name``."""
        if name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            if self._file:
                Path(self._file).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)


class Reporter:
    """Collects one worker's progress; any thread may write, ``snapshot`` reads a consistent enough picture."""

    def __init__(self, role: Role, stream: StreamId) -> None:
        self.role = role
        self.stream = stream
        self.state: State = State.STARTING
        self.note = "starting"
        self.progress = 0
        self.epoch = 0
        self.position = ""
        self.stages: dict[str, StageStatus] = {}
        self.counters: dict[str, float] = {}
        self._lock = threading.Lock()
        self.gauges: dict[str, float] = {}
        self.error: ErrorReport | None = None
        self.changed = threading.Event()
        """Set when the state changed, so that it is reported at once."""

    def tick(self) -> None:
        """Say that the worker's loop went round once more."""
        self.progress += 1

    def set_state(self, state: State, note: str) -> None:
        """Change the state; ``note`` is one sentence for people."""
        self.note = note
        if state is not self.state:
            self.state = state
            self.changed.set()
        if state is State.STREAMING:
            self.error = None

    def fail(self, error: BaseException, state: State) -> None:
        """Record the error that ended or interrupted the work."""
        if isinstance(error, ReplicatorError):
            what, where, remedy, retry = error.what, error.where, error.remedy, error.retry
        else:
            what, where = f"{type(error).__name__}: {error}", ""
            remedy, retry = "this is a defect of replicator; report it with the log around this line", False
        self.error = ErrorReport(what, where, remedy, type(error).__name__, now_us(), retry)
        self.set_state(state, what)
        self.changed.set()

    def stage(self, name: str, sequence: int, gtid: str, origin_time_us: int) -> None:
        """A transaction or heartbeat passed the stage ``name``."""
        self.stages[name] = StageStatus(sequence, gtid, origin_time_us, now_us())

    def count(self, name: str, by: float = 1) -> None:
        """Raise a counter."""
        with self._lock:
            self.counters[name] = self.counters.get(name, 0) + by

    def gauge(self, name: str, value: float | None) -> None:
        """Set a gauge; None: it is not known any more."""
        if value is None:
            self.gauges.pop(name, None)
        else:
            self.gauges[name] = value

    def snapshot(self) -> WorkerStatus:
        """The present picture."""
        s = self.stream
        return WorkerStatus(
            role=self.role.value,
            pair=s.pair,
            origin=s.origin,
            target=s.target,
            stream=s.stream,
            pid=os.getpid(),
            state=self.state.value,
            time_us=now_us(),
            progress=self.progress,
            epoch=self.epoch,
            stages=dict(self.stages),
            position=self.position,
            counters=dict(self.counters),
            gauges=dict(self.gauges),
            error=self.error,
            note=self.note,
        )


class Waits:
    """Counts, as ``wait_seconds`` by cause, what a worker waits for, so that it can say what limits it."""

    def __init__(self, reporter: Reporter, *causes: str) -> None:
        self._reporter = reporter
        self._causes = causes
        self._told_at = time.monotonic()
        self._told = dict.fromkeys(causes, 0.0)

    def add(self, cause: str, seconds: float) -> None:
        """So long nothing could be done for that cause."""
        self._reporter.count(f"wait_seconds|cause={cause}", seconds)

    def tell(self, sentence: Callable[..., str]) -> None:
        """Every few seconds, while streaming: say what limits the worker, by a sentence made of the causes' shares."""
        shares = self.shares()
        if shares is not None and self._reporter.state is State.STREAMING:
            self._reporter.set_state(State.STREAMING, f"streaming, {sentence(*shares)}")

    def shares(self) -> list[int] | None:
        """Every few seconds: of the time since the last answer, the percentage of each cause. In between None."""
        passed = time.monotonic() - self._told_at
        if passed < _TELL_S:
            return None
        counters = self._reporter.counters
        spent = {cause: counters.get(f"wait_seconds|cause={cause}", 0.0) for cause in self._causes}
        shares = [int(100 * (spent[cause] - self._told[cause]) / passed) for cause in self._causes]
        self._told_at, self._told = time.monotonic(), spent
        return shares


@dataclass
class Worker:
    """What a worker function is handed: how to report, when to stop, where to pause for tests, where to log."""

    reporter: Reporter
    stop: threading.Event
    """Set when the worker shall drain or roll back what it holds and return."""
    pauses: PausePoints
    log: structlog.typing.FilteringBoundLogger
