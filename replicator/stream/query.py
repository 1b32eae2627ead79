"""Takes a shipped QUERY event apart: the statement, and the session settings under which the origin ran it.

The payload is the header's timestamp (u32) and then the event's body; see ``wire``. Codes of status variables are those of
the servers' ``Query_event``; an unknown one has an unknown length, so it is an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from ..errors import DecodeError
from ..model import FLAVOR_MARIADB
from ..row.charsets import charset_name
from ..sql.tokens import Syntax

__all__ = ["Query", "parse_query"]

_POST_HEADER = struct.Struct("<IIBHH")  # thread id, execution time, schema length, error code, status variables length
_ANSI_QUOTES, _NO_BACKSLASH_ESCAPES = 1 << 2, 1 << 20


_TWO_PHASES = 2 | 4 | 8  # start, commit, rollback of an ALTER; see MariaDB's Gtid_log_event


@dataclass(slots=True)
class Query:
    """One statement. Settings are None where the event does not carry them: then they did not matter there.

    ``charsets`` are the ids of character_set_client, collation_connection and collation_server. ``flags2`` are the option
    bits of the servers: 1 << 26 no foreign key checks, 1 << 27 relaxed unique checks, 1 << 15 no CHECKs (MariaDB).
    """

    flavor: str
    timestamp: int
    thread_id: int
    error_code: int
    schema: str
    statement: bytes
    flags2: int | None = None
    sql_mode: int | None = None
    charsets: tuple[int, int, int] | None = None
    time_zone: str | None = None
    auto_increment: tuple[int, int] | None = None
    lc_time_names: int | None = None
    charset_database: int | None = None
    microseconds: int | None = None
    default_collation_for_utf8mb4: int | None = None
    character_set_collations: tuple[tuple[int, int], ...] = ()
    """MariaDB: character sets with another default collation, as the ids of their own default one and of that."""
    explicit_defaults_for_timestamp: bool | None = None
    sql_require_primary_key: bool | None = None
    default_table_encryption: bool | None = None
    invoker: tuple[str, str] | None = None
    updated_schemas: tuple[str, ...] = field(default=())

    def syntax(self) -> Syntax:
        """How the statement is read."""
        mode = self.sql_mode or 0
        charset = charset_name(self.charsets[0]) if self.charsets else None
        return Syntax(
            flavor=self.flavor,
            ansi_quotes=bool(mode & _ANSI_QUOTES),
            no_backslash_escapes=bool(mode & _NO_BACKSLASH_ESCAPES),
            charset=charset or "utf8mb4",
        )


def parse_query(payload: bytes, flavor: str) -> Query:
    """Parse a shipped QUERY payload; raises DecodeError on anything that does not follow the format."""
    try:
        return _parse(payload, flavor)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DecodeError(
            "a QUERY event is malformed", remedy="the stream or the origin's binlog is damaged: check it with mysqlbinlog"
        ) from error


def _parse(payload: bytes, flavor: str) -> Query:
    (timestamp,) = struct.unpack_from("<I", payload)
    thread_id, _, schema_length, error_code, variables_length = _POST_HEADER.unpack_from(payload, 4)
    start = 4 + _POST_HEADER.size
    end = start + variables_length
    if payload[end + schema_length] != 0:
        raise IndexError("the schema's name is not closed")
    schema = payload[end : end + schema_length].decode()
    query = Query(flavor, timestamp, thread_id, error_code, schema, payload[end + schema_length + 1 :])
    _Variables(query, payload[start:end]).read()
    return query


class _Variables:
    """Reads the status variables into a query."""

    def __init__(self, query: Query, data: bytes) -> None:
        self._query = query
        self._data = data
        self._at = 0

    def read(self) -> None:
        while self._at < len(self._data):
            code = self._number(1)
            if code >= 128 and self._query.flavor == FLAVOR_MARIADB:
                self._mariadb(code)
            else:
                self._one(code)
        if self._at != len(self._data):
            raise IndexError("a status variable is cut short")

    def _one(self, code: int) -> None:
        query = self._query
        if code == 0:
            query.flags2 = self._number(4)
        elif code == 1:
            query.sql_mode = self._number(8)
        elif code == 2:
            self._text()
            self._number(1)
        elif code == 3:
            query.auto_increment = (self._number(2), self._number(2))
        elif code == 4:
            query.charsets = (self._number(2), self._number(2), self._number(2))
        elif code == 5:
            query.time_zone = self._text()
        elif code == 6:
            self._text()
        elif code == 7:
            query.lc_time_names = self._number(2)
        elif code == 8:
            query.charset_database = self._number(2)
        elif code in (9, 17):
            self._number(8)
        elif code == 10:
            self._number(4)
        elif code == 11:
            query.invoker = (self._text(), self._text())
        elif code == 12:
            self._updated()
        elif code == 13:
            query.microseconds = self._number(3)
        elif code == 16:
            query.explicit_defaults_for_timestamp = bool(self._number(1))
        elif code == 18:
            query.default_collation_for_utf8mb4 = self._number(2)
        elif code == 19:
            query.sql_require_primary_key = bool(self._number(1))
        elif code == 20:
            query.default_table_encryption = bool(self._number(1))
        else:
            self._unknown(code)

    def _mariadb(self, code: int) -> None:
        if code == 128:
            self._query.microseconds = self._number(3)
        elif code == 129:
            self._number(8)
        elif code == 130:
            self._alter_in_two_phases(self._number(1))
        elif code == 131:
            self._query.character_set_collations = tuple([(self._number(2), self._number(2)) for _ in range(self._number(1))])
        else:
            self._unknown(code)

    def _alter_in_two_phases(self, flags: int) -> None:
        if flags & _TWO_PHASES:
            raise DecodeError(
                "an ALTER TABLE was logged in two phases, and may be rolled back yet",
                remedy="SET GLOBAL binlog_alter_two_phase=OFF at the origin, and start the stream anew behind this statement "
                "(docs/WHAT-IF.md)",
            )

    def _unknown(self, code: int) -> None:
        raise DecodeError(f"a QUERY event carries an unknown status variable {code}", remedy="upgrade replicator")

    def _number(self, size: int) -> int:
        end = self._at + size
        if end > len(self._data):
            raise IndexError("a status variable is cut short")
        value = int.from_bytes(self._data[self._at : end], "little")
        self._at = end
        return value

    def _text(self) -> str:
        size = self._number(1)
        end = self._at + size
        if end > len(self._data):
            raise IndexError("a status variable is cut short")
        text = self._data[self._at : end].decode()
        self._at = end
        return text

    def _updated(self) -> None:
        count = self._number(1)
        if count == 254:  # too many to be listed
            return
        names = []
        for _ in range(count):
            end = self._data.index(b"\0", self._at)
            names.append(self._data[self._at : end].decode())
            self._at = end + 1
        self._query.updated_schemas = tuple(names)
