"""The rows that a batch meets, read and locked at once, and kept as they become by what is decided about them. Pure.

A row is found by any of its keys. Text keys go by their collation: they are folded as in ``footprint``, and where two different
keys could be told apart only by the server, or a key is of a kind whose equality is not plain, ``NotPlain`` says that the rows
must be looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from conflict.table import ColumnKind
from conflict.types import Row

from .batch import Change
from .plan import TablePlan
from .shape import Shape, shape_of

__all__ = ["KnownRows", "NotPlain"]

_PLAIN = re.compile(rb"[ -~]*")
_EXACT = frozenset({ColumnKind.INTEGER, ColumnKind.DECIMAL, ColumnKind.TEMPORAL, ColumnKind.TIME, ColumnKind.BINARY})
_KEYS = 200
"""Of one SELECT."""


class NotPlain(Exception):
    """These changes cannot be settled from rows that were read ahead."""


class KnownRows:
    """Rows of one table by each of its unique keys."""

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.shape = shape_of(plan)
        if not plan.identity or plan.opaque or plan.cascading or plan.lenient:
            raise NotPlain
        self._keys = (plan.identity, *plan.uniques)
        if not all(plan.folds_plainly(ordinals) for ordinals in self._keys):
            raise NotPlain
        self._places = [_places(self.shape, ordinals) for ordinals in self._keys]
        self._wanted: list[dict[Row, Any]] = [{} for _ in self._keys]  # folded key to a literal image that has it
        self._rows: list[dict[Row, Row]] = [{} for _ in self._keys]
        self._spelled: list[dict[Row, Row]] = [{} for _ in self._keys]

    def want(self, change: Change) -> None:
        """Count the keys that a change may meet: both identities, and the unique values that it takes."""
        before, after = self.shape.values(change.before_texts), self.shape.values(change.after_texts)
        if before is not None:
            self._want(0, before, change.before)
        if after is not None:
            for number in range(len(self._keys)):
                self._want(number, after, change.after)

    def _want(self, number: int, row: Row, image: Any) -> None:
        folded = self._folded(number, row)
        if folded is not None:
            self._wanted[number].setdefault(folded, image)

    def selects(self) -> Iterator[tuple[int, bytes]]:
        """The statements that read and lock what was counted, each with the number of the key by which it looks."""
        plan = self.plan
        for number, (ordinals, wanted) in enumerate(zip(self._keys, self._wanted, strict=True)):
            images = list(wanted.values())
            for at in range(0, len(images), _KEYS):
                part = images[at : at + _KEYS]
                if ordinals is plan.identity:
                    where = plan.where_keys([plan.key(image) for image in part])
                else:
                    where = b" OR ".join([b"(%b)" % plan.where_ordinals(ordinals, image) for image in part])
                yield number, plan.select_head + where + b" FOR UPDATE"

    def learn(self, number: int, rows: Iterable[Row]) -> None:
        """Rows that a statement found by key number ``number``; NotPlain where the server found one by another key than ours."""
        for row in rows:
            if self._folded(number, row) not in self._wanted[number]:
                raise NotPlain
            self.put(row)

    def at(self, number: int, row: Row) -> Row | None:
        """The row whose key number ``number`` (0: the identity) is that of ``row``."""
        folded = self._folded(number, row)
        if folded is None:
            return None
        if folded not in self._wanted[number]:
            raise NotPlain
        return self._rows[number].get(folded)

    def put(self, row: Row) -> None:
        """A row is there now."""
        for number, rows in enumerate(self._rows):
            folded = self._folded(number, row)
            if folded is not None:
                rows[folded] = row

    def drop(self, row: Row) -> None:
        """A row is gone."""
        for number, rows in enumerate(self._rows):
            folded = self._folded(number, row)
            if folded is not None:
                rows.pop(folded, None)

    def _folded(self, number: int, row: Row) -> Row | None:
        """The key so that what the server may take for equal is equal; None with a NULL in it: that equals nothing."""
        places = self._places[number]
        values = tuple([row[at] for at, _ in places])
        if None in values:
            return None
        folded = tuple([_fold(value) if is_text else value for value, (_, is_text) in zip(values, places, strict=True)])
        if self._spelled[number].setdefault(folded, values) != values:
            raise NotPlain  # "a" and "A" in one batch: whether that is one key only the server knows
        return folded


def _places(shape: Shape, ordinals: tuple[int, ...]) -> list[tuple[int, bool]]:
    """Where a key's columns are in a row of values, and whether each is a text."""
    if any(i not in shape.plan.written for i in ordinals):
        raise NotPlain
    places = []
    for at in shape.places(ordinals):
        kind = shape.info.columns[at].kind
        if kind is not ColumnKind.TEXT and kind not in _EXACT:
            raise NotPlain
        places.append((at, kind is ColumnKind.TEXT))
    return places


def _fold(value: Any) -> bytes:
    if not isinstance(value, bytes) or _PLAIN.fullmatch(value) is None:
        raise NotPlain
    return value.rstrip(b" ").upper()
