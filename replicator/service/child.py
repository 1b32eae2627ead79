"""One worker as the supervisor sees it: its process, its last snapshots, when to start it again.

The supervisor calls ``start``, ``read`` and ``reap``; all decisions on restarts are here:

- asked to go on (exit 76): at once;
- any other end: after a delay that doubles from 0.25 s to 30 s while no run comes to anything;
- ten crashes in a row that came to nothing (not errors that the worker reported, and not SIGKILL, which comes from
  outside): the worker is started in hold, stopped with that error, until an operator says `resume`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from ..config import StreamConfig
from ..context import now_us
from ..model import Role, State
from ..observe.status import ErrorReport, StageStatus, WorkerStatus
from ..observe.view import WorkerView
from .worker import EXIT_AGAIN, EXIT_RETRY

__all__ = ["CRASHES_MAX", "Child", "Command", "Launch", "default_command"]

FIRST_DELAY_S = 0.25
LAST_DELAY_S = 30.0
CRASHES_MAX = 10
_SETTLED_S = 2.0
"""Streaming for so long, or with anything that passed, a run counts as having come to something."""
_LINE_BYTES_MAX = 1 << 22

Command = Callable[["Launch"], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Launch:
    """What a worker process is told."""

    config: Path
    text: str
    """The configuration's content, written to its standard input."""
    role: Role
    stream: str
    status_fd: int
    log_form: str
    log_level: str
    hold: ErrorReport | None = None


def default_command(launch: Launch) -> list[str]:
    """The command line of a worker process."""
    command = [sys.executable, "-m", "replicator.service.worker", "--config", str(launch.config)]
    command += ["--role", launch.role.value, "--stream", launch.stream, "--status-fd", str(launch.status_fd)]
    command += ["--parent", str(os.getpid()), "--log", launch.log_form, "--level", launch.log_level]
    if launch.hold is not None:
        command += ["--hold", msgspec.json.encode(launch.hold).decode()]
    return command


class Child:
    """One worker; only the supervisor's thread calls its methods, any thread may take its ``view``."""

    def __init__(
        self, stream: StreamConfig, role: Role, command: Command = default_command, crashes_max: int = CRASHES_MAX
    ) -> None:
        self.stream = stream
        self.role = role
        self.restarts = 0
        self.start_at = 0.0
        """When to start it (monotonic); 0: at once."""
        self.descriptor = -1
        """Where its snapshots come from; -1 while there is no process."""
        self.progressed_at = time.monotonic()
        """When its progress last rose, or there was no process that could hang."""
        self._command = command
        self._crashes_max = crashes_max
        self._log = structlog.get_logger().bind(role=role.value, stream=str(stream.id))
        self._process: subprocess.Popen[bytes] | None = None
        self._held = b""
        self._status: WorkerStatus | None = None
        self._stages: dict[str, StageStatus] = {}
        self._counted: dict[str, float] = {}  # by earlier processes
        self._error: ErrorReport | None = None
        self._hold: ErrorReport | None = None
        self._attempts = 0
        self._crashes = 0
        self._streaming_since = 0.0
        self._came_to_something = False
        self._ending = False  # we asked it to

    def __repr__(self) -> str:
        return f"<Child {self.role} {self.stream.id} pid={self.pid} {self.view().state}>"

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether it has a process."""
        return self._process is not None

    @property
    def reported(self) -> bool:
        """Whether it ever said how it does."""
        return self._status is not None

    def view(self) -> WorkerView:
        """What is known of it now."""
        status, alive = self._status, self.alive
        state = State(status.state) if status is not None else State.STARTING
        if not alive and state is not State.STOPPED:
            state = State.RETRYING if self._error is not None else State.STARTING
        counters = dict(self._counted)
        for name, value in (status.counters if status is not None else {}).items():
            counters[name] = counters.get(name, 0) + value
        return WorkerView(
            stream=self.stream.id,
            role=self.role.value,
            alive=alive,
            restarts=self.restarts,
            status=status,
            stages=dict(self._stages),
            counters=counters,
            error=self._error,
            note=status.note if status is not None and alive else (self._error.what if self._error else "starting"),
            state=state,
            still_s=time.monotonic() - self.progressed_at if alive else 0.0,
        )

    def start(self, config: Path, text: str, log_form: str, log_level: str) -> None:
        """Start its process."""
        assert self._process is None
        reading, writing = os.pipe()
        launch = Launch(config, text, self.role, str(self.stream.id), writing, log_form, log_level, self._hold)
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            self._command(launch),
            stdin=subprocess.PIPE,
            pass_fds=(writing,),
            # Its own group: Ctrl-C is for the supervisor alone, which then stops the workers in order.
            process_group=0,
        )
        os.close(writing)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it is dead already; ``reap`` will see it
        os.set_blocking(reading, False)
        self.descriptor = reading
        self.progressed_at = time.monotonic()
        self._streaming_since = 0.0
        self._came_to_something = False
        self._held = b""
        self._hold = None
        self._ending = False
        if self._status is not None:  # what the process before it said is history, apart from how far it had come
            self._status = msgspec.structs.replace(
                self._status, state=State.STARTING.value, note="starting", pid=self._process.pid, progress=0
            )

    def read(self) -> None:
        """Take the snapshots that have come."""
        while self.descriptor >= 0:
            try:
                piece = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return
            if not piece:
                os.close(self.descriptor)
                self.descriptor = -1
                return
            *lines, self._held = (self._held + piece).split(b"\n")
            for line in lines:
                self._take(msgspec.json.decode(line, type=WorkerStatus))
            if len(self._held) > _LINE_BYTES_MAX:
                self._held = b""  # only a defect writes such a line; the next one is whole again

    def _take(self, status: WorkerStatus) -> None:
        now = time.monotonic()
        last = self._status
        if last is None or status.pid != last.pid or status.progress != last.progress:
            self.progressed_at = now
        self._stages.update(status.stages)
        if status.state == State.STREAMING:
            self._streaming_since = self._streaming_since or now
            if status.stages or now - self._streaming_since >= _SETTLED_S:
                self._came_to_something = True
        if status.error is not None:
            self._error = status.error
        elif self._came_to_something:
            self._error = None
        self._status = status

    def reap(self) -> bool:
        """Notice the process's end and plan the next one; whether it ended."""
        if self._process is None or self._process.poll() is None:
            return False
        self.read()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        code = self._process.returncode
        self._process = None
        if self._status is not None:
            for name, value in self._status.counters.items():
                self._counted[name] = self._counted.get(name, 0) + value
            self._status = msgspec.structs.replace(self._status, counters={}, gauges={})
        self.progressed_at = time.monotonic()
        self.restarts += 1
        self._plan(code)
        return True

    def _plan(self, code: int) -> None:
        if code == EXIT_AGAIN:
            self._attempts = self._crashes = 0
            self.start_at = 0.0
            self._error = None
            return
        if self._came_to_something:
            self._attempts = self._crashes = 0
        self._attempts += 1
        delay = min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._attempts - 1, 20))
        self.start_at = time.monotonic() + delay
        if code in (0, EXIT_RETRY) or self._ending:
            self._crashes = 0
            return
        killed = code == -signal.SIGKILL
        self._crashes += not killed
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        times = f", {self._crashes} times in a row" if self._crashes > 1 else ""
        self._error = ErrorReport(
            what=f"the worker process {how}{times}",
            where=str(self.stream.id),
            remedy="see the log before this line; out of memory or a defect, if nobody killed it",
            kind="Crash",
            time_us=now_us(),
            retry=killed or self._crashes < self._crashes_max,
        )
        self._log.error("crashed", error=self._error.what, next_try_s=round(delay, 2))
        if not self._error.retry:
            self._hold = self._error
            self._crashes = 0
            self.start_at = 0.0

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, or (by SIGKILL) end it."""
        self._ending = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def hurry(self) -> None:
        """Don't wait any longer for the next start."""
        self.start_at = 0.0
        self._attempts = 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
