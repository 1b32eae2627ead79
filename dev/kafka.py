"""A Kafka broker on loopback: KRaft, one node that is broker and controller, every replication factor 1."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from .cache import install
from .commands import need, run
from .errors import DevError
from .fetch import fetch_kafka
from .ports import HOST, free_port
from .process import ServerProcess

__all__ = ["KafkaServer", "attach_kafka", "start_kafka"]

_READY_TIMEOUT_S = 60.0
_POLL_S = 0.05
_HEAP = "-Xmx320m"

OPTIONS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
}


class KafkaServer:
    """One broker. Made by ``start_kafka`` and ``attach_kafka``. Its folder: ``data/``, ``kafka.log``, ``server.json``."""

    host = HOST

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        controller_port: int,
        options: Mapping[str, str | None],
        far_port: int | None = None,
        far_listener_port: int | None = None,
        die_with_parent: bool = False,
    ) -> None:
        self.dir = folder.resolve()
        self.port = port
        self.far_port = far_port
        self.far_listener_port = far_listener_port
        """Where the proxy behind ``far_port`` delivers to; None without a far port."""
        self.options = dict(options)
        self._controller_port = controller_port
        self._die_with_parent = die_with_parent
        self._process = ServerProcess(self.dir)

    def __repr__(self) -> str:
        return f"<KafkaServer {self.bootstrap} pid={self.pid} {self.dir}>"

    @property
    def bootstrap(self) -> str:
        """``host:port``, as clients want it."""
        return f"{self.host}:{self.port}"

    @property
    def far_bootstrap(self) -> str:
        """``host:port`` of the second way in, whose advertised port is a proxy's."""
        return f"{self.host}:{self.far_port}"

    @property
    def log(self) -> Path:
        """The broker's own log: warnings and errors."""
        return self.dir / "kafka.log"

    @property
    def pid(self) -> int | None:
        """The process id; None when the broker does not run."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists; it may not be ready yet."""
        return self.pid is not None

    def start(self, options: Mapping[str, str | None] | None = None, *, wait: bool = True) -> KafkaServer:
        """Start on the same data and ports; ``options`` change broker properties from now on (None removes one).

        Raises DevError when it runs already, or does not become ready (with the end of its log).
        """
        self.options.update(options or {})
        libraries = fetch_kafka()
        if not (self.dir / "data").exists():
            self._format()
        properties = self.dir / "server.properties"
        properties.write_text(self._render())
        self._remember()
        argv = [need("java", "openjdk-17-jre-headless"), _HEAP, *_JVM, "-cp", f"{libraries}/*"]
        self._process.spawn(
            [*argv, "kafka.Kafka", str(properties)], env={}, output=self.log, die_with_parent=self._die_with_parent
        )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout: float = _READY_TIMEOUT_S) -> None:
        """Return once the broker answers for its cluster. Raises DevError when it ends or ``timeout`` seconds pass."""
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self._process.wait_end(_POLL_S):
                raise self._failure("ended while starting")
            if time.monotonic() > deadline:
                raise self._failure(f"is not ready after {timeout:g} s")

    def stop(self, timeout: float = 30.0) -> None:
        """Shut down in order (SIGTERM). Does nothing when it does not run; raises DevError after ``timeout`` seconds."""
        self._process.end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """SIGKILL; data stays for ``start``."""
        self._process.end(signal.SIGKILL, 10.0)

    def restart(self, options: Mapping[str, str | None] | None = None) -> None:
        """Stop in order and start again, with changed ``options`` if given."""
        self.stop()
        self.start(options)

    def wipe(self) -> None:
        """Lose everything: stop, delete all topics with their records, and leave it stopped.

        The next ``start`` brings up an empty cluster with another cluster id on the same port.
        """
        self.kill()
        shutil.rmtree(self.dir / "data", ignore_errors=True)

    def destroy(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False  # the quick check: a client object costs a hundred times more
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5000)
        except KafkaError:
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()

    def _format(self) -> None:
        """What ``kafka-storage format`` does, without its second of JVM: copy a formatted folder, give it its own ids."""
        data = self.dir / "data"
        fresh = self.dir / "data.unfinished"
        self.dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(_template() / "data", fresh)
        ids = {"cluster.id": _random_id(), "directory.id": _random_id()}
        (fresh / "meta.properties").write_text(_properties({"version": "1", "node.id": "1", **ids}))
        fresh.rename(data)

    def _render(self) -> str:
        listeners = f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self._controller_port}"
        advertised = f"PLAINTEXT://{HOST}:{self.port}"
        if self.far_port is not None:
            listeners += f",FAR://{HOST}:{self.far_listener_port}"
            advertised += f",FAR://{HOST}:{self.far_port}"
        options: dict[str, str | None] = {
            **OPTIONS,
            "listeners": listeners,
            "advertised.listeners": advertised,
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "log.dirs": str(self.dir / "data"),
            **self.options,
        }
        return _properties({name: value for name, value in options.items() if value is not None})

    def _remember(self) -> None:
        facts = {
            "flavor": "kafka",
            "host": self.host,
            "port": self.port,
            "controller_port": self._controller_port,
            "far_port": self.far_port,
            "far_listener_port": self.far_listener_port,
            "options": self.options,
        }
        (self.dir / "server.json").write_text(json.dumps(facts, indent=2) + "\n")

    def _failure(self, what: str) -> DevError:
        log = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
        return DevError(f"Kafka {what}; its log ends:\n{log}", where=str(self.log))


_JVM = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    # Brokers here live for minutes, of which the optimizing compiler and a concurrent collector would take half the time.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
)


def start_kafka(
    dir: Path,
    *,
    port: int | None = None,
    far_port: int | None = None,
    options: Mapping[str, str | None] | None = None,
    die_with_parent: bool = False,
    wait: bool = True,
) -> KafkaServer:
    """Start a broker in ``dir``, fetched first if need be; data that is already there is kept.

    ``options`` are broker properties on top of ``OPTIONS`` (None drops one); the rest as for ``start_mysql``.
    ``far_port`` opens a second listener that tells its clients to come to that port: put a proxy there that leads to
    the handle's ``far_listener_port``.
    """
    server = KafkaServer(
        dir,
        port=free_port() if port is None else port,
        controller_port=free_port(),
        far_port=far_port,
        far_listener_port=None if far_port is None else free_port(),
        options=options or {},
        die_with_parent=die_with_parent,
    )
    return server.start(wait=wait)


def attach_kafka(folder: Path) -> KafkaServer:
    """The broker whose folder this is, running or not, as another process left it. Raises DevError if there is none."""
    try:
        facts = json.loads((folder / "server.json").read_text())
    except FileNotFoundError as error:
        raise DevError("no Kafka broker was ever started here", where=str(folder)) from error
    return KafkaServer(
        folder,
        port=facts["port"],
        controller_port=facts["controller_port"],
        far_port=facts.get("far_port"),
        far_listener_port=facts.get("far_listener_port"),
        options=facts["options"],
    )


def _template() -> Path:
    libraries = fetch_kafka()
    return install(f"template-{libraries.name}", lambda into: _initialise(into, libraries))


def _initialise(into: Path, libraries: Path) -> None:
    properties = into / "server.properties"
    listeners = {
        "listeners": f"PLAINTEXT://{HOST}:9092,CONTROLLER://{HOST}:9093",
        "controller.quorum.voters": f"1@{HOST}:9093",
        "log.dirs": str(into / "data"),
    }
    properties.write_text(_properties({**OPTIONS, **listeners}))
    java = [need("java", "openjdk-17-jre-headless"), *_JVM, "-cp", f"{libraries}/*"]
    tool = ["kafka.tools.StorageTool", "format", "-t", _random_id(), "-c", str(properties)]
    run([*java, *tool], "format a Kafka data folder")


def _properties(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _random_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
