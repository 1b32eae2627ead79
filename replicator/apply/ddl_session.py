"""A connection for DDL that takes on, for each statement, what the origin's session was set to."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT

from ..errors import DatabaseError, DdlError
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL, quote_name
from ..row.charsets import charset_name
from ..sql.classify import Statement
from ..stream.query import Query

if TYPE_CHECKING:
    from ..config import Site

__all__ = ["DdlSession", "mode_names"]

_FOREIGN_KEYS_OFF = 1 << 26
_UNIQUE_CHECKS_OFF = 1 << 27
_MARIADB_EXPLICIT_TIMESTAMPS = 1 << 24
_MARIADB_CONSTRAINTS_OFF = 1 << 15
_NO_SUCH_DATABASE = frozenset({1044, 1049})
"""What USE meets where the target has no such database, or the user may not know that it has."""
_NO_DATABASE_SELECTED = 1046
_UTF8MB4_COLLATIONS = {45: "utf8mb4_general_ci", 255: "utf8mb4_0900_ai_ci"}
"""What MySQL's default_collation_for_utf8mb4 may be."""
_MARIADB_UTF8MB4 = 45
_CHARSET_ALONE = re.compile(
    rb"\b(?:char(?:acter)?\s+set|charset)\s*=?\s*['\"`]?(\w+)\b['\"`]?+(?!\s*,?\s*(?:default\s+)?collate\b)"
)
"""A character set without a collation, in lower case: it gets the set's default one."""
_CONNECTION_ERRORS = frozenset({1040, 1053, 1158, 1159, 1160, 1161, 1290, 1317, 1205, 1213, 1836, 1927, 2006, 2013, 2014})

_MODES = {
    0: "REAL_AS_FLOAT",
    1: "PIPES_AS_CONCAT",
    2: "ANSI_QUOTES",
    3: "IGNORE_SPACE",
    5: "ONLY_FULL_GROUP_BY",
    6: "NO_UNSIGNED_SUBTRACTION",
    7: "NO_DIR_IN_CREATE",
    19: "NO_AUTO_VALUE_ON_ZERO",
    20: "NO_BACKSLASH_ESCAPES",
    21: "STRICT_TRANS_TABLES",
    22: "STRICT_ALL_TABLES",
    23: "NO_ZERO_IN_DATE",
    24: "NO_ZERO_DATE",
    25: "ALLOW_INVALID_DATES",
    26: "ERROR_FOR_DIVISION_BY_ZERO",
    29: "HIGH_NOT_PRECEDENCE",
    30: "NO_ENGINE_SUBSTITUTION",
    31: "PAD_CHAR_TO_FULL_LENGTH",
}
"""Bits of sql_mode in a QUERY event that mean the same at MySQL and MariaDB."""

_MARIADB_MODES = {
    4: "IGNORE_BAD_TABLE_OPTIONS",
    9: "ORACLE",
    32: "EMPTY_STRING_IS_NULL",
    33: "SIMULTANEOUS_ASSIGNMENT",
    34: "TIME_ROUND_FRACTIONAL",
}
_MYSQL_MODES = {32: "TIME_TRUNCATE_FRACTIONAL"}


def _errno(error: pymysql.MySQLError) -> int:
    """The server's number; 0 where the error is not the server's."""
    return int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0


def _may_pass(error: pymysql.MySQLError) -> bool:
    """Whether the connection or the server's state is the cause, so that another try may help."""
    errno = _errno(error)
    return errno in _CONNECTION_ERRORS or not errno or isinstance(error, pymysql.err.InterfaceError)

def mode_names(bits: int, origin: str, target: str) -> str:
    """The names of sql_mode's bits, for a target of either flavor; what the target does not know is left out."""
    modes = dict(_MODES)
    if origin == target:
        modes |= _MARIADB_MODES if origin == FLAVOR_MARIADB else _MYSQL_MODES
    return ",".join([name for bit, name in modes.items() if bits >> bit & 1])


class DdlSession:
    """One pymysql connection in autocommit; not thread-safe."""

    def __init__(self, site: Site) -> None:
        self._where = f"site {site.name}"
        self._schema = ""
        try:
            connection: Any = pymysql.connect(
                **{"connect_timeout": 10, **site.database.connect_args()},
                charset="utf8mb4",
                autocommit=True,
                client_flag=CLIENT.FOUND_ROWS,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise DatabaseError(f"cannot connect: {error.args[-1]}", where=self._where) from error
        self._connection = connection
        mariadb = "mariadb" in connection.get_server_info().lower()
        self.flavor = FLAVOR_MARIADB if mariadb else FLAVOR_MYSQL
        self.connection_id = int(connection.thread_id())
        self.lower_names = bool(int(self.ask("SELECT @@lower_case_table_names", ())[0][0]))
        self.ask("SET @replicator_applying=1", ())
        if mariadb:
            # In no binlog; an ALTER of a system-versioned table that was logged was allowed there.
            self.ask("SET SESSION system_versioning_alter_history=KEEP", ())
        else:
            self.ask("SET SESSION information_schema_stats_expiry=0", ())
        try:
            # In no binlog; what the origin's session made may be what InnoDB refuses in this mode.
            self.ask("SET SESSION innodb_strict_mode=OFF", ())
        except pymysql.MySQLError:
            pass  # MySQL wants SESSION_VARIABLES_ADMIN for it: then the target's own setting counts

    def alive(self) -> bool:
        """Whether the connection still answers."""
        try:
            self._connection.ping(reconnect=False)
        except pymysql.MySQLError:
            return False
        return True

    def ask(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Run one of our own statements. Raises DatabaseError where the connection is gone, pymysql's errors for the rest."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, values or None)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            if _may_pass(error):
                raise DatabaseError(f"the connection to the target broke: {error.args[-1]}", where=self._where) from error
            raise

    def lock(self, name: str) -> bool:
        """Take a named lock, if it becomes free within a second; the connection has it to its end, or until ``unlock``."""
        try:
            return self.ask("SELECT GET_LOCK(%s, 1)", (name,)) == [(1,)]
        except pymysql.MySQLError as error:
            raise DatabaseError(f"cannot take a named lock: {error.args[-1]}", where=self._where) from error

    def unlock(self, name: str) -> None:
        """Give it back; where the connection broke, it went with it."""
        with suppress(pymysql.MySQLError, DatabaseError):
            self.ask("SELECT RELEASE_LOCK(%s)", (name,))

    def use(self, schema: str) -> bool:
        """Make ``schema`` the default one, or none where the target has no such: the server then refuses what needs one.

        False where another is the default already: a connection cannot give one up, so a new one is needed.
        """
        if schema:  # also where it is the one already: DROP DATABASE takes it from the session
            try:
                self._query(b"USE " + quote_name(schema).encode())
                self._schema = schema
            except pymysql.MySQLError as error:
                if not error.args or error.args[0] not in _NO_SUCH_DATABASE:
                    raise DatabaseError(f"cannot use database {schema}: {error.args[-1]}", where=self._where) from error
        return self._schema in ("", schema)

    def execute(self, statement: Statement, query: Query, *, accept: frozenset[int], where: str) -> None:
        """Run the origin's statement in its settings. Errors in ``accept``, and the one it had there too, mean success.

        Raises DdlError where the target refuses it, DatabaseError where another try may help.
        """
        try:
            self._timestamp_defaults(statement, query, where)
            self._take_on(query)
            self._utf8mb4_collation(statement, query, where)
            self._default_collations(statement, query, where)
            self._query(statement.text)
        except pymysql.MySQLError as error:
            errno = _errno(error)
            if errno in accept or (errno and errno == query.error_code):
                return
            if _may_pass(error):
                raise DatabaseError(f"a {statement.kind} was interrupted: {error.args[-1]}", where=where) from error
            if errno == _NO_DATABASE_SELECTED and statement.default_schema:
                schema = statement.default_schema
                raise DdlError(
                    f"a {statement.kind} means database {schema}, which the target has not",
                    where=where,
                    remedy=f"create database {schema} at the target (and grant its rights to replicator's user), "
                    "then `replicator resume`; or leave the statement out with `replicator skip`",
                ) from error
            raise DdlError(
                f"the target refuses a {statement.kind}: {error.args[-1]} (error {errno})",
                where=where,
                remedy="make the target fit and `replicator resume`; or do by hand what it needs and `replicator skip`",
            ) from error
        finally:
            self._own_settings()

    def close(self) -> None:
        """Close at once; safe to call twice."""
        self._connection._force_close()

    def _take_on(self, query: Query) -> None:
        flags = query.flags2 or 0
        settings = {
            "timestamp": self._timestamp(query),
            "foreign_key_checks": str(int(not flags & _FOREIGN_KEYS_OFF)),
            "unique_checks": str(int(not flags & _UNIQUE_CHECKS_OFF)),
            "sql_mode": f"'{mode_names(query.sql_mode or 0, query.flavor, self.flavor)}'",
            "time_zone": f"'{query.time_zone}'" if query.time_zone else "@@global.time_zone",
            **self._charsets(query),
        }
        if self.flavor == FLAVOR_MARIADB:
            off = query.flavor == FLAVOR_MARIADB and flags & _MARIADB_CONSTRAINTS_OFF
            settings["check_constraint_checks"] = str(int(not off))
        # An ALTER that adds such a column numbers the rows. An event without the two means 1 and 1, not the target's own.
        increment, offset = query.auto_increment or (1, 1)
        settings.update(auto_increment_increment=str(increment), auto_increment_offset=str(offset))
        self._query(b"SET " + ",".join(f"SESSION {k}={v}" for k, v in settings.items()).encode())

    def _timestamp_defaults(self, statement: Statement, query: Query, where: str) -> None:
        """Whether `TIMESTAMP` alone means NULL or NOT NULL DEFAULT CURRENT_TIMESTAMP: the latter turns NULLs of rows into now."""
        wanted = query.explicit_defaults_for_timestamp
        if query.flavor == FLAVOR_MARIADB and (query.flags2 or 0) & _MARIADB_EXPLICIT_TIMESTAMPS:
            wanted = True  # while its absence may mean a server that does not log it
        if wanted is None or b"timestamp" not in statement.text.lower():
            return
        if self.ask("SELECT @@SESSION.explicit_defaults_for_timestamp", ()) == [(int(wanted),)]:
            return
        try:
            self.ask(f"SET SESSION explicit_defaults_for_timestamp={int(wanted)}", ())
        except pymysql.MySQLError as error:
            value = "ON" if wanted else "OFF"
            raise DdlError(
                f"a {statement.kind} would make another table: explicit_defaults_for_timestamp was {value} at the origin",
                where=where,
                remedy=f"SET GLOBAL explicit_defaults_for_timestamp={value} at the target; then `replicator resume`",
            ) from error

    def _utf8mb4_collation(self, statement: Statement, query: Query, where: str) -> None:
        """Which collation CHARACTER SET utf8mb4 means without COLLATE: it decides which keys are equal. MySQL has a choice."""
        number = query.default_collation_for_utf8mb4 if query.flavor == FLAVOR_MYSQL else _MARIADB_UTF8MB4
        wanted = _UTF8MB4_COLLATIONS.get(number or 0)
        if self.flavor != FLAVOR_MYSQL or wanted is None or b"utf8mb4" not in statement.text.lower():
            return
        if self.ask("SELECT @@SESSION.default_collation_for_utf8mb4", ()) == [(wanted,)]:
            return
        try:
            self.ask(f"SET SESSION default_collation_for_utf8mb4={wanted}", ())
        except pymysql.MySQLError as error:
            raise DdlError(
                f"a {statement.kind} would make another table: CHARACTER SET utf8mb4 meant {wanted} at the origin",
                where=where,
                remedy="GRANT SESSION_VARIABLES_ADMIN ON *.* to replicator's user at the target; then `replicator resume`",
            ) from error

    def _default_collations(self, statement: Statement, query: Query, where: str) -> None:
        """Between MariaDBs, the collation of `CHARACTER SET name` alone: from 11.2 on a session may have its own, and from 11.5
        on they are others than before."""
        if not query.flavor == self.flavor == FLAVOR_MARIADB:
            return
        wanted = {charset_name(own) or "": there for own, there in query.character_set_collations}
        if self.ask("SHOW SESSION VARIABLES LIKE 'character_set_collations'", ()):
            known = {charset: name for charset, there in wanted.items() if (name := self._collation_here(there))}
            self.ask("SET SESSION character_set_collations=%s", (",".join([f"{c}={name}" for c, name in known.items()]),))
            wanted = {charset: there for charset, there in wanted.items() if charset not in known}
        alone = {"utf8mb3" if name == b"utf8" else name.decode() for name in _CHARSET_ALONE.findall(statement.text.lower())}
        if wanted and alone and ("" in wanted or not alone.isdisjoint(wanted)):
            raise DdlError(
                f"a {statement.kind} would make another collation here: it names a character set without one, and its session's "
                "character_set_collations are unknown to this server",
                where=where,
                remedy="run it by hand at the target with a COLLATE clause, then `replicator skip`; or upgrade the target to the "
                "origin's version, then `replicator resume`",
            )

    def _collation_here(self, number: int) -> str:
        """A MariaDB collation's name; empty where the server does not know it."""
        rows = self.ask(
            "SELECT full_collation_name FROM information_schema.collation_character_set_applicability WHERE id=%s", (number,)
        )
        return str(rows[0][0]) if rows else ""

    def _timestamp(self, query: Query) -> str:
        return f"{query.timestamp}.{query.microseconds or 0:06d}"

    def _charsets(self, query: Query) -> dict[str, str]:
        """The character sets of the origin's session; a collation that only its flavor knows by the set's default one."""
        if query.charsets is None:
            return {}
        client, connection, server = query.charsets
        same = query.flavor == self.flavor

        def collation(number: int) -> str:
            return str(number) if same else self._default_collation(number)

        return {
            "character_set_client": str(client) if same else f"'{charset_name(client)}'",
            "collation_connection": collation(connection),
            "collation_server": collation(server),
        }

    def _default_collation(self, number: int) -> str:
        name = charset_name(number)
        rows = self.ask("SELECT id, collation_name FROM information_schema.collations WHERE id=%s", (number,))
        if rows and str(rows[0][1]).startswith(f"{name}_"):
            return f"'{rows[0][1]}'"
        rows = self.ask("SELECT default_collate_name FROM information_schema.character_sets WHERE character_set_name=%s", (name,))
        return f"'{rows[0][0]}'" if rows else "@@global.collation_server"

    def _own_settings(self) -> None:
        try:
            self._query(
                b"SET NAMES utf8mb4, SESSION timestamp=DEFAULT, SESSION foreign_key_checks=1, SESSION unique_checks=1,"
                b" SESSION sql_mode='STRICT_ALL_TABLES'"
            )
        except pymysql.MySQLError:
            self.close()  # it broke; the next use connects anew

    def _query(self, sql: bytes) -> None:
        """Send bytes as they are: the statement's own character set is none of pymysql's business."""
        self._connection._execute_command(3, sql)
        self._connection._read_query_result(unbuffered=False)
