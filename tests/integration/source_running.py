"""Runs the real source (or applier) of a stream in this process, and reads what it wrote to Kafka."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
import yaml

from dev import DatabaseServer, KafkaServer
from replicator.config import StreamConfig, load_config
from replicator.context import PausePoints, Reporter, Worker
from replicator.model import Role, State
from replicator.source.worker import run_source
from replicator.stream.consumer import RecordConsumer
from replicator.stream.reader import Item, StreamReader
from tests.harness import await_, execute
from tests.integration.source_reading import Got, transactions

_numbers = itertools.count(1)


def stream_config(server: DatabaseServer, kafka: KafkaServer, folder: Path, /, **pair: Any) -> StreamConfig:
    """A stream of its own from that server; its target is never asked."""
    name = f"s{next(_numbers)}x{int(time.time() * 1000) % 1_000_000}"
    database = {"host": server.host, "port": server.port, "user": server.user, "password_env": "TEST_PASSWORD"}
    document = {
        "sites": {
            "east": {"database": database, "kafka": {"bootstrap_servers": [kafka.bootstrap], "retention_hours": 24}},
            "west": {"database": {**database, "port": 1}},
        },
        "pairs": [{"name": name, "origin": "east", "target": "west", "tables": {"include": ["shop.*"]}, **pair}],
    }
    return load_config(folder / "replicator.yaml", text=yaml.safe_dump(document)).streams()[0]


def fresh_shop(server: DatabaseServer) -> None:
    """An empty schema `shop` with two tables."""
    execute(
        server,
        "DROP DATABASE IF EXISTS shop",
        "CREATE DATABASE shop",
        "CREATE TABLE shop.item (id INT PRIMARY KEY, name VARCHAR(4000))",
        "CREATE TABLE shop.other (id INT PRIMARY KEY)",
    )


class Running:
    """The source of a stream, or what ``function`` is, in a thread, from now to the end of the `with` block."""

    def __init__(
        self, stream: StreamConfig, function: Callable[[StreamConfig, Worker], None] = run_source, role: Role = Role.SOURCE
    ) -> None:
        self.stream = stream
        self._function = function
        self.reporter = Reporter(role, stream.id)
        self.worker = Worker(self.reporter, threading.Event(), PausePoints({}), structlog.get_logger())
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function(self.stream, self.worker)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            self.error = error

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop in order; it must be done within 10 s."""
        self.worker.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the source did not stop within 10 s"

    def ended(self, timeout_s: float = 60) -> BaseException:
        """The error with which it ended by itself."""
        self._thread.join(timeout_s)
        assert self.error is not None, "the source did not end with an error"
        return self.error

    def await_streaming(self) -> Running:
        """Return once it reads the binlog."""
        await_(f"streaming: {self.reporter.note}", lambda: self.reporter.state is State.STREAMING or self.error is not None)
        if self.error is not None:
            raise self.error
        return self

    def await_acknowledged(self, sequence: int, timeout_s: float = 30) -> Running:
        """Return once Kafka has that sequence."""

        def there() -> bool:
            if self.error is not None:
                raise self.error
            stage = self.reporter.stages.get("acknowledged")
            return stage is not None and stage.sequence >= sequence

        await_(f"sequence {sequence} acknowledged", there, timeout_s)
        return self


def records(stream: StreamConfig) -> list[tuple[int, bytes]]:
    """All records of the stream's topic."""
    consumer = RecordConsumer(stream)
    try:
        consumer.assign(None)
        end = consumer.end_offset()
        found: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + 30
        while consumer.next_offset < end and time.monotonic() < deadline:
            found += consumer.poll(200)
        return found
    finally:
        consumer.close()


def items(stream: StreamConfig) -> list[Item]:
    """What an applier gets from the stream's beginning."""
    reader = StreamReader(stream=stream.id.topic)
    return [item for offset, value in records(stream) for item in reader.feed(offset, value)]


def got(stream: StreamConfig) -> list[Got]:
    """The complete transactions of the stream."""
    return transactions(items(stream))
