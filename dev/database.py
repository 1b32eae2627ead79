"""A MySQL or MariaDB server on loopback that tests, demo and benchmarks may stop, kill and start as they like.

Each server owns a folder: ``data/``, ``my.cnf``, ``error.log``, ``pid`` and ``server.json``. The last tells another process
(or a later command) what runs there: see ``attach_database``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from .commands import run
from .errors import DevError
from .ports import HOST, free_port
from .process import ServerProcess

__all__ = ["DatabaseServer", "Distribution", "attach_database"]

ROOT_PASSWORD = "root"
_READY_TIMEOUT_S = 60.0
_RECOVERY_POLL_S = 0.03
_SOCKET_PATH_BYTES_MAX = 100  # the kernel's limit is 108


@dataclass(frozen=True, slots=True)
class Distribution:
    """An unpacked server: how to run it, and a data folder to copy for each new one.

    ``command`` starts the server when options are appended; ``options`` are those every server needs on top.
    """

    flavor: str
    version: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    options: Mapping[str, str]
    template: Path


class DatabaseServer:
    """One server. Made by ``start_mysql``, ``start_mariadb`` and ``attach_database``."""

    host = HOST
    user = "root"
    password = ROOT_PASSWORD

    def __init__(
        self,
        folder: Path,
        distribution: Distribution,
        *,
        port: int,
        server_id: int,
        options: Mapping[str, str | None],
        die_with_parent: bool = False,
    ) -> None:
        self.dir = folder.resolve()
        self.port = port
        self.server_id = server_id
        self.options = dict(options)
        self._distribution = distribution
        self._die_with_parent = die_with_parent
        self._process = ServerProcess(self.dir)

    def __repr__(self) -> str:
        return f"<DatabaseServer {self.flavor} {self.version} {self.host}:{self.port} pid={self.pid} {self.dir}>"

    @property
    def flavor(self) -> str:
        """``mysql`` or ``mariadb``."""
        return self._distribution.flavor

    @property
    def version(self) -> str:
        """The server's version, as ``8.0.31``."""
        return self._distribution.version

    @property
    def socket(self) -> Path:
        """The Unix socket; outside the folder when the folder's path is too long for one."""
        path = self.dir / "mysql.sock"
        if len(bytes(path)) <= _SOCKET_PATH_BYTES_MAX:
            return path
        return Path(tempfile.gettempdir()) / f"dev-{hashlib.sha256(bytes(path)).hexdigest()[:16]}.sock"

    @property
    def error_log(self) -> Path:
        """The server's own log."""
        return self.dir / "error.log"

    @property
    def pid(self) -> int | None:
        """The process id; None when the server does not run."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists; it may not be ready yet."""
        return self.pid is not None

    def start(self, options: Mapping[str, str | None] | None = None, *, wait: bool = True) -> DatabaseServer:
        """Start on the same data and port. ``options`` change server options from now on (None removes one).

        Raises DevError when it runs already, or does not become ready (with the end of its log).
        """
        self.options.update(options or {})
        data = self.dir / "data"
        if not data.exists():
            self.dir.mkdir(parents=True, exist_ok=True)
            run(["cp", "-a", str(self._distribution.template), str(data)], "copy the prepared data folder")
            # Each server must generate its own server_uuid.
            (data / "auto.cnf").unlink(missing_ok=True)
        (self.dir / "tmp").mkdir(exist_ok=True)
        defaults_file = self.dir / "my.cnf"
        defaults_file.write_text(self._render())
        self._remember()
        self._process.spawn(
            [*self._distribution.command[:-1], self._distribution.command[-1], f"--defaults-file={defaults_file}"],
            env=self._distribution.env,
            output=self.error_log,
            die_with_parent=self._die_with_parent,
        )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout: float = _READY_TIMEOUT_S) -> None:
        """Return once the server answers a query. Raises DevError when it ends or ``timeout`` seconds pass."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.connect(connect_timeout=2).close()
                return
            except pymysql.err.OperationalError as error:
                if self._process.wait_end(_RECOVERY_POLL_S):
                    raise self._failure("ended while starting") from error
                if time.monotonic() > deadline:
                    raise self._failure(f"is not ready after {timeout:g} s") from error

    def connect(self, **options: Any) -> pymysql.Connection[Any]:
        """Connect as root over TCP; ``options`` go to ``pymysql.connect`` and override what is preset."""
        preset: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "charset": "utf8mb4",
        }
        return pymysql.connect(**{**preset, **options})

    def stop(self, timeout: float = 30.0) -> None:
        """Shut down in order (SIGTERM). Does nothing when it does not run; raises DevError after ``timeout`` seconds."""
        self._process.end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """SIGKILL, as if the machine's process table had lost it; data stays for ``start``."""
        self._process.end(signal.SIGKILL, 10.0)

    def restart(self, options: Mapping[str, str | None] | None = None) -> None:
        """Stop in order and start again, with changed ``options`` if given."""
        self.stop()
        self.start(options)

    def destroy(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _render(self) -> str:
        options: dict[str, str | None] = {
            **self._distribution.options,
            "datadir": str(self.dir / "data"),
            # Its own: a MariaDB that starts deletes all temporary tables of its tmpdir, and a query of another one crashes.
            "tmpdir": str(self.dir / "tmp"),
            "port": str(self.port),
            "socket": str(self.socket),
            "pid_file": str(self.dir / "server.pid"),
            "log_error": str(self.error_log),
            "server_id": str(self.server_id),
            "bind_address": HOST,
        }
        options.update({name.replace("-", "_"): value for name, value in self.options.items()})
        lines = [f"{name}={value}" if value else name for name, value in options.items() if value is not None]
        return "\n".join(["[mysqld]", *lines, ""])

    def _remember(self) -> None:
        facts = {
            "flavor": self.flavor,
            "version": self.version,
            "host": self.host,
            "port": self.port,
            "socket": str(self.socket),
            "user": self.user,
            "password": self.password,
            "server_id": self.server_id,
            "options": self.options,
        }
        (self.dir / "server.json").write_text(json.dumps(facts, indent=2) + "\n")

    def _failure(self, what: str) -> DevError:
        log = self.error_log.read_text(errors="replace")[-1500:] if self.error_log.exists() else ""
        return DevError(f"{self.flavor} {self.version} {what}; its log ends:\n{log}", where=str(self.error_log))


def create(
    folder: Path,
    distribution: Distribution,
    *,
    port: int | None,
    server_id: int,
    options: Mapping[str, str | None] | None,
    die_with_parent: bool,
    wait: bool,
) -> DatabaseServer:
    """Make and start a server: what ``start_mysql`` and ``start_mariadb`` share."""
    server = DatabaseServer(
        folder,
        distribution,
        port=free_port() if port is None else port,
        server_id=server_id,
        options=options or {},
        die_with_parent=die_with_parent,
    )
    return server.start(wait=wait)


def attach_database(folder: Path) -> DatabaseServer:
    """The server whose folder this is, running or not, as another process left it. Raises DevError if there is none."""
    from .mariadb import mariadb_distribution
    from .mysql import mysql_distribution

    try:
        facts = json.loads((folder / "server.json").read_text())
    except FileNotFoundError as error:
        raise DevError("no database server was ever started here", where=str(folder)) from error
    if facts["flavor"] == "mariadb":
        distribution = mariadb_distribution()
    else:
        distribution = mysql_distribution("8.0" if facts["version"].startswith("8.") else "9.7")
    return DatabaseServer(folder, distribution, port=facts["port"], server_id=facts["server_id"], options=facts["options"])
