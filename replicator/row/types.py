"""What a column of a table map is: its type as the binlog names it, and all that its metadata says."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .charsets import BINARY

__all__ = ["Column", "TableMap", "Type"]


class Type(enum.IntEnum):
    """Type codes of the binlog; ENUM and SET come in the metadata of STRING, and are named by their own code here."""

    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    TIMESTAMP_OLD = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME_OLD = 11
    DATETIME_OLD = 12
    YEAR = 13
    VARCHAR = 15
    BIT = 16
    TIMESTAMP = 17
    DATETIME = 18
    TIME = 19
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    DECIMAL = 246
    ENUM = 247
    SET = 248
    TINY_BLOB = 249
    MEDIUM_BLOB = 250
    LONG_BLOB = 251
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as it was when its row was logged.

    ``type`` is a code of ``Type``. ``length`` is the most bytes a text or binary value takes, or how many bytes an ENUM or
    SET takes in a row. ``length_bytes`` is the width of the length in front of a value, 0 where there is none.
    ``precision`` and ``decimals`` are of DECIMAL; ``decimals`` is also the fraction digits of temporal types, and ``bits``
    the width of BIT. ``charset`` is a collation id: 63 for binary strings, 0 where the type has none. ``members`` are the
    labels of ENUM and SET in that character set. ``geometry`` is the geometry type's number, ``dimensions`` VECTOR's.
    ``written_as`` is ``json`` or ``text`` where the target's column is that and the origin's is the other: see ``for_target``;
    and ``zero`` where the target's floating point numbers have no minus zero.
    ``introducer`` is the origin's character set where the target's column has another: the server converts.
    ``padding`` is what the target's text of a value has behind the origin's: zeros of a wider scale, midnight of a date.
    ``read_as`` is the SQL type by which a target's column of another type is read so that it prints as the origin's does,
    ``itself`` where it does so without.
    ``room`` is how many characters the target's shorter VARCHAR takes; 0 where it is not shorter.
    """

    name: str
    type: int
    nullable: bool
    unsigned: bool = False
    charset: int = 0
    members: tuple[bytes, ...] = ()
    visible: bool = True
    geometry: int | None = None
    length: int = 0
    length_bytes: int = 0
    precision: int = 0
    decimals: int = 0
    bits: int = 0
    dimensions: int = 0
    written_as: str = ""
    introducer: str = ""
    padding: str = ""
    read_as: str = ""
    room: int = 0

    @property
    def is_text(self) -> bool:
        """Whether its values are characters (and not bytes)."""
        return self.charset not in (0, BINARY) and self.type not in (Type.ENUM, Type.SET)

    @property
    def holds_other(self) -> bool:
        """Whether the target's column may hold what is no value of the origin's type: it then stays a text."""
        return bool(self.padding or self.read_as)

    @property
    def type_name(self) -> str:
        """The type's name for messages."""
        try:
            return Type(self.type).name
        except ValueError:
            return f"type {self.type}"


_TEXT_TYPES = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})


@dataclass(frozen=True, slots=True)
class TableMap:
    """One TABLE_MAP event: a table as it was when its rows were logged.

    ``primary_key`` holds the key's ordinals in key order, () without a primary key; ``prefixes`` the prefix length of each
    key part in characters, 0 for the whole column. ``flavor`` is the origin's.
    """

    schema: str
    table: str
    columns: tuple[Column, ...]
    primary_key: tuple[int, ...]
    prefixes: tuple[int, ...]
    flavor: str

    @property
    def qualified(self) -> str:
        """``schema.table``, for messages."""
        return f"{self.schema}.{self.table}"

    def for_target(self, data_types: Mapping[str, str]) -> TableMap:
        """The map to decode with where the target may be of the other flavor; ``data_types`` are its columns' DATA_TYPE.

        MariaDB's JSON is text: a document of MySQL is written into it as text, and its text into MySQL as a document.
        """
        columns = tuple(
            replace(column, written_as=_written_as(column, data_types.get(column.name, "").lower())) for column in self.columns
        )
        return self if columns == self.columns else replace(self, columns=columns)


def _written_as(column: Column, data_type: str) -> str:
    if column.type in (Type.FLOAT, Type.DOUBLE):
        return column.written_as
    if column.type == Type.JSON:
        return "text" if data_type in _TEXT_TYPES else ""
    return "json" if column.is_text and data_type == "json" else ""
