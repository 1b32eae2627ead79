"""Two sites on real servers and a flow between them, run as an operator would: one ``replicator run`` process a site.

``Pair`` writes the configuration, creates the databases and the least-privileged users, starts the daemons, and asks them
what an operator may ask. Tests, demo and benchmarks share it. It knows the replicator only by its contract: the
configuration file, the commands, HTTP.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pymysql
import yaml

from .accounts import PASSWORD, glob_of, prepare_server, site_entry
from .cache import REPOSITORY
from .database import DatabaseServer
from .errors import DevError
from .judge import compare
from .kafka import KafkaServer
from .ports import HOST, free_port
from .process import popen_tied

__all__ = ["SITES", "Pair"]

SITES = ("east", "west")
_POLL_S = 0.02


class Pair:
    """A pair of sites, ``east`` (the origin) and ``west``; use as a context manager, or call ``stop``.

    ``options`` are keys of the pair in the configuration (``tables``, ``ddl``, ``conflicts``, ``apply``…). ``schemas`` are
    created at both sites, and are what ``tables`` includes unless given. A stream starts where the origin is now, so that
    a pair on shared servers reads nothing of its predecessors; ``start`` says otherwise. ``bootstrap`` gives a site its
    own way to Kafka (a proxy's). ``also_grant`` names more databases that it may write, which need not exist.
    """

    def __init__(
        self,
        folder: Path,
        origin: DatabaseServer,
        target: DatabaseServer,
        kafka: KafkaServer,
        *,
        name: str,
        schemas: Sequence[str] | None = None,
        mode: str = "one_way",
        start: str | None = None,
        options: Mapping[str, Any] | None = None,
        site_options: Mapping[str, Mapping[str, Any]] | None = None,
        bootstrap: Mapping[str, str] | None = None,
        west_kafka: KafkaServer | None = None,
        also_grant: Sequence[str] = (),
        create: bool = True,
    ) -> None:
        self.folder = folder
        self.name = name
        self.mode = mode
        self.schemas = [name] if schemas is None else list(schemas)
        self.servers = dict(zip(SITES, (origin, target), strict=True))
        self.kafka = kafka
        self.http_ports = {site: free_port() for site in SITES}
        self._bootstrap = dict(bootstrap or {})
        self._west_kafka = west_kafka
        self._options = dict(options or {})
        self._site_options = site_options or {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._environment: dict[str, dict[str, str]] = {site: {} for site in SITES}
        self._marks = 0
        folder.mkdir(parents=True, exist_ok=True)
        if create:
            for server in self.servers.values():
                prepare_server(server, self.schemas, also_grant)
        self._start = start or self._position(origin) or "earliest"
        self._write()

    def __repr__(self) -> str:
        return f"<Pair {self.name} {self.origin.flavor} → {self.target.flavor} in {self.folder}>"

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def origin(self) -> DatabaseServer:
        """The server of the site east."""
        return self.servers["east"]

    @property
    def target(self) -> DatabaseServer:
        """The server of the site west."""
        return self.servers["west"]

    @property
    def flow(self) -> str:
        """The name of the flow from east to west."""
        return f"{self.name}.east-west"

    @property
    def topic(self) -> str:
        """The topic that carries the flow from east to west."""
        return f"replicator.{self.flow}.main"

    @property
    def tables(self) -> list[str]:
        """The globs that the pair carries."""
        chosen = self._options.get("tables", {}).get("include")
        return list(chosen) if chosen else [f"{schema}.*" for schema in self.schemas]

    def config(self, site: str = "east") -> Path:
        """The configuration file; one for both sites unless they reach Kafka in different ways."""
        return self.folder / (f"{site}.yaml" if self._bootstrap else "replicator.yaml")

    def log(self, site: str) -> Path:
        """What the site's daemon printed."""
        return self.folder / f"{site}.log"

    # Daemons

    def start(self, *sites: str, ready: bool = True, env: Mapping[str, str] | None = None, timeout: float = 60) -> Pair:
        """Start the daemons of ``sites`` (default: both) and wait until they are ready (all flows stream).

        ``env`` (pause points, say) holds for this start only.
        """
        chosen = sites or SITES
        for site in chosen:
            self._spawn(site, env or {})
        if ready:
            for site in chosen:
                self.wait_ready(site, timeout)
        return self

    def wait_ready(self, site: str, timeout: float = 60) -> None:
        """Return once ``/readyz`` says 200; raises DevError with its reasons and the log's end otherwise."""
        deadline = time.monotonic() + timeout
        while True:
            code, text = self.readyz(site)
            if code == 200:
                return
            if self._daemons[site].poll() is not None:
                raise DevError(f"the daemon of {site} ended with {self._daemons[site].returncode}:\n{self.tail(site)}")
            if time.monotonic() > deadline:
                raise DevError(f"{site} is not ready after {timeout:g} s: {text}\n{self.tail(site)}")
            time.sleep(_POLL_S)

    def stop(self, *sites: str, timeout: float = 15) -> dict[str, int]:
        """SIGTERM the daemons (default: both), return their exit codes; one that hangs is killed, code -9."""
        chosen = [site for site in (sites or SITES) if site in self._daemons]
        for site in chosen:
            if self._daemons[site].poll() is None:
                self._daemons[site].send_signal(signal.SIGTERM)
        codes = {}
        deadline = time.monotonic() + timeout
        for site in chosen:
            daemon = self._daemons.pop(site)
            try:
                codes[site] = daemon.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                codes[site] = -9
            self._kill_group(daemon)
        return codes

    def kill_daemon(self, site: str) -> None:
        """SIGKILL the supervisor and all that it started."""
        self._kill_group(self._daemons.pop(site))

    def restart(self, site: str, *, ready: bool = True, env: Mapping[str, str] | None = None) -> None:
        """Stop the site's daemon in order and start it again."""
        self.stop(site)
        self.start(site, ready=ready, env=env)

    def reload(self, site: str) -> None:
        """Write the site's configuration anew, and let its daemon read it."""
        self.config(site).write_text(yaml.safe_dump(self._document(site), sort_keys=False, allow_unicode=True))
        os.kill(self.daemon_pid(site), signal.SIGHUP)

    def running(self, site: str) -> bool:
        """Whether the site's daemon process exists."""
        return site in self._daemons and self._daemons[site].poll() is None

    def daemon_pid(self, site: str) -> int:
        """The supervisor's pid."""
        return self._daemons[site].pid

    def kill(self, site: str, role: str, sig: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the worker of ``role`` (``source`` or ``applier``) at ``site``; returns its pid."""
        pid = self.worker_pid(site, role)
        os.kill(pid, sig)
        return pid

    def worker_pid(self, site: str, role: str, timeout: float = 30) -> int:
        """The pid of the worker of ``role`` at ``site``, once it runs."""
        deadline = time.monotonic() + timeout
        while True:
            for worker in self.workers(site):
                pid = worker.get("pid") or 0
                if worker.get("role") == role and pid and Path(f"/proc/{pid}").exists():
                    return int(pid)
            if time.monotonic() > deadline:
                raise DevError(f"{site} has no {role} process; its log ends:\n{self.tail(site)}")
            time.sleep(_POLL_S)

    def processes(self, site: str) -> list[int]:
        """The pids of the site's supervisor and of everything below it."""
        return list(_descendants(self._daemons[site].pid))

    # What an operator asks

    def command(self, *arguments: str, site: str = "east", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run ``replicator COMMAND -c FILE …`` to its end."""
        name, *rest = arguments
        return subprocess.run(
            [*_PROGRAM, name, "-c", str(self.config(site)), *rest],
            cwd=REPOSITORY,
            env=self._env(site),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def wait(self, timeout: float = 60, gtid: str | None = None) -> None:
        """``replicator wait``: return when the target has applied all that the origin has now (or ``gtid``)."""
        more = ["--gtid", gtid] if gtid else []
        done = self.command("wait", "--pair", self.name, "--timeout", f"{timeout:g}", *more, timeout=timeout + 30)
        if done.returncode != 0:
            raise DevError(f"wait ended with {done.returncode}: {done.stdout}{done.stderr}\n{self.troubles()}")

    def settle(self, timeout: float = 60, *, back: bool = False) -> float:
        """Write a mark at the origin and return (after how many seconds) when the target shows it.

        Independent of the replicator's own ``wait``, and cheaper. Needs the pair to have one stream and a schema of its
        own. ``back`` sends the mark from west to east. Raises DevError when a worker stopped, or when time is up.
        """
        there, here = ("east", "west") if back else ("west", "east")
        self._marks += 1
        mark, table = self._marks, f"`{self.schemas[0]}`.`zz_mark_{'back' if back else 'forth'}`"
        began = time.monotonic()
        with self.servers[here].connect(autocommit=True) as connection, connection.cursor() as cursor:
            if mark == 1 or back:
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY, mark INT NOT NULL)")
            cursor.execute(f"REPLACE INTO {table} VALUES (1, {mark})")
        with _Marks(self.servers[there], table) as marks:
            self.until(lambda: marks.read() == mark, timeout, f"mark {mark} from {here} at {there}")
        return time.monotonic() - began

    def until(self, condition: Any, timeout: float, what: str) -> None:
        """Poll ``condition`` until it is true; raises DevError early when a daemon ended or a worker stopped."""
        deadline = time.monotonic() + timeout
        checked = time.monotonic()
        while not condition():
            now = time.monotonic()
            if now > deadline:
                raise DevError(f"waited {timeout:g} s in vain for {what}\n{self.troubles()}")
            if now - checked > 1:
                checked = now
                stopped = self.stopped()
                if stopped and not condition():
                    raise DevError(f"waited for {what}, but a worker stopped: {stopped}\n{self.troubles()}")
            time.sleep(_POLL_S)

    def differences(self, *, structure: bool = True) -> list[str]:
        """What the judge finds between origin and target; marks left out."""
        found = compare(self.origin, self.target, self.tables, structure=structure)
        return [line for line in found if ".zz_mark_" not in line]

    def lag(self, site: str) -> Any:
        """``GET /lag``, parsed; raises DevError when the daemon doesn't answer."""
        code, text = self.get(site, "/lag")
        if code == 0:
            raise DevError(f"{site} does not answer /lag: {text}")
        return json.loads(text)

    def workers(self, site: str) -> list[dict[str, Any]]:
        """Everything in ``/lag`` that describes a worker process of this site: has a role and a pid."""
        try:
            return list(_find(self.lag(site), ("role", "pid")))
        except (DevError, ValueError):
            return []

    def stopped(self) -> list[str]:
        """The workers, on both sites, that stopped for an error that needs an operator."""
        found = []
        for site, daemon in list(self._daemons.items()):
            if daemon.poll() is not None:
                found.append(f"{site}: the daemon ended with {daemon.returncode}")
            for worker in self.workers(site):
                if worker.get("state") == "stopped":
                    found.append(f"{site} {worker.get('role')}: {worker.get('error')}")
        return found

    def wait_stopped(self, site: str, role: str, timeout: float = 60) -> dict[str, Any]:
        """Return the error of the worker once it is in the state ``stopped``."""
        deadline = time.monotonic() + timeout
        while True:
            for worker in self.workers(site):
                if worker.get("role") == role and worker.get("state") == "stopped" and worker.get("error"):
                    return dict(worker["error"])
            if time.monotonic() > deadline:
                raise DevError(f"the {role} of {site} did not stop within {timeout:g} s\n{self.troubles()}")
            time.sleep(_POLL_S)

    def status(self) -> Any:
        """``replicator status --json``, parsed."""
        done = self.command("status", "--json")
        return json.loads(done.stdout)

    def readyz(self, site: str) -> tuple[int, str]:
        """Code and text of ``/readyz``; code 0 when nobody listens."""
        return self.get(site, "/readyz")

    def get(self, site: str, path: str) -> tuple[int, str]:
        """``GET path`` of the site's daemon; code 0 when nobody answers."""
        connection = http.client.HTTPConnection(HOST, self.http_ports[site], timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def url(self, site: str, path: str = "/") -> str:
        """The address of the site's page."""
        return f"http://{HOST}:{self.http_ports[site]}{path}"

    def tail(self, site: str, lines: int = 25) -> str:
        """The end of the site's log."""
        log = self.log(site)
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"

    def troubles(self) -> str:
        """What a failing test wants to print: states, errors and the logs' ends."""
        parts = []
        for site in SITES:
            states = [
                f"{w.get('role')} {w.get('state')} {w.get('note') or ''} {json.dumps(w.get('error'))}" for w in self.workers(site)
            ]
            server = ""
            if not self.servers[site].running:
                last = self.servers[site].error_log.read_text(errors="replace")[-4000:]
                server = f" THE DATABASE IS DOWN, its log ends:\n{last}\n"
            parts.append(f"--- {site}:{server} {'; '.join(states) or 'no workers'}\n{self.tail(site)}")
        return "\n".join(parts)

    # Preparation

    def _write(self) -> None:
        for site in SITES:
            (self.folder / f"{site}.secret").write_text(PASSWORD + "\n")
            (self.folder / f"{site}.secret").chmod(0o600)
            self.config(site).write_text(yaml.safe_dump(self._document(site), sort_keys=False, allow_unicode=True))

    def _document(self, reader: str) -> dict[str, Any]:
        """The configuration, as the site ``reader`` has it."""
        sites = {
            site: site_entry(site, server, self.http_ports[site], self._site_options.get(site, {}))
            for site, server in self.servers.items()
        }
        kafka = self._bootstrap.get(reader, self.kafka.bootstrap)
        sites["east"]["kafka"] = {"bootstrap_servers": [kafka]}
        pair: dict[str, Any] = {"name": self.name, "mode": self.mode, "origin": "east", "target": "west"}
        if self._west_kafka is None:
            pair["kafka"] = "east"
        else:
            sites["west"]["kafka"] = {"bootstrap_servers": [self._west_kafka.bootstrap]}
        tables = {"include": [glob_of(schema) for schema in self.schemas]}
        return {"sites": sites, "pairs": [{**pair, "start": self._start, "tables": tables, **self._options}]}

    def _position(self, server: DatabaseServer) -> str:
        column = "@@global.gtid_executed" if server.flavor == "mysql" else "@@global.gtid_binlog_pos"
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {column}")
            row: Any = cursor.fetchone()
        return str(row[0]).replace("\n", "")

    # Processes

    def _spawn(self, site: str, env: Mapping[str, str]) -> None:
        if self.running(site):
            raise DevError(f"the daemon of {site} runs already")
        argv = [*_PROGRAM, "run", "-c", str(self.config(site)), "--site", site]
        self._daemons[site] = popen_tied(argv, {**self._env(site), **env}, self.log(site), "TERM")

    def _env(self, site: str) -> dict[str, str]:
        return {**os.environ, "PYTHONWARNINGS": "ignore", **self._environment[site]}

    def _kill_group(self, daemon: subprocess.Popen[bytes]) -> None:
        """Leave nothing of a daemon behind: its session may hold workers that outlived it."""
        try:
            os.killpg(daemon.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        daemon.wait()


_PROGRAM = (str(Path(sys.executable).parent / "replicator"),)


class _Marks:
    """Reads a mark again and again over one connection, made anew where the server was away."""

    def __init__(self, server: DatabaseServer, table: str) -> None:
        self._server = server
        self._query = f"SELECT mark FROM {table} WHERE id = 1"
        self._connection: pymysql.Connection[Any] | None = None

    def __enter__(self) -> _Marks:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self) -> int | None:
        """The mark; None where there is none yet, or where the server does not answer: the caller's time limit counts."""
        try:
            if self._connection is None:
                self._connection = self._server.connect(autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute(self._query)
                row: Any = cursor.fetchone()
                return int(row[0]) if row else None
        except pymysql.err.ProgrammingError:
            return None  # the table is not there yet
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
            self._close()
            return None

    def _close(self) -> None:
        if self._connection is not None and self._connection.open:
            self._connection.close()
        self._connection = None


def _find(data: Any, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All mappings inside ``data`` that have all ``keys``."""
    if isinstance(data, dict):
        if all(key in data for key in keys):
            yield data
        for value in data.values():
            yield from _find(value, keys)
    elif isinstance(data, list):
        for value in data:
            yield from _find(value, keys)


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield from _descendants(int(child))
