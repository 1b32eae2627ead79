"""Debezium's MySQL source and JDBC sink in Kafka Connect's standalone mode: the peer, tuned as well as we could.

The source takes its position before the load is written (``no_data``) and is then stopped; its clock starts when its first
record of the load shows in Kafka, so neither the JVM's start nor its connecting counts against it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import CoordinatorNotAvailableError
from kafka.structs import TopicPartition

from dev import DatabaseServer, DevError, KafkaServer, free_port
from dev.fetch import fetch_debezium

from .loads import SCHEMA

__all__ = ["Connect", "Topics", "sink", "source"]

PREFIX = "dbz"
_HEAP = "-Xmx1g"


def source(origin: DatabaseServer, kafka: KafkaServer) -> dict[str, str]:
    """The source connector's properties."""
    return {
        "name": "source",
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "tasks.max": "1",
        "database.hostname": origin.host,
        "database.port": str(origin.port),
        "database.user": origin.user,
        "database.password": origin.password,
        "database.server.id": "7001",
        "database.ssl.mode": "preferred",
        "database.allowPublicKeyRetrieval": "true",
        "topic.prefix": PREFIX,
        "database.include.list": SCHEMA,
        "snapshot.mode": "no_data",
        "include.schema.changes": "false",
        "schema.history.internal.kafka.bootstrap.servers": kafka.bootstrap,
        "schema.history.internal.kafka.topic": f"{PREFIX}.history",
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": "1",
        "max.batch.size": "8192",
        "max.queue.size": "32768",
        "producer.override.compression.type": "lz4",
        "producer.override.batch.size": "1048576",
        "producer.override.linger.ms": "10",
    }


def sink(target: DatabaseServer) -> dict[str, str]:
    """The sink connector's properties."""
    return {
        "name": "sink",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "4",
        "topics.regex": rf"{PREFIX}\.{SCHEMA}\.(sbtest.*|the_end)",
        "connection.url": f"jdbc:mysql://{target.host}:{target.port}/{SCHEMA}"
        "?rewriteBatchedStatements=true&allowPublicKeyRetrieval=true&useSSL=false",
        "connection.username": target.user,
        "connection.password": target.password,
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "none",
        "collection.name.format": "${source.table}",
        "batch.size": "1000",
        "use.reduction.buffer": "true",
        "consumer.override.max.poll.records": "5000",
        "consumer.override.auto.offset.reset": "earliest",
    }


class Connect:
    """One standalone worker process with one connector; offsets of a source are kept in ``folder``."""

    def __init__(self, folder: Path, kafka: KafkaServer, connector: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"connect-{connector['name']}.log"
        worker = {
            "bootstrap.servers": kafka.bootstrap,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "offset.storage.file.filename": str(folder / "offsets"),
            "offset.flush.interval.ms": "1000",
            "listeners": f"http://127.0.0.1:{free_port()}",
        }
        files = []
        for name, properties in (("worker", worker), (connector["name"], dict(connector))):
            files.append(folder / f"{name}.properties")
            files[-1].write_text("".join(f"{key}={_escaped(value)}\n" for key, value in properties.items()))
        libraries = fetch_debezium()
        java = ["java", _HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{libraries}/*"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *java, "org.apache.kafka.connect.cli.ConnectStandalone", *map(str, files)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """The JVM."""
        return self._process.pid

    def until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Poll; raises DevError with the log's end when it ends or time is up."""
        deadline = time.monotonic() + timeout
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DevError(f"Debezium: waited for {what}; log:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, so that it keeps its offsets."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Topics:
    """Looks at the topics of the source and at the sink's group."""

    def __init__(self, kafka: KafkaServer) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap)
        self._admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)

    def names(self) -> list[str]:
        """The topics of tables."""
        return sorted(name for name in self._admin.list_topics() if name.startswith(f"{PREFIX}.{SCHEMA}."))

    def create(self, tables: Iterable[str]) -> None:
        """Make the topics of tables, so that a sink can subscribe before there is anything in them."""
        one = {"num_partitions": 1, "replication_factor": 1}
        self._admin.create_topics({f"{PREFIX}.{SCHEMA}.{table}": one for table in tables}, wait_for_metadata=True)

    def subscribed(self) -> bool:
        """Whether a sink is a member of its group."""
        try:
            group: Any = self._admin.describe_groups(["connect-sink"])["connect-sink"]
        except CoordinatorNotAvailableError:
            return False  # no group was ever made at this broker
        return bool(group["members"]) and group["group_state"] == "Stable"

    def ends(self) -> dict[str, int]:
        """Number of records by table."""
        ends: dict[str, int] = {}
        for name in self.names():
            try:
                (end,) = self._consumer.end_offsets([TopicPartition(name, 0)]).values()
                ends[name.rpartition(".")[2]] = end
            except KeyError:
                pass  # a topic that was created this moment has no leader yet, and the client knows no better
        return ends

    def drained(self) -> bool:
        """Whether the sink has taken everything."""
        committed = self._admin.list_group_offsets({"connect-sink": None}).get("connect-sink", {})
        done = {p.topic.rpartition(".")[2]: offset.offset for p, offset in committed.items()}
        wanted = {table: end for table, end in self.ends().items() if table.startswith(("sbtest", "the_end"))}
        return bool(wanted) and all(done.get(table, 0) >= end for table, end in wanted.items())

    def close(self) -> None:
        """Close the clients."""
        self._consumer.close()
        self._admin.close()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
