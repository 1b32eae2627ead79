"""One worker process: runs the source or the applier of one stream and reports to the supervisor.

It gets the configuration's text on standard input (the very text that the supervisor checked), sends a snapshot as a line of
JSON to the file descriptor ``--status-fd`` ten times a second and at every change of state, and ends with

=====  =====================================================================
0      asked to stop, and done
75     an error that another try may mend: start me again after a while
76     an operator said `resume` after a stop: start me again at once
=====  =====================================================================

After an error that no retry mends the process stays, holds its position and reports the error, until `resume`.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from ..config import StreamConfig, load_config
from ..context import PausePoints, Reporter, Worker
from ..control import Control
from ..errors import ReplicatorError
from ..model import Role, State
from ..observe.status import ErrorReport
from .logging import configure_logging

__all__ = ["EXIT_AGAIN", "EXIT_RETRY", "Function", "main"]

EXIT_RETRY = 75
EXIT_AGAIN = 76
_PR_SET_PDEATHSIG = 1
_REPORT_S = 0.1
_SWITCH_S = 0.0005
"""How long a thread may hold the interpreter when another one wants it. By Python's own 5 ms, an answer of the database or of
Kafka waits so long for a batch that is being planned."""
_COLLECT = (50_000, 20, 50)
"""The collector's thresholds: batches make objects by the thousand, and none of them in cycles."""
_HOLD_POLL_S = 1.0

Function = Callable[[StreamConfig, Worker], None]


def main(argv: Sequence[str] | None = None, functions: Mapping[Role, Function] | None = None) -> NoReturn:
    """Run one worker to its end. ``functions`` are the roles' functions; by default the real ones."""
    parser = argparse.ArgumentParser(prog="python -m replicator.service.worker")
    for option in ("config", "role", "stream", "log", "level"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--hold", help="a JSON error to hold in instead of working")
    args = parser.parse_args(argv)
    _die_with(args.parent)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    configure_logging(args.log, args.level)
    sys.setswitchinterval(_SWITCH_S)
    role = Role(args.role)
    stream = load_config(Path(args.config), text=sys.stdin.read()).stream(args.stream)
    log = structlog.get_logger().bind(role=role.value, stream=str(stream.id))
    reporter = Reporter(role, stream.id)
    sender = _Sender(reporter, args.status_fd, log)
    worker = Worker(reporter, stop, PausePoints(), log)
    if args.hold:
        reporter.error = msgspec.json.decode(args.hold, type=ErrorReport)
        reporter.set_state(State.STOPPED, reporter.error.what)
        code = _hold(stream, worker)
    else:
        code = _run(functions[role] if functions else _function(role), stream, worker)
    sender.finish()
    # Not sys.exit: a thread that a failed role left behind must not keep the process.
    sys.stderr.flush()
    os._exit(code)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when the supervisor is gone: two supervisors' workers must not mix."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before we asked
        os._exit(1)


def _function(role: Role) -> Function:
    # Imported here, so that a source does not pay for the applier's modules, nor the other way round.
    if role is Role.SOURCE:
        from ..source.worker import run_source

        return run_source
    from ..apply.worker import run_applier
    from ..source.target_log import TargetLog

    return partial(run_applier, read_log=TargetLog)


def _run(function: Function, stream: StreamConfig, worker: Worker) -> int:
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    try:
        function(stream, worker)
    except ReplicatorError as error:
        if worker.stop.is_set():
            worker.log.warning("an error while stopping", error=error.what, where=error.where)
            return 0
        if error.retry:
            worker.reporter.fail(error, State.RETRYING)
            return EXIT_RETRY
        worker.reporter.fail(error, State.STOPPED)
    except Exception as error:
        # Whatever it is, the flow stops where it is, and says so.
        worker.log.error("a defect", exc_info=error)
        if worker.stop.is_set():
            return 0
        worker.reporter.fail(error, State.STOPPED)
    else:
        if worker.stop.is_set():
            return 0
        worker.reporter.fail(
            ReplicatorError("the worker ended without being asked to", remedy="see the log before this line", retry=True),
            State.RETRYING,
        )
        return EXIT_RETRY
    return _hold(stream, worker)


def _hold(stream: StreamConfig, worker: Worker) -> int:
    """Stay stopped until an operator says `resume` (its generation rises) or the daemon stops."""
    control = Control(stream, worker.reporter.role)
    first: int | None = None
    while not worker.stop.wait(_HOLD_POLL_S if first is not None else 0):
        worker.reporter.tick()
        try:
            generation = control.generation()
        except ReplicatorError:
            if worker.stop.wait(_HOLD_POLL_S):  # the database is away, or its password: neither is news here
                break
            continue
        if first is None:
            first = generation
        elif generation > first:
            worker.log.info("resumed by an operator")
            control.close()
            return EXIT_AGAIN
    control.close()
    return 0


class _Sender:
    """Sends snapshots from a thread of its own, and logs each change of state."""

    def __init__(self, reporter: Reporter, descriptor: int, log: structlog.typing.FilteringBoundLogger) -> None:
        self._reporter = reporter
        self._descriptor = descriptor
        self._log = log
        self._logged: tuple[str, str] = ("", "")
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="status", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while not self._end.is_set():
            self._reporter.changed.wait(_REPORT_S)
            self._reporter.changed.clear()
            self._send()

    def _send(self) -> None:
        with self._lock:
            snapshot = self._reporter.snapshot()
            error = snapshot.error
            key = (snapshot.state, error.what if error else "")
            if key != self._logged:
                self._logged = key
                if error is not None and snapshot.state in (State.STOPPED, State.RETRYING):
                    write = self._log.error if snapshot.state == State.STOPPED else self._log.warning
                    write(snapshot.state, error=error.what, where=error.where, remedy=error.remedy, kind=error.kind)
                else:
                    self._log.info(snapshot.state, note=snapshot.note, epoch=snapshot.epoch)
            line = msgspec.json.encode(snapshot) + b"\n"
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except OSError:
                    return  # the supervisor is gone, and the kernel will end us too

    def finish(self) -> None:
        """Send the last snapshot; the supervisor must know why we end."""
        self._end.set()
        self._send()


if __name__ == "__main__":
    main()
