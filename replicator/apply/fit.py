"""Whether the target's columns can hold the origin's values unchanged, and how values are written where they differ. Pure.

A column of the target may be wider, or of another character set: text is then written with an introducer naming the origin's
set, and the server converts it. What would change values without an error (fewer fraction digits, another order of ENUM labels,
spaces cut from the end of a text) is refused. What the server itself refuses in strict mode (a number too large) is left to it.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from ..errors import ApplyError
from ..model import FLAVOR_MARIADB
from ..row.charsets import BINARY, charset_name
from ..row.types import Column, TableMap, Type
from .target import TargetColumn, TargetTable

__all__ = ["fit_to_target"]

_ALIASES = {"utf8": "utf8mb3"}
_CODECS = {
    "ascii": "ascii",
    "big5": "big5",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp932": "cp932",
    "euckr": "euc_kr",
    "gb18030": "gb18030",
    "gb2312": "gb2312",
    "gbk": "gbk",
    "greek": "iso8859_7",
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "sjis": "shift_jis",
    "ucs2": "utf_16_be",
    "ujis": "euc_jp",
    "utf16": "utf_16_be",
    "utf16le": "utf_16_le",
    "utf32": "utf_32_be",
    "utf8mb3": "utf_8",
    "utf8mb4": "utf_8",
}
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"\((\d+)\)")
_SCALE = re.compile(r"\((\d+)(?:,(\d+))?\)")
_NUMERIC = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"})
_DATES = frozenset({"date", "datetime", "timestamp", "year"})
_TIMES = _DATES | {"time"}
_UNTEXT = _NUMERIC | _TIMES | {"bit"}
_PADDED = frozenset({"char", "binary"})
_ROUNDING = {
    Type.FLOAT: frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal"}) | _TIMES,
    Type.DOUBLE: frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float"}) | _TIMES,
    Type.DATETIME: frozenset({"date", "time", "year"}),
    Type.TIMESTAMP: frozenset({"date", "time", "year"}),
    Type.DATE: frozenset({"time", "year"}),
    Type.TIME: _DATES,
    Type.YEAR: _TIMES - {"year"},
    Type.DECIMAL: frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "float", "double", "bit"}) | _TIMES,
    Type.VARCHAR: _UNTEXT | _PADDED,
    Type.VARCHAR_COMPRESSED: _UNTEXT | _PADDED,
    Type.VAR_STRING: _UNTEXT | _PADDED,
    Type.STRING: _UNTEXT,
    Type.BLOB: _UNTEXT | _PADDED,
    Type.BLOB_COMPRESSED: _UNTEXT | _PADDED,
}
"""Types that would take a value of the origin's only changed, and say nothing."""
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}) | {
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
}
_TEXT_BYTES = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215}
_BLOBS = frozenset({Type.BLOB, Type.BLOB_COMPRESSED})
_VARYING = _BLOBS | {Type.VARCHAR, Type.VARCHAR_COMPRESSED, Type.VAR_STRING}
_MOST_BYTES = {
    **dict.fromkeys(("utf8mb4", "utf16", "utf16le", "utf32", "gb18030"), 4),
    **dict.fromkeys(("utf8mb3", "ujis", "eucjpms"), 3),
    **dict.fromkeys(("big5", "cp932", "euckr", "gb2312", "gbk", "sjis", "ucs2"), 2),
}
_LEAST_BYTES = {"ucs2": 2, "utf16": 2, "utf16le": 2, "utf32": 4}
"""Of a character, by character set; 1 in others."""
_NUMBERED = frozenset({Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG, Type.DECIMAL, Type.YEAR})
_INTO_FLOAT = frozenset({Type.TINY, Type.SHORT, Type.INT24})
_INTO_DOUBLE = _INTO_FLOAT | {Type.LONG}
_TEMPORAL = frozenset({"datetime", "timestamp", "time"})
_HOLDERS = _TEXTS | (_NUMERIC - {"float", "double"}) | {"bit", "json"}
"""Types that hold an integer as it is, or refuse it."""
_PRECISION_MAX = 65
_INTEGERS = frozenset({Type.TINY, Type.SHORT, Type.INT24, Type.LONG, Type.LONGLONG})


def fit_to_target(table_map: TableMap, target: TargetTable) -> TableMap:
    """The map to decode with for this target. Raises ApplyError naming the first column that cannot hold the values."""
    types: dict[str, str] = {}
    columns: list[Column] = []
    for column in table_map.columns:
        there = target.column(column.name)
        if there is not None and not there.generated:
            types[column.name] = _data_type(there)
            _check(column, there, f"table {target.schema}.{target.name}, column {column.name}")
            column = replace(_introduced(column, there), room=_room(column, there))
            column = replace(column, padding=_padding(column, there))
            column = replace(column, read_as=_read_as(column, there))
            _check_key(column, there, target)
            if target.flavor == FLAVOR_MARIADB and column.type in (Type.FLOAT, Type.DOUBLE):
                column = replace(column, written_as="zero")
        columns.append(column)
    return replace(table_map, columns=tuple(columns)).for_target(types)


def _data_type(there: TargetColumn) -> str:
    return re.split(r"[ (]", there.type.lower(), maxsplit=1)[0]


def _check(column: Column, there: TargetColumn, where: str) -> None:
    data_type = _data_type(there)
    if column.type in (Type.ENUM, Type.SET):
        _check_labels(column, there, data_type, where)
        return
    if data_type in _ROUNDING.get(Type(column.type), ()):
        raise _narrower(column, there, where)
    if column.type == Type.STRING and data_type in _PADDED and not _pads_alike(column, there, data_type):
        raise _narrower(column, there, where)
    if column.type in _VARYING and _characters(column) > _TEXT_BYTES.get(data_type, math.inf):
        raise _narrower(column, there, where)
    if column.type in _INTEGERS and data_type not in _HOLDERS and not _keeps_digits(column, data_type):
        raise _narrower(column, there, where)
    timed = column.type in (Type.DATETIME, Type.TIMESTAMP, Type.TIME) and data_type in _TEMPORAL
    if timed and _number(there) < column.decimals:
        raise _narrower(column, there, where)
    if column.type == Type.DECIMAL and data_type == "decimal" and _scale(there) < column.decimals:
        raise _narrower(column, there, where)


def _pads_alike(column: Column, there: TargetColumn, data_type: str) -> bool:
    """Whether a value of fixed length ends there as at the origin: CHAR loses spaces, BINARY is filled up with zeros."""
    if data_type == "char":
        return column.is_text
    return column.charset == BINARY and column.length == _number(there)


def _characters(column: Column) -> int:
    """How many characters (bytes of a binary string) a value may have."""
    charset = charset_name(column.charset) or ""
    return column.length // (_LEAST_BYTES if column.type in _BLOBS else _MOST_BYTES).get(charset, 1)


def _room(column: Column, there: TargetColumn) -> int:
    """How many characters a VARCHAR takes that is shorter than the origin's column: it cuts spaces behind them with a note at
    most, so each value is looked at."""
    if column.type not in _VARYING or _data_type(there) != "varchar" or _characters(column) <= _number(there):
        return 0
    return _number(there)


def _keeps_digits(column: Column, data_type: str) -> bool:
    """Whether a floating point number keeps every digit of the integer."""
    return column.type in {"float": _INTO_FLOAT, "double": _INTO_DOUBLE}.get(data_type, ())


def _number(there: TargetColumn) -> int:
    """What stands in parentheses behind its type: a length, or fraction digits; 0 without."""
    digits = _NUMBER.search(there.type)
    return int(digits[1]) if digits else 0


def _scale(there: TargetColumn) -> int:
    scale = _SCALE.search(there.type)
    return int(scale[2] or 0) if scale else 0


def _padding(column: Column, there: TargetColumn) -> str:
    """What the target's text of a value has more than the origin's."""
    data_type = _data_type(there)
    day = ""
    if column.type == Type.DATE and data_type in ("datetime", "timestamp"):
        day, digits = " 00:00:00", _number(there)
    elif column.type in (Type.DATETIME, Type.TIMESTAMP, Type.TIME) and data_type in _TEMPORAL:
        digits = _number(there)
    elif (column.type == Type.DECIMAL or column.type in _INTEGERS) and data_type == "decimal":
        digits = _scale(there)
    else:
        return ""
    more = digits - column.decimals
    return day + ("." if more and not column.decimals else "") + "0" * more


def _read_as(column: Column, there: TargetColumn) -> str:
    """How a number is read that the target prints otherwise; "" where its text is cut by ``padding``, or is the same."""
    data_type = _data_type(there)
    if column.type not in _NUMBERED or column.padding or data_type == "year":
        return ""
    if "zerofill" in there.type.lower() or (column.type == Type.YEAR and data_type in _NUMERIC):
        return f"DECIMAL({_PRECISION_MAX},{column.decimals})"
    if data_type in ("float", "double"):
        return "DOUBLE"
    if data_type == "bit":
        return "UNSIGNED"
    return "itself" if data_type in _TEXTS else ""


def _check_key(column: Column, there: TargetColumn, target: TargetTable) -> None:
    """A number finds no text by the index, and several that spell it otherwise."""
    keys = (target.identity, target.primary_key, *target.unique_keys)
    if column.read_as == "itself" and any(column.name.lower() in key for key in keys):
        raise ApplyError(
            f"the target's column is {there.type}, in a key by which the origin's {column.type_name} finds no row",
            where=f"table {target.schema}.{target.name}, column {column.name}",
            remedy="give the target's column the origin's type (or a wider one), then `replicator resume`",
        )


def _narrower(column: Column, there: TargetColumn, where: str) -> ApplyError:
    return ApplyError(
        f"the target's column is {there.type}, which would round or cut the origin's {column.type_name} without an error",
        where=where,
        remedy="give the target's column the origin's type (or a wider one), then `replicator resume`",
    )


def _check_labels(column: Column, there: TargetColumn, data_type: str, where: str) -> None:
    """Values are written by number: the labels behind the numbers must be the same; more at the end do no harm."""
    labels = [label.replace("''", "'") for label in _LABEL.findall(there.type)] if data_type in ("enum", "set") else []
    codec = _CODECS.get(charset_name(column.charset) or "")
    same = data_type == column.type_name.lower() and len(labels) >= len(column.members)
    for member, label in zip(column.members, labels, strict=False):
        same = same and _same_label(member, label, codec)
    if not same:
        raise ApplyError(
            f"the target's column is {data_type} with other members than the origin's {column.type_name}",
            where=where,
            remedy="give the target's column the origin's members in the same order, then `replicator resume`",
        )


def _same_label(member: bytes, label: str, codec: str | None) -> bool:
    """Whether they are the same; True where it cannot be told: letters that this library knows differently, or escapes."""
    if codec is None:
        return True
    try:
        text = member.decode(codec)
    except UnicodeDecodeError:
        return True
    if "\\" in label or "?" in label or not text.isprintable():
        return True
    return text.rstrip(" ") == label.rstrip(" ")


def _introduced(column: Column, there: TargetColumn) -> Column:
    if column.charset in (0, BINARY) or not column.is_text or not there.charset:
        return column
    own = charset_name(column.charset)
    at_target = there.charset.lower()
    if own is None or at_target == "binary":
        return column
    # MariaDB takes a text longer than a compressed column only where it need not convert it, so its own set is named too.
    if own == _ALIASES.get(at_target, at_target) and column.type != Type.VARCHAR_COMPRESSED:
        return column
    return replace(column, introducer=own)
