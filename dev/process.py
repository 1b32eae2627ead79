"""One server process: started in its own session, found again by its pid file, and never mistaken for a stranger's.

A server's command line always names a file inside its own folder. Before any signal is sent, ``/proc/PID/cmdline`` must
show that: a pid file may be stale and its number in use by something else.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from .errors import DevError

__all__ = ["ServerProcess", "popen_tied"]


class ServerProcess:
    """The process that serves from ``folder``; may have been started by another process than this one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid_file = folder / "pid"
        self._child: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<ServerProcess pid={self.pid} folder={self._folder}>"

    @property
    def pid(self) -> int | None:
        """The running server's pid; None when it does not run."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if _is_ours(pid, self._folder) else None

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str], output: Path, die_with_parent: bool) -> None:
        """Start ``argv`` with both outputs appended to the file ``output``.

        ``argv`` must name a path inside the folder. With ``die_with_parent`` the kernel kills the server (SIGKILL) when
        the calling process ends, however it ends. Raises DevError when a server of this folder runs already.
        """
        if not any(_names(arg, self._folder) for arg in argv):
            raise DevError("a server's command line must name its folder", where=str(self._folder))
        if self.pid is not None:
            raise DevError(f"a server runs here already, pid {self.pid}", where=str(self._folder), remedy="Stop it first.")
        if die_with_parent:
            self._child = popen_tied(argv, {**os.environ, **env}, output, "KILL")
        else:
            self._child = _popen(argv, {**os.environ, **env}, output)
        partial = self._pid_file.with_suffix(".partial")
        partial.write_text(str(self._child.pid))
        partial.rename(self._pid_file)

    def wait_end(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the process to end; True when it does not run (any more)."""
        pid = self._child.pid if self._child is not None else self.pid
        if pid is None:
            return True
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            ended = bool(select.select([handle], [], [], timeout)[0])
        finally:
            os.close(handle)
        if ended and self._child is not None:
            self._child.wait()
            self._child = None
        return ended

    def end(self, sig: signal.Signals, timeout: float) -> None:
        """Send ``sig`` and wait for the end; does nothing when the server does not run. Raises DevError on timeout."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, sig)
            if not self.wait_end(timeout):
                raise DevError(
                    f"server {pid} did not end within {timeout:g} s of {sig.name}",
                    where=str(self._folder),
                    remedy="See its log there; kill() ends it without waiting.",
                )
        self._pid_file.unlink(missing_ok=True)


def popen_tied(argv: Sequence[str], env: Mapping[str, str], output: Path, death_signal: str) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a session of its own; it gets ``death_signal`` when this process ends, however it ends.

    The signal follows the *thread* that started the child, so a thread that lives as long as the process starts it; the
    caller's own thread may end earlier.
    """
    tied = ["setpriv", "--pdeathsig", death_signal, *argv]
    return _lasting_thread(os.getpid()).submit(_popen, tied, env, output).result()


def _popen(argv: Sequence[str], env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as log:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@cache
def _lasting_thread(pid: int) -> ThreadPoolExecutor:
    """One per process: after a fork, the parent's threads do not exist in the child."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="dev-spawn")


def _is_ours(pid: int, folder: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(_names(arg, folder) for arg in arguments)  # a zombie has no arguments, and counts as ended


def _names(argument: str, folder: Path) -> bool:
    return f"{folder}/" in argument
