"""The supervisor with real worker processes: restarts, holding, draining, reloading, systemd, death of any part."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from dev import DatabaseServer, free_port
from replicator.config import load_config
from replicator.control import Control
from replicator.model import Role

DAEMON = Path(__file__).with_name("small") / "daemon.py"
T = TypeVar("T")


def until(condition: Callable[[], T], timeout: float = 15.0) -> T:
    """The first true value of the condition."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {condition}")


class Daemon:
    """A running daemon of the site `west`, in a folder of its own."""

    def __init__(self, folder: Path, database_port: int = 1) -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "replicator.yaml"
        self.behaviour = folder / "behaviour"
        self.behaviour.mkdir()
        self.database_port = database_port
        self.write("one")
        self.process: subprocess.Popen[bytes] | None = None
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.told: list[str] = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        """Be systemd."""
        with contextlib.suppress(OSError):
            while True:
                self.told += self.notify.recv(65536).decode().splitlines()

    def write(self, *pairs: str, extra: str = "") -> None:
        """The configuration, with those pairs from east to west."""
        lines = "".join(f"  - {{name: {pair}, origin: east, target: west, tables: {{include: {pair}.*}}}}\n" for pair in pairs)
        database = f"{{user: root, password: root, port: {self.database_port}}}"
        self.config.write_text(
            f"sites:\n  east: {{database: {database}, kafka: {{bootstrap_servers: 'localhost:1'}}}}\n"
            f"  west: {{database: {database}}}\nhttp: {{listen: '127.0.0.1:{self.port}'}}\npairs:\n{lines}{extra}"
        )

    def behave(self, pair: str, behaviour: str) -> None:
        """From its next start on."""
        (self.behaviour / f"{pair}.east-west.main").write_text(behaviour)

    def start(self, **environ: str) -> Daemon:
        """Start it; its log is ``daemon.log``."""
        env = {**os.environ, "BEHAVIOUR": str(self.behaviour), "NOTIFY_SOCKET": str(self.folder / "notify"), **environ}
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, str(DAEMON), str(self.config), "west"], stderr=log, env=env)
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, timeout: float = 15.0) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while nothing answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def stream(self, pair: str = "one") -> dict[str, Any]:
        """What /lag says of the only stream of the pair; empty while there is none."""
        status, body = self.get("/lag")
        flows = json.loads(body)["flows"] if status == 200 else []
        return next((flow["streams"][0] for flow in flows if flow["pair"] == pair), {})

    def state(self, pair: str = "one") -> str:
        """Its state."""
        return str(self.stream(pair).get("state", ""))

    def streaming(self, pair: str = "one") -> dict[str, Any]:
        """Wait until it streams and something was applied."""
        return until(lambda: (s := self.stream(pair)) and s["state"] == "streaming" and s["stages"].get("applied") and s)

    def log(self) -> list[dict[str, Any]]:
        """Its log."""
        lines = (self.folder / "daemon.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def notified(self) -> list[str]:
        """All that it told systemd so far."""
        return list(self.told)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Not started yet; killed at the end."""
    made = Daemon(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.notify.close()


def exists(pid: int) -> bool:
    """Whether the process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_streams_and_stops_in_order(daemon: Daemon) -> None:
    """Ready once it streams, lag and metrics with the worker's numbers; SIGTERM drains the worker and ends with 0."""
    daemon.start()
    stream = daemon.streaming()
    assert stream["lag_seconds"] < 5 and stream["error"] is None
    assert daemon.get("/readyz")[0] == daemon.get("/livez")[0] == 200
    metrics = daemon.get("/metrics")[1]
    labels = 'origin="east",pair="one",role="applier",stream="main",target="west"'
    counted = next(line for line in metrics.splitlines() if line.startswith("replicator_transactions_total{"))
    assert labels in counted and float(counted.split()[-1]) > 0
    assert "replicator_lag_seconds{" in metrics and "replicator_ready 1.0" in metrics
    assert "READY=1" in daemon.notified()
    started = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - started < 5
    assert int((daemon.behaviour / "one.east-west.main.drained").read_text()) > 0
    assert "STOPPING=1" in daemon.notified()


def test_a_killed_worker_comes_back_at_once_and_its_lag_goes_on(daemon: Daemon) -> None:
    """SIGKILL again and again: each time it streams again, totals never fall, and nobody gives up."""
    daemon.start()
    total = 0.0
    for times in range(1, 8):
        stream = daemon.streaming()
        until(lambda total=total: daemon.stream()["counters"].get("transactions", 0) > total + 5)
        total = daemon.stream()["counters"]["transactions"]
        os.kill(stream["pid"], signal.SIGKILL)
        until(lambda times=times: daemon.stream()["restarts"] == times)
        assert "applied" in daemon.stream()["stages"]
    assert daemon.streaming()["counters"]["transactions"] >= total


def test_a_retryable_error_is_tried_again_with_backoff(daemon: Daemon) -> None:
    """Until it works: not ready meanwhile, with error and remedy shown, and ever longer pauses."""
    daemon.behave("one", "retry")
    daemon.start()
    until(lambda: daemon.stream().get("restarts", 0) >= 3)
    stream = daemon.stream()
    assert stream["state"] == "retrying" and stream["error"]["remedy"] == "bring it back"
    assert stream["lag_seconds"] == "unknown"
    status, body = daemon.get("/readyz")
    assert status == 503 and "the broker is away" in body
    daemon.behave("one", "stream")
    daemon.streaming()
    assert daemon.get("/readyz")[0] == 200
    until(lambda: daemon.stream()["error"] is None)


def test_a_stop_holds_and_is_shown(daemon: Daemon) -> None:
    """An error that no retry mends: the process stays, status keeps the error, the page escapes it, SIGTERM still works."""
    daemon.behave("one", "stop")
    daemon.start()
    until(lambda: daemon.state() == "stopped")
    stream = daemon.stream()
    assert stream["restarts"] == 0 and exists(stream["pid"])
    assert stream["error"]["what"] == "a <b>bad</b> event" and stream["error"]["where"] == "GTID x:1"
    status, page = daemon.get("/")
    assert status == 200 and "a &lt;b&gt;bad&lt;/b&gt; event" in page and "<b>bad" not in page
    assert "look &amp; think" in page
    until(lambda: any("STATUS=0 of 1 workers stream; applier" in line for line in daemon.notified()))
    assert daemon.end() == 0


def test_a_defect_stops_the_flow(daemon: Daemon) -> None:
    """An exception that nobody planned is not retried blindly, and the log has its traceback."""
    daemon.behave("one", "defect")
    daemon.start()
    until(lambda: daemon.state() == "stopped")
    assert "ZeroDivisionError" in daemon.stream()["error"]["what"]
    assert any("ZeroDivisionError" in line.get("exception", "") for line in daemon.log())


def test_a_worker_that_only_crashes_is_held_after_some_tries(daemon: Daemon) -> None:
    """After some crashes in a row the supervisor gives up with the last error, until somebody says `resume`."""
    daemon.behave("one", "crash-at-once")
    daemon.start()
    until(lambda: daemon.state() == "stopped", timeout=30)
    stream = daemon.stream()
    assert "SIGSEGV, 4 times in a row" in stream["error"]["what"] and exists(stream["pid"])


def test_what_hangs_is_killed_after_ten_seconds(daemon: Daemon) -> None:
    """A worker that does not drain in time does not keep the daemon from ending with 0."""
    daemon.behave("one", "never-ends")
    daemon.start()
    pid = daemon.streaming()["pid"]
    started = time.monotonic()
    assert daemon.end() == 0
    assert 8 < time.monotonic() - started < 11
    assert not exists(pid)
    assert any("did not stop in time" in line["event"] for line in daemon.log())


def test_workers_die_with_the_supervisor(daemon: Daemon) -> None:
    """SIGKILL of the supervisor leaves no worker behind that a second daemon's worker could meet."""
    daemon.start()
    pid = daemon.streaming()["pid"]
    daemon.signal(signal.SIGKILL)
    until(lambda: not exists(pid), timeout=5)


def test_the_watchdog_is_fed_only_while_every_worker_moves(daemon: Daemon) -> None:
    """One hanging worker of two is enough for systemd to be told nothing more."""
    daemon.write("one", "two")
    daemon.start(WATCHDOG_USEC="3000000")
    daemon.streaming("one")
    daemon.streaming("two")
    daemon.told.clear()
    until(lambda: "WATCHDOG=1" in daemon.notified())
    daemon.behave("two", "hang")
    os.kill(daemon.stream("two")["pid"], signal.SIGKILL)
    until(lambda: any(line["event"] == "hangs" for line in daemon.log()))
    daemon.told.clear()
    until(lambda: sum(line["event"] == "hangs" for line in daemon.log()) >= 3)
    assert "WATCHDOG=1" not in daemon.notified()
    assert daemon.state("one") == "streaming"
    assert daemon.stream("one")["still_seconds"] < 3 < daemon.stream("two")["still_seconds"]


def test_sighup_starts_restarts_and_stops_what_changed(daemon: Daemon) -> None:
    """Pairs come, change and go; what did not change goes on undisturbed; what cannot be reloaded is said."""
    daemon.write("one", "two", "three")
    daemon.start()
    before = {pair: daemon.streaming(pair)["pid"] for pair in ("one", "two", "three")}
    port = daemon.port
    three = "{name: three, origin: east, target: west, tables: {include: three.*}, start: latest}"
    daemon.write("one", "four", extra=f"  - {three}\n")
    daemon.config.write_text(daemon.config.read_text().replace(f":{port}", f":{free_port()}"))
    daemon.signal(signal.SIGHUP)
    daemon.streaming("four")
    until(lambda: daemon.streaming("three")["pid"] != before["three"])
    assert daemon.streaming("one")["pid"] == before["one"]
    assert daemon.stream("two") == {}
    until(lambda: not exists(before["two"]))
    assert "http.listen cannot be reloaded" in json.loads(daemon.get("/lag")[1])["note"]
    told = until(lambda: (t := daemon.notified()) and t.count("READY=1") >= 2 and t)
    assert "RELOADING=1" in told and any(line.startswith("MONOTONIC_USEC=") for line in told)


def test_a_daemon_without_a_stream_says_so_until_it_has_one(daemon: Daemon) -> None:
    """It may be the wrong site, or a site that is made ready before its pairs."""
    daemon.write("one")
    whole = daemon.config.read_text()
    elsewhere = whole.replace("target: west", "target: south")
    daemon.config.write_text(elsewhere.replace("sites:\n", "sites:\n  south: {database: {}}\n"))
    daemon.start()
    until(lambda: daemon.get("/readyz")[0] == 503)
    assert "no stream of this configuration" in daemon.get("/readyz")[1]
    assert any("no stream of this configuration" in line["event"] and line["level"] == "warning" for line in daemon.log())
    daemon.config.write_text(whole)
    daemon.signal(signal.SIGHUP)
    daemon.streaming()
    until(lambda: daemon.get("/readyz")[0] == 200)


def test_a_wrong_file_is_not_adopted(daemon: Daemon) -> None:
    """SIGHUP with a broken file changes nothing, also not for a worker that starts again later."""
    daemon.start()
    pid = daemon.streaming()["pid"]
    daemon.config.write_text("sites: [")
    daemon.signal(signal.SIGHUP)
    until(lambda: "reload failed" in daemon.get("/lag")[1])
    os.kill(pid, signal.SIGKILL)
    until(lambda: daemon.streaming()["pid"] != pid)


def test_a_second_daemon_on_the_same_address_is_refused(daemon: Daemon) -> None:
    """With the name of the site that runs there."""
    daemon.start()
    daemon.streaming()
    second = subprocess.run(
        [sys.executable, str(DAEMON), str(daemon.config), "west"],
        capture_output=True,
        text=True,
        env={**os.environ, "BEHAVIOUR": str(daemon.behaviour)},
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert "a replicator for the site west runs there already" in second.stderr
    assert daemon.state() == "streaming"


@pytest.mark.servers
def test_resume_starts_a_stopped_worker_again(tmp_path: Path, server: DatabaseServer) -> None:
    """It asks its own site's control table; a new generation is the word to go on, at once."""
    daemon = Daemon(tmp_path, server.port)
    try:
        daemon.behave("one", "stop")
        daemon.start()
        until(lambda: daemon.state() == "stopped")
        pid = daemon.stream()["pid"]
        (stream,) = load_config(daemon.config).streams()
        control = Control(stream, Role.APPLIER)
        daemon.behave("one", "stream")
        until(lambda: control.resume() or daemon.state() == "streaming")  # type: ignore[func-returns-value]
        assert daemon.streaming()["pid"] != pid
        assert daemon.end() == 0
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
