"""A connection to a site's database for questions, and what it says about the server."""

from __future__ import annotations

import re
import time
from typing import Any

import pymysql

from ...config import Site
from ...errors import DatabaseError
from ...model import FLAVOR_MARIADB, FLAVOR_MYSQL

__all__ = ["Probe"]

_ACCESS_DENIED = (1044, 1045, 1698)
_CLOCK_TRIES = 3


class Probe:
    """One site's database. Raises DatabaseError where it cannot be asked."""

    def __init__(self, site: Site) -> None:
        self.site = site
        args = {**site.database.connect_args(), "connect_timeout": 10, "read_timeout": 60}
        try:
            self._connection: pymysql.Connection[Any] = pymysql.connect(**args, charset="utf8mb4", autocommit=True)
        except (pymysql.MySQLError, OSError) as error:
            raise self._trouble(error) from error
        self.variables = {str(name).lower(): str(value) for name, value in self.rows("SHOW GLOBAL VARIABLES")}
        self.version_text = self.variables["version"]
        self.flavor = FLAVOR_MARIADB if "mariadb" in self.version_text.lower() else FLAVOR_MYSQL
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", self.version_text)
        self.version = tuple(int(n) for n in numbers.groups()) if numbers else (0, 0, 0)
        ((user, host),) = [str(row[0]).rpartition("@")[::2] for row in self.rows("SELECT CURRENT_USER()")]
        self.account = f"'{user}'@'{host}'"

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name

    @property
    def is_mariadb(self) -> bool:
        """Whether it is a MariaDB."""
        return self.flavor == FLAVOR_MARIADB

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, values or None)
                return list(cursor.fetchall())
        except (pymysql.MySQLError, OSError) as error:
            raise self._trouble(error) from error

    def value(self, query: str, *values: object) -> Any:
        """The first value of the first row; None where there is none."""
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def clock_offset_s(self) -> float:
        """The server's clock minus this host's, by the quickest of a few answers."""
        best: tuple[float, float] | None = None
        for _ in range(_CLOCK_TRIES):
            before = time.time()
            there = float(self.value("SELECT UNIX_TIMESTAMP(NOW(6))"))
            after = time.time()
            answer = (after - before, there - (before + after) / 2)
            best = answer if best is None else min(best, answer)
        assert best is not None
        return best[1]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _trouble(self, error: Exception) -> DatabaseError:
        database = self.site.database
        errno = error.args[0] if error.args else 0
        if errno in _ACCESS_DENIED:
            remedy = f"CREATE USER '{database.user}'@'%' IDENTIFIED BY '…'; or correct user and password in the configuration"
        elif database.uses_tls and ("SSL" in str(error) or "certificate" in str(error)):
            remedy = "give the authority's certificate by database.tls.ca, or turn TLS off by database.tls: {enabled: false}"
        else:
            remedy = "check that it runs, listens there and can be reached from here"
        return DatabaseError(f"cannot use the database at {database.address}: {error}", where=self.site.name, remedy=remedy)
