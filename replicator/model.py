"""The words of the system as types: what flows, and who it flows between."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["FLAVOR_MARIADB", "FLAVOR_MYSQL", "MAIN_STREAM", "META_SCHEMA", "Role", "State", "StreamId", "qualified", "quote_name"]

META_SCHEMA = "replicator"
"""The schema that holds our own tables at every site; never replicated."""

MAIN_STREAM = "main"
"""The stream that carries what no other stream of the pair does."""

FLAVOR_MYSQL = "mysql"
FLAVOR_MARIADB = "mariadb"


class Role(enum.StrEnum):
    """The two roles a worker process can have."""

    SOURCE = "source"
    APPLIER = "applier"


class State(enum.StrEnum):
    """What a worker is doing, as `status`, `/lag` and `/readyz` show it."""

    STARTING = "starting"
    STREAMING = "streaming"
    PAUSED = "paused"
    RETRYING = "retrying"  # after an error that another try may mend
    STOPPED = "stopped"  # after an error that needs an operator


@dataclass(frozen=True, slots=True)
class StreamId:
    """One stream of one flow; names its topics, its checkpoint rows and its metrics."""

    pair: str
    origin: str
    target: str
    stream: str = MAIN_STREAM

    @property
    def flow(self) -> str:
        """The flow's name, e.g. ``shop.east-west``."""
        return f"{self.pair}.{self.origin}-{self.target}"

    @property
    def topic(self) -> str:
        """The topic that carries the transactions."""
        return f"replicator.{self.flow}.{self.stream}"

    @property
    def ack_topic(self) -> str:
        """The compacted topic on which the applier publishes its durable checkpoint."""
        return f"{self.topic}.ack"

    @property
    def control_topic(self) -> str:
        """The compacted topic that remembers that the stream has a history."""
        return f"{self.topic}.control"

    def __str__(self) -> str:
        return f"{self.flow}.{self.stream}"


def quote_name(name: str) -> str:
    """Quote one identifier for MySQL and MariaDB."""
    return "`" + name.replace("`", "``") + "`"


def qualified(schema: str, table: str) -> str:
    """Quote ``schema.table``."""
    return f"{quote_name(schema)}.{quote_name(table)}"
