"""Rows that must not leave the origin as they are: dropped columns, masked values, row filters. Pure.

A table with such rules gets a table map and rows events of its own, as if the origin's table had been so: what is masked or
dropped never reaches a record. Values are replaced in every image, so that updates and deletes still find their rows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ConfigError, SourceError
from ..row.charsets import charset_name
from ..row.decode import decoder
from ..row.encode import RowCutter, bitmap, encode_table_map, lenenc, packed_value
from ..row.tablemap import parse_table_map, read_lenenc
from ..row.types import Column, TableMap, Type
from .rowfilter import filter_text

if TYPE_CHECKING:
    from ..config import Mapping, Mask, RowFilter, TableMapping

__all__ = ["Reshaped", "reshape"]

_UTF8MB4_GENERAL = 45
_WRITE, _UPDATE, _DELETE = frozenset({23, 30}), frozenset({24, 31}), frozenset({25, 32})
_WRITE_V2, _UPDATE_V2, _DELETE_V2 = 30, 31, 32
_PARTIAL_UPDATE = 39
_CODECS = {"latin1": "latin-1", "utf8mb3": "utf-8", "utf8mb4": "utf-8", "ucs2": "utf-16-be", "utf16": "utf-16-be",
           "utf16le": "utf-16-le", "utf32": "utf-32-be", "sjis": "shift_jis", "ujis": "euc_jp", "binary": "latin-1"}  # fmt: skip

Cut = list[bytes | None]
Mask_ = Callable[[bytes | None, bytes | None], bytes | None]
"""Takes a column's raw bytes and its text; returns the raw bytes to ship."""


class Reshaped:
    """One table map with its rules applied: ``body`` is the map to ship, ``events`` reshapes rows events."""

    def __init__(self, table_map: TableMap, rules: TableMapping, mapping: Mapping) -> None:
        self._map = table_map
        names = {c.name.casefold(): i for i, c in enumerate(table_map.columns)}
        self._keep = self._kept(rules, names)
        self._masks: dict[int, Mask_] = {}
        columns = list(table_map.columns)
        for name, mask in rules.masks.items():
            i = self._ordinal(names, name, "masks")
            self._masks[i], columns[i] = _masked(columns[i], mask, mapping)
        self._filter = self._row_filter(rules.rows, names)
        place = {old: new for new, old in enumerate(self._keep)}
        whole = all(i in place for i in table_map.primary_key)
        shipped = replace(
            table_map,
            columns=tuple([columns[i] for i in self._keep]),
            primary_key=tuple([place[i] for i in table_map.primary_key]) if whole else (),
            prefixes=table_map.prefixes if whole else (),
        )
        self.body = encode_table_map(shipped)
        self._cutter = RowCutter(table_map)
        self._texts = decoder(table_map, before="text", after="text")

    def events(self, kind: int, payload: bytes) -> list[tuple[int, bytes]]:
        """The events to ship for one rows event (type, payload behind the header); none where all rows are filtered out."""
        if kind == _PARTIAL_UPDATE:
            raise SourceError(
                "a partial JSON update of a table whose rows are changed on their way",
                where=f"table {self._map.qualified}",
                remedy="set binlog_row_value_options='' at the origin, or remove the table's mapping rules",
            )
        changes: list[tuple[int, Cut | None, Cut | None]] = []
        for (before, after), (old, new) in zip(self._cuts(kind, payload), self._texts(kind, payload), strict=True):
            was = before is not None and old is not None and self._filter(old)
            now = after is not None and new is not None and self._filter(new)
            if was or now:
                code = _UPDATE_V2 if was and now else _WRITE_V2 if now else _DELETE_V2
                changes.append((code, self._mask(before, old) if was else None, self._mask(after, new) if now else None))
        return self._pack(payload[:8], changes)

    def _kept(self, rules: TableMapping, names: dict[str, int]) -> list[int]:
        dropped = {self._ordinal(names, name, "drop_columns") for name in rules.drop_columns}
        kept = [i for i in range(len(self._map.columns)) if i not in dropped]
        if not kept:
            raise self._wrong("drop_columns leaves no column")
        return kept

    def _ordinal(self, names: dict[str, int], name: str, where: str) -> int:
        if name.casefold() not in names:
            raise self._wrong(f"{where} names the column {name}, which the table does not have")
        return names[name.casefold()]

    def _wrong(self, what: str) -> ConfigError:
        return ConfigError(what, where=f"mapping of table {self._map.qualified}", remedy="correct the mapping, then restart")

    def _row_filter(self, rule: RowFilter | None, names: dict[str, int]) -> Callable[[tuple[bytes | None, ...]], bool]:
        if rule is None:
            return lambda texts: True
        i = self._ordinal(names, rule.column, "rows")
        column = self._map.columns[i]
        values: set[bytes | None] = set()
        for value in rule.equals or rule.not_equals or ():
            try:
                values.add(None if value is None else filter_text(column, value))
            except ValueError as error:
                raise ConfigError(
                    f"rows compares the column {column.name} ({column.type_name}) with {value!r}, which is never in it: {error}",
                    where=f"mapping of table {self._map.qualified}",
                    remedy="write the value as the column holds it, then restart",
                ) from None
        wanted = rule.equals is not None
        return lambda texts: (texts[i] in values) is wanted

    def _cuts(self, kind: int, payload: bytes) -> list[tuple[Cut | None, Cut | None]]:
        at = 8
        if kind >= _WRITE_V2:
            at += struct.unpack_from("<H", payload, at)[0]
        count, at = read_lenenc(payload, at)
        at += (count + 7) // 8 * (2 if kind in _UPDATE else 1)
        rows: list[tuple[Cut | None, Cut | None]] = []
        while at < len(payload):
            first, at = self._cutter.image(payload, at)
            if kind in _UPDATE:
                second, at = self._cutter.image(payload, at)
                rows.append((first, second))
            else:
                rows.append((None, first) if kind in _WRITE else (first, None))
        return rows

    def _mask(self, cut: Cut | None, texts: tuple[bytes | None, ...] | None) -> Cut:
        assert cut is not None and texts is not None
        return [self._masks[i](cut[i], texts[i]) if i in self._masks else cut[i] for i in self._keep]

    def _pack(self, head: bytes, changes: list[tuple[int, Cut | None, Cut | None]]) -> list[tuple[int, bytes]]:
        """Runs of changes of one kind as events of version 2 without extra data."""
        present = bitmap([True] * len(self._keep))
        events: list[tuple[int, list[bytes]]] = []
        for code, before, after in changes:
            if not events or events[-1][0] != code:
                bitmaps = present * 2 if code == _UPDATE_V2 else present
                events.append((code, [head, b"\x02\x00", lenenc(len(self._keep)), bitmaps]))
            for cut in (before, after):
                if cut is not None:
                    events[-1][1].append(bitmap([v is None for v in cut]) + b"".join([v for v in cut if v is not None]))
        return [(code, b"".join(parts)) for code, parts in events]


def reshape(body: bytes, flavor: str, mapping: Mapping) -> Reshaped | None:
    """The rules' effect on the table of a table map; None where its rows are shipped as they are.

    Raises ConfigError where the rules name columns that the table does not have, or a mask does not fit its column.
    """
    table_map = parse_table_map(body, flavor)
    rules = mapping.rules(table_map.schema, table_map.table)
    if rules is None or not rules.changes_rows:
        return None
    return Reshaped(table_map, rules, mapping)


def _masked(column: Column, mask: Mask, mapping: Mapping) -> tuple[Mask_, Column]:
    if mask.method == "null":
        return (lambda raw, text: None), replace(column, nullable=True)
    if mask.method == "truncate":
        if not column.length_bytes or column.charset == 0:
            raise ConfigError(
                f"the mask truncate is for text and binary columns, not for {column.name}", remedy="use null, constant or hash"
            )
        return _truncation(column, mask.length or 0), column
    text_column = _as_text(column)
    if mask.method == "constant":
        fixed = None if mask.value is None else packed_value(text_column, _text(text_column, mask.value))
        return (lambda raw, text: fixed), replace(text_column, nullable=column.nullable or fixed is None)
    key = mapping.key()
    length = mask.length

    def hashed(raw: bytes | None, text: bytes | None) -> bytes | None:
        if text is None:
            return None
        digest = mapping.hash(text, key=key, length=length)
        return packed_value(text_column, _text(text_column, digest.decode()))

    return hashed, text_column


def _truncation(column: Column, characters: int) -> Mask_:
    codec = _codec(column)

    def truncated(raw: bytes | None, text: bytes | None) -> bytes | None:
        if raw is None:
            return None
        value = raw[column.length_bytes :]
        return packed_value(column, value.decode(codec, "surrogateescape")[:characters].encode(codec, "surrogateescape"))

    return truncated


def _as_text(column: Column) -> Column:
    """A VARCHAR in place of the column, in its own character set if it has one."""
    charset = column.charset if column.is_text else _UTF8MB4_GENERAL
    return Column(
        column.name, Type.VARCHAR, column.nullable, charset=charset, visible=column.visible, length=65535, length_bytes=2
    )


def _text(column: Column, value: str | int | float) -> bytes:
    return str(value).encode(_codec(column)) if isinstance(value, str) else str(value).encode()


def _codec(column: Column) -> str:
    if not column.charset:
        return "utf-8"
    name = charset_name(column.charset) or "utf8mb4"
    return _CODECS.get(name, name)
