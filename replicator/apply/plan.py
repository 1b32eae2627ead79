"""How the changes of one origin table are written into one target table: decoders and SQL pieces, made once. Pure.

A plan is made for one table map (the origin's table at the moment of the change) against one description of the target's table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from ..errors import StructureHalt
from ..model import FLAVOR_MARIADB, quote_name
from ..row.convert import key_literal, needs_lenient
from ..row.decode import Mode, decoder
from ..row.floats import double_literal
from ..row.select import select_expr
from ..row.tablemap import parse_table_map
from ..row.types import Column, TableMap, Type
from .collate import folds_plainly
from .fit import fit_to_target
from .target import TargetTable
from .versioned import current_rows

__all__ = ["Image", "TablePlan", "make_plan"]

Image = tuple[Any, ...]
"""One row: a literal or text for each column of the table map."""

_INEXACT_KEY_TYPES = frozenset({Type.FLOAT, Type.DOUBLE, Type.JSON, Type.GEOMETRY, Type.VECTOR})
"""``=`` on them is not exact, or cannot use the index."""

_NUMBER_BYTES = 100
"""More than the literal of a number or a date takes, and what stands around it."""
_HASH = re.compile(r"DB_ROW_HASH_\d+")
"""A column that MariaDB adds, and hides, for a unique key over long columns or USING HASH."""

_FLOATS = frozenset({Type.FLOAT, Type.DOUBLE})
_FORMS: tuple[Mode, Mode] = ("literal", "text")


@dataclass(frozen=True, eq=False)
class TablePlan:
    """Everything that is needed to write changes of one table map; immutable.

    ``identity`` are the map's ordinals of the key by which rows are found, () if the target's table has none.
    ``uniques`` are the ordinals of the other unique keys.
    """

    map: TableMap
    body: bytes
    """The table map as shipped."""
    flavor: str
    target: TargetTable
    table: str
    """The target table's quoted name."""
    full: bool
    written: tuple[int, ...]
    """Ordinals of the columns that are written: those that the target has and does not generate."""
    identity: tuple[int, ...]
    uniques: tuple[tuple[int, ...], ...]
    foreign: tuple[int, ...]
    """Ordinals of columns that are part of a foreign key of this table."""
    referenced: tuple[int, ...]
    """Ordinals of columns that foreign keys of other rows refer to."""
    cascading: bool
    """Whether a delete here, or another value in a referenced column, makes the server change other rows by itself."""
    self_referring: bool
    literals: Callable[[int, bytes], list[tuple[Any, Any]]]
    texts: Callable[[int, bytes], list[tuple[Any, Any]]]
    key: Callable[[Image], Any]
    row: Callable[[Image], bytes]
    insert_head: bytes
    update_tail: bytes
    """``ON DUPLICATE KEY UPDATE …``; empty where all columns are in the key."""
    select_head: bytes
    """``SELECT … FROM t WHERE `` of the written columns in their text form."""
    delete_head: bytes
    key_columns: tuple[Column, ...]
    key_bytes: int
    """The most that ``where_keys`` takes for a key."""
    compared: Callable[[Image], tuple[bytes | None, ...]]
    """The texts of an image in the order of ``select_head``."""
    lenient: tuple[int, ...]
    """Ordinals of ENUM columns, whose index 0 only a session that is not strict may write."""
    extra: bool
    """Whether the target has columns that the origin does not: a row must then never be written anew, but changed in place."""
    lacking: tuple[str, ...]
    """Columns of the origin that the target has not, and that a policy leaves out."""
    upsert: bool
    """Whether ``ON DUPLICATE KEY UPDATE`` can be used: every column without a default is written."""
    opaque: bool
    """Whether ``identity`` and ``uniques`` do not tell which row a new one collides with, so which one an upsert would hit: the
    target has a unique key over a prefix, an expression or a column that the origin lacks, or several and no primary key (the
    server then looks first at the one that it clusters by)."""

    plain: bool
    """Whether the changes of a row may always be merged: none of them has to be written in its own place or session."""

    def where_keys(self, keys: Sequence[Any]) -> bytes:
        """Finds the rows of the keys that ``key`` gave.

        A key of several columns is spelled out: by ``(a, b) IN ((1, 2))``, with a single pair, MariaDB deletes a row reading the
        whole table.
        """
        columns, flavor = self.key_columns, self.target.flavor
        if len(columns) == 1:
            column = columns[0]
            return b"%b IN (%b)" % (quote(column.name), b",".join([key_literal(column, k, flavor) for k in keys]))
        return b"(%b)" % b" OR ".join([self._alike(columns, key) for key in keys])

    def where_ordinals(self, ordinals: Sequence[int], image: Image) -> bytes:
        """``a=1 AND b='x'`` for some columns of a literal image."""
        return self._alike([self.map.columns[i] for i in ordinals], [image[i] for i in ordinals])

    def _alike(self, columns: Sequence[Column], literals: Sequence[Any]) -> bytes:
        flavor = self.target.flavor
        pairs = zip(columns, literals, strict=True)
        return b" AND ".join([b"%b=%b" % (quote(column.name), key_literal(column, v, flavor)) for column, v in pairs])

    def where_row(self, texts: Image) -> bytes:
        """Exact equality of every written column, as stored, for tables without a key; ``texts`` is a text image."""
        parts = []
        for i in self.written:
            expression = select_expr(self.map.columns[i], quote_name(self.target_name(i))).encode()
            text = texts[i]
            if text is None:
                parts.append(b"%b IS NULL" % expression)
            elif self.map.columns[i].type in _FLOATS:
                parts.append(_same_float(expression, text))
            else:
                parts.append(b"BINARY %b=%b" % (expression, _hex(text)))
        return b" AND ".join(parts) or b"1"

    def set_row(self, image: Image) -> bytes:
        """``a=1,b='x'`` for every written column of a literal image."""
        return b",".join([b"%b=%b" % (quote(self.target_name(i)), image[i]) for i in self.written])

    def target_name(self, ordinal: int) -> str:
        """The column's name, as the origin spells it."""
        return self.map.columns[ordinal].name

    def moves(self, before: Image, after: Image) -> bool:
        """Whether an update gives its row another place in any unique key; both are literal images."""
        if self.opaque:
            return True
        return any(before[i] != after[i] for unique in self.uniques for i in unique)

    def refers_elsewhere(self, before: Image, after: Image) -> bool:
        """Whether an update changes a column of a foreign key."""
        return any(before[i] != after[i] for i in self.foreign)

    def folds(self, ordinal: int) -> bool:
        """Whether two different values of that column may be equal to the server's collation."""
        at_target = self.target.column(self.map.columns[ordinal].name)
        return at_target is not None and bool(at_target.collation)

    def folds_plainly(self, ordinals: Sequence[int]) -> bool:
        """Whether ASCII texts of a key that are equal to the server are so in upper case without trailing spaces."""
        there = [self.target.column(self.map.columns[i].name) for i in ordinals]
        return all(column is None or folds_plainly(column.collation) for column in there)

    def needs_order(self, before: Image | None, after: Image | None) -> bool:
        """Whether this change must be written in place, or its effect on other rows (foreign keys) depends on when it comes."""
        target = self.target
        if before is None:
            return False
        if self.extra and after is not None:
            return not self.upsert or any(before[i] != after[i] for i in self.identity) or self.moves(before, after)
        if not (target.children or target.parents):
            return False
        if after is None:
            return self.cascading or self.self_referring
        if target.parents and self.refers_elsewhere(before, after):
            return True
        if not target.children:
            return False
        changed = any(before[i] != after[i] for i in (*self.referenced, *self.identity))
        return changed or self.moves(before, after)

    def is_lenient(self, image: Image) -> bool:
        """Whether a literal image holds a value that a strict session refuses."""
        return any(needs_lenient(self.map.columns[i], image[i]) for i in self.lenient)


def make_plan(body: bytes, flavor: str, target: TargetTable, *, full: bool, skip_missing: bool = False) -> TablePlan:
    """Make the plan; raises ApplyError where the target cannot take every column. ``skip_missing``: but for those it has not."""
    table_map = fit_to_target(parse_table_map(body, flavor), target)
    columns = table_map.columns
    ordinals: dict[str, int] = {}
    written: list[int] = []
    lacking: list[str] = []
    for i, column in enumerate(columns):
        at_target = target.column(column.name)
        if at_target is None and flavor == FLAVOR_MARIADB and _HASH.fullmatch(column.name):
            continue
        if at_target is None and skip_missing:
            lacking.append(column.name)
            continue
        if at_target is None:
            raise StructureHalt(
                f"target_column_missing: the target's table has no column {column.name}",
                where=f"table {target.schema}.{target.name}",
                remedy=f"add the column at the target, drop it from the flow (mapping.tables: drop_columns: [{column.name}]), or "
                "set the policy skip_if_missing; then `replicator resume`",
                column=column.name,
            )
        ordinals[column.name.lower()] = i
        if not at_target.generated:
            written.append(i)
    literals, texts = (decoder(table_map, before=mode, after=mode) for mode in _FORMS)
    if target.row_end in ordinals:
        literals, texts = (current_rows(decode, ordinals[target.row_end]) for decode in (literals, texts))
    identity = _ordinals(target.identity, ordinals)
    if any(columns[i].type in _INEXACT_KEY_TYPES or i not in written for i in identity):  # a generated one is not written
        identity = ()
    uniques = [_ordinals(key, ordinals) for key in (target.primary_key, *target.unique_keys) if key]
    several = not target.primary_key and len(target.unique_keys) > 1
    unwritten = {c.name.lower() for c in target.columns if not c.generated} - {columns[i].name.lower() for i in written}
    upsert = all(c.has_default for c in target.columns if c.name.lower() in unwritten)
    names = [quote(columns[i].name) for i in written]
    all_written = len(written) == len(columns)
    selects = [select_expr(columns[i], quote_name(columns[i].name)).encode() for i in written]
    lenient = tuple([i for i in written if columns[i].type == Type.ENUM])
    quoted = target.quoted.encode()
    rest = [n for i, n in zip(written, names, strict=True) if i not in identity]
    return TablePlan(
        map=table_map,
        body=body,
        flavor=flavor,
        target=target,
        table=target.quoted,
        full=full,
        written=tuple(written),
        identity=identity,
        uniques=tuple([u for u in uniques if u and u != identity]),
        foreign=tuple(sorted({i for fk in target.parents for i in _ordinals(fk.columns, ordinals)})),
        referenced=tuple(sorted({i for fk in target.children for i in _ordinals(fk.parent_columns, ordinals)})),
        cascading=any(fk.cascades for fk in target.children),
        self_referring=any(fk.parent == fk.table for fk in target.parents),
        literals=literals,
        texts=texts,
        key=itemgetter(*identity) if identity else _no_key,
        row=_join if all_written else _row_of(written),
        insert_head=b"INSERT INTO %b (%b) VALUES " % (quoted, b",".join(names)),
        update_tail=b" ON DUPLICATE KEY UPDATE " + b",".join([b"%b=VALUES(%b)" % (n, n) for n in rest]) if rest else b"",
        select_head=b"SELECT %b FROM %b WHERE " % (b",".join(selects) or b"NULL", quoted),
        delete_head=b"DELETE FROM %b WHERE " % quoted,
        key_columns=tuple([columns[i] for i in identity]),
        key_bytes=_key_bytes(columns, identity),
        compared=tuple if all_written else _picker(written),
        lenient=lenient,
        plain=not (lenient or unwritten or target.parents or target.children),
        extra=bool(unwritten),
        lacking=tuple(lacking),
        upsert=upsert,
        opaque=target.opaque_unique or several or () in uniques,
    )


def quote(name: str) -> bytes:
    """A quoted identifier as bytes."""
    return quote_name(name).encode()


def _ordinals(names: Sequence[str], ordinals: dict[str, int]) -> tuple[int, ...]:
    """The ordinals of all of these columns; () if the origin lacks one of them."""
    found = [ordinals.get(name) for name in names]
    return tuple([i for i in found if i is not None]) if None not in found else ()


def _key_bytes(columns: Sequence[Column], ordinals: Sequence[int]) -> int:
    """The most that a comparison with one key takes: twice the bytes of a text, which may be escaped or hexadecimal."""
    total = 0
    for column in [columns[i] for i in ordinals]:
        labels = [len(member) for member in column.members] or [0]
        longest = max(column.length, sum(labels) if column.type == Type.SET else max(labels))
        total += len(quote(column.name)) + 2 * longest + _NUMBER_BYTES
    return total


def _no_key(image: Image) -> Any:
    raise AssertionError("a table without identity has no key")


def _join(image: Image) -> bytes:
    return b"(" + b",".join(image) + b")"


def _row_of(written: Sequence[int]) -> Callable[[Image], bytes]:
    pick = _picker(written)
    return lambda image: b"(" + b",".join(pick(image)) + b")"


def _picker(ordinals: Sequence[int]) -> Callable[[Image], Image]:
    """Picks columns of an image; none of them where all are generated."""
    if len(ordinals) > 1:
        return itemgetter(*ordinals)
    return lambda image: tuple([image[i] for i in ordinals])


def _same_float(expression: bytes, text: bytes) -> bytes:
    """Equality of every bit of a DOUBLE: as a string, MySQL cuts its digits; as a number, 0 equals -0."""
    number = float(text)
    if number:
        return b"%b=%b" % (expression, double_literal(number))
    return b"%b=0e0 AND ATAN2(%b,-1)%b0" % (expression, expression, b"<" if text.startswith(b"-") else b">")


def _hex(text: bytes) -> bytes:
    return b"x'" + text.hex().encode() + b"'"
