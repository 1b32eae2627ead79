"""The daemon of a site: starts a worker process per role of each stream, keeps them going, answers over HTTP.

One loop, in one thread: snapshots and signals in, starts and notifications out. The HTTP server reads ``views`` from its
own threads.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from ..config import Config, StreamConfig, load_config
from ..model import Role, State
from ..observe.http import HttpServer
from ..observe.lag import SiteView
from ..observe.view import WorkerView
from .child import CRASHES_MAX, Child, Command, default_command
from .systemd import Notifier

__all__ = ["Supervisor", "read_config"]

STOP_S = 10.0
"""Within which everything is drained or rolled back after SIGTERM."""
_KILL_S = STOP_S - 1.0
_TURN_S = 0.2
_STALE_S = 60.0
"""Without systemd's own interval: a worker whose progress stands still for so long does not let the watchdog be fed."""

Key = tuple[str, Role]


class Supervisor:
    """``run`` until SIGTERM or SIGINT. Signals are handled only while it runs."""

    def __init__(
        self,
        config: Config,
        text: str,
        site: str,
        *,
        role: Role | None = None,
        listen: str | None = None,
        log_form: str = "auto",
        log_level: str = "info",
        command: Command = default_command,
        crashes_max: int = CRASHES_MAX,
        notifier: Notifier | None = None,
    ) -> None:
        self.config = config
        self.site = site
        self._text = text
        self._role = role
        self._listen = listen or config.http_of(site).listen
        self._listen_given = listen is not None
        self._log_form, self._log_level = log_form, log_level
        self._command = command
        self._crashes_max = crashes_max
        self._notifier = notifier or Notifier()
        self._log = structlog.get_logger().bind(site=site)
        self._children: dict[Key, Child] = {}
        self._leaving: list[Child] = []  # no longer wanted, but not gone yet
        self._selector = selectors.DefaultSelector()
        self._turned_at = time.monotonic()
        self._ready = False
        self._fed_at = 0.0
        self._reload_note = ""
        for key, stream in self._wanted(config).items():
            self._children[key] = Child(stream, key[1], command, crashes_max)

    def views(self) -> list[WorkerView]:
        """All workers as they are now; for other threads."""
        return [child.view() for child in list(self._children.values())]

    def site_view(self) -> SiteView:
        """Everything that /lag and the others show."""
        limits = {pair.name: pair.lag_limits for pair in self.config.pairs}
        seconds = {name: (limit.warn_seconds, limit.critical_seconds) for name, limit in limits.items()}
        loop_age_s = time.monotonic() - self._turned_at
        return SiteView(
            self.site, self.views(), loop_age_s=loop_age_s, limits=seconds, note=self._reload_note, roles=self._roles
        )

    @property
    def _roles(self) -> str:
        return self._role.value if self._role else " or ".join(Role)

    def _warn_if_idle(self) -> None:
        """Not refused: pairs may come to the file later, and a site may be made ready before."""
        if not self._children:
            remedy = "correct --site, --role or the pairs, then SIGHUP or restart the daemon"
            self._log.warning("no stream of this configuration runs here", role=self._roles, remedy=remedy)

    def run(self) -> int:
        """Work until told to stop; returns the exit code. Raises ReplicatorError where the HTTP address is taken."""
        http = HttpServer(self._listen, self.site_view)
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, _noted) for number in handled}
        wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ, None)
        self._log.info("started", pid=os.getpid(), listen=self._listen, workers=len(self._children))
        self._warn_if_idle()
        try:
            http.start()
            self._loop(reading)
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            http.close()
            self._kill(self._everyone())
            self._selector.close()
            reading.close()
            writing.close()
        self._log.info("stopped")
        return 0

    def _loop(self, signals: socket.socket) -> None:
        while True:
            numbers = self._turn(signals)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._stop(signals)
                return
            if signal.SIGHUP in numbers:
                self._reload()

    def _turn(self, signals: socket.socket, *, start: bool = True) -> set[int]:
        """One round: take what came, start what is due, tell systemd. Returns the signals that came."""
        numbers: set[int] = set()
        now = time.monotonic()
        if start:
            for child in self._children.values():
                if not child.alive and now >= child.start_at:
                    child.start(self.config.path, self._text, self._log_form, self._log_level)
                    self._selector.register(child.descriptor, selectors.EVENT_READ, child)
        due = min((c.start_at - now for c in self._children.values() if not c.alive), default=_TURN_S)
        for key, _ in self._selector.select(max(0.01, min(due, _TURN_S))):
            if key.data is None:
                with suppress(BlockingIOError):
                    numbers.update(signals.recv(64))
                continue
            self._read(key.data)
        for child in self._everyone():
            descriptor = child.descriptor
            if child.reap():
                self._forget(descriptor)
        self._leaving = [child for child in self._leaving if child.alive]
        self._turned_at = time.monotonic()
        self._notify()
        return numbers

    def _read(self, child: Child) -> None:
        descriptor = child.descriptor
        child.read()
        if child.descriptor != descriptor:
            self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def _everyone(self) -> list[Child]:
        return [*self._children.values(), *self._leaving]

    def _wanted(self, config: Config) -> dict[Key, StreamConfig]:
        wanted: dict[Key, StreamConfig] = {}
        for role in Role:
            if self._role is None or role is self._role:
                for stream in config.streams(self.site, role):
                    wanted[(str(stream.id), role)] = stream
        return wanted

    def _stop(self, signals: socket.socket) -> None:
        self._log.info("stopping")
        self._notifier.send("STOPPING=1")
        deadline = time.monotonic() + _KILL_S
        for child in self._everyone():
            child.end()
        while any(child.alive for child in self._everyone()) and time.monotonic() < deadline:
            self._turn(signals, start=False)
        late = [child for child in self._everyone() if child.alive]
        for child in late:
            self._log.warning("killed: it did not stop in time", role=child.role.value, stream=str(child.stream.id))
        self._kill(late)

    def _kill(self, children: Iterable[Child]) -> None:
        for child in children:
            child.end(signal.SIGKILL)

    def _reload(self) -> None:
        """SIGHUP: the file again. Streams that changed, came or went are restarted, started or stopped; the rest goes on."""
        self._notifier.reloading()
        try:
            text = self.config.path.read_text(encoding="utf-8")
            config = load_config(self.config.path, text=text)
            config.site(self.site)
        except Exception as error:  # noqa: BLE001  (whatever a file makes of us, what runs goes on)
            self._reload_note = "the last reload failed: the configuration is wrong, the one before it is still used"
            self._log.error("reload failed", error=str(error))
        else:
            self._adopt(config, text)
        self._notifier.send("READY=1")

    def _adopt(self, config: Config, text: str) -> None:
        old, wanted = self._children, self._wanted(config)
        kept: dict[Key, Child] = {}
        done: dict[str, list[str]] = {"started": [], "restarted": [], "stopped": []}
        for key, stream in wanted.items():
            child = old.get(key)
            if child is None:
                child = Child(stream, key[1], self._command, self._crashes_max)
                done["started"].append(f"{key[1].value} {key[0]}")
            elif _differs(child.stream, stream) or _wants_config(child):
                child.stream = stream
                child.hurry()
                child.end()
                done["restarted"].append(f"{key[1].value} {key[0]}")
            kept[key] = child
        for key, child in old.items():
            if key not in wanted:
                child.end()
                self._leaving.append(child)
                done["stopped"].append(f"{key[1].value} {key[0]}")
        self._reload_note = ""
        if config.http_of(self.site).listen != self._listen and not self._listen_given:
            self._reload_note = f"http.listen cannot be reloaded: still on {self._listen} until the next restart"
            self._log.warning("not reloaded", what="http.listen", remedy="restart the daemon to change it")
        self.config, self._text, self._children = config, text, kept
        self._log.info("reloaded", **done)
        self._warn_if_idle()

    def _notify(self) -> None:
        children = list(self._children.values())
        if not self._ready and all(child.reported or child.restarts for child in children):
            self._ready = True
            self._notifier.send("READY=1")
        if self._ready:
            self._notifier.status(_sentence([child.view() for child in children]))
        now = time.monotonic()
        limit = self._notifier.watchdog_s or _STALE_S
        if now - self._fed_at >= limit / 3:
            hanging = [child for child in children if child.alive and now - child.progressed_at > limit]
            if not hanging:
                self._notifier.send("WATCHDOG=1")
            for child in hanging:
                since = round(now - child.progressed_at)
                self._log.error("hangs", role=child.role.value, stream=str(child.stream.id), seconds=since)
            self._fed_at = now


def _noted(number: int, frame: object) -> None:
    """Signals come through the wakeup descriptor; a handler must only be there."""


def _differs(a: StreamConfig, b: StreamConfig) -> bool:
    names = ("pair", "origin", "target", "kafka", "direct", "unheard", "site_priorities", "server_id", "start")
    if any(getattr(a, name) != getattr(b, name) for name in names):
        return True
    # An applier reads the stream back too, or the target's binlog. What else these have is of the same pair and sites.
    return _way_back(a) != _way_back(b)


def _way_back(stream: StreamConfig) -> object:
    back, log = stream.reverse, stream.target_log
    return (None if back is None else (back.kafka, back.direct), None if log is None else log.server_id)


def _wants_config(child: Child) -> bool:
    """Whether it stands because of the configuration (a password that was missing, say), which may be mended now."""
    view = child.view()
    return view.state is State.STOPPED and view.error is not None and view.error.kind == "ConfigError"


def _sentence(views: list[WorkerView]) -> str:
    """For `systemctl status`."""
    streaming = sum(view.state is State.STREAMING for view in views)
    text = f"{streaming} of {len(views)} workers stream"
    for view in views:
        if view.error is not None and view.state in (State.STOPPED, State.RETRYING):
            return f"{text}; {view.role} {view.stream} {view.state}: {view.error.what}"[:300].replace("\n", " ")
    return text


def read_config(path: Path) -> tuple[Config, str]:
    """The configuration and the text it was made from."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return load_config(path), ""  # which says it better
    return load_config(path, text=text), text
