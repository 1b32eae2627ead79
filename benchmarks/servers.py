"""Fresh servers for benchmarks, on the disk that servers would use."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dev import DatabaseServer, start_mariadb, start_mysql
from dev.cache import REPOSITORY

__all__ = ["QUICK", "Servers", "execute", "say", "workspace"]

QUICK = {"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "0"}
"""For an origin whose writing is not measured."""


class Servers:
    """Starts servers of one flavor (``mysql``, ``mysql97``, ``mariadb``); the stack destroys what is left of them."""

    def __init__(self, flavor: str, folder: Path, stack: ExitStack) -> None:
        self.flavor = flavor
        self._folder = folder / flavor
        self._stack = stack
        self._count = 0

    def origin(self, **options: str) -> DatabaseServer:
        """One whose writing is not measured; MySQL 8.0 notes dependencies as replicas' workers like them best (9.x always)."""
        if self.flavor == "mysql":
            options = {"binlog_transaction_dependency_tracking": "WRITESET", **options}
        return self.fresh(**{**QUICK, **options})

    def fresh(self, **options: str) -> DatabaseServer:
        """One more, with the durable settings of ``dev`` unless ``options`` say otherwise."""
        self._count += 1
        folder = self._folder / f"server{self._count}"
        if self.flavor == "mariadb":
            server = start_mariadb(folder, server_id=self._count, options=options, die_with_parent=True)
        else:
            version: Any = "9.7" if self.flavor == "mysql97" else "8.0"
            server = start_mysql(folder, server_id=self._count, version=version, options=options, die_with_parent=True)
        self._stack.callback(server.destroy)
        return server


def execute(server: DatabaseServer, *statements: str) -> None:
    """Run statements, each committed by itself."""
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def say(text: str) -> None:
    """Progress goes to standard error, figures to standard output."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def workspace(name: str) -> Iterator[tuple[Path, ExitStack]]:
    """A folder on the disk that servers would use, never in memory, and a stack for what runs in it; both are gone afterwards."""
    disk = REPOSITORY / ".run"
    disk.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=disk))
    try:
        with ExitStack() as stack:
            yield folder, stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)
