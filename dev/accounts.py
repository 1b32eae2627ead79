"""The replicator's account at each server: what it may do, how it comes to be, and how a configuration names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .database import DatabaseServer
from .ports import HOST

__all__ = ["GRANTS", "PASSWORD", "USER", "glob_of", "grants", "prepare_server", "site_entry"]

USER = "replicator"
PASSWORD = "replicator-Pa55"

_ROWS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, "
    "CREATE ROUTINE, ALTER ROUTINE, EVENT, LOCK TABLES"
)
GRANTS: dict[str, tuple[str, ...]] = {
    "mysql": (
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {account}",
        "GRANT {definer}, SYSTEM_USER ON *.* TO {account}",
        "GRANT ALL ON `replicator`.* TO {account}",
    ),
    "mariadb": (
        "GRANT REPLICATION SLAVE, BINLOG MONITOR, SET USER, PROCESS ON *.* TO {account}",
        "GRANT ALL ON `replicator`.* TO {account}",
    ),
}
"""What the replicator's account needs at each server, besides its rights on the replicated databases."""


def grants(server: DatabaseServer, account: str, schemas: Sequence[str]) -> list[str]:
    """The GRANT statements for ``account``, to replicate ``schemas`` (which may hold LIKE wildcards)."""
    extra = ", DELETE HISTORY" if server.flavor == "mariadb" else ""
    # Views of other people's making; the privilege got another name in MySQL 8.2.
    definer = "SET_USER_ID" if server.version.startswith("8.0") else "SET_ANY_DEFINER"
    statements = [statement.format(account=account, definer=definer) for statement in GRANTS[server.flavor]]
    names = [schema.replace("`", "``") for schema in schemas]
    return statements + [f"GRANT {_ROWS}{extra} ON `{name}`.* TO {account}" for name in names]


def prepare_server(server: DatabaseServer, schemas: Sequence[str], also_grant: Sequence[str] = ()) -> None:
    """Create the replicator's user with its grants on ``schemas``, the schema ``replicator`` and ``schemas`` themselves."""
    account = f"'{USER}'@'{HOST}'"
    statements = [f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{PASSWORD}'"]
    statements += [f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4" for name in ("replicator", *schemas)]
    statements += grants(server, account, [*schemas, *also_grant])
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def site_entry(site: str, server: DatabaseServer, http_port: int, more: Mapping[str, Any]) -> dict[str, Any]:
    """A site in the configuration, without its Kafka; the password is in a file beside it."""
    database = {"host": server.host, "port": server.port, "user": USER, "password_file": f"{site}.secret"}
    return {"database": database, "http": {"listen": f"{HOST}:{http_port}"}, **more}


def glob_of(schema: str) -> str:
    """The pattern that includes all tables of a schema."""
    plain = schema.replace("_", "").isalnum()
    return f"{schema}.*" if plain else "`" + schema.replace("`", "``") + "`.*"
