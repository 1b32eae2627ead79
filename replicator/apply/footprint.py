"""Which rows a batch touches, so that batches which touch none in common may be written at once. Pure; errs on the safe side.

Keys count by every unique key of the target, before and after. A text key goes by its collation: ASCII text is folded to upper
case without trailing spaces, which never tells two equal keys apart where the collation ``folds_plainly``; anything else stands
for the whole table. Tables tied by foreign keys count as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from ..row.forms import NULL
from .plan import TablePlan

__all__ = ["Footprint"]

Table = tuple[str, str]

_PLAIN = re.compile(rb"[ !#-&(-\[\]-~]*")  # printable ASCII without quotes and backslashes


@dataclass(slots=True)
class Footprint:
    """Keys by table (None: the whole table), and the tables to which foreign keys tie these."""

    keys: dict[Table, set[Any] | None] = field(default_factory=dict)
    tied: set[Table] = field(default_factory=set)

    def meets(self, other: Footprint) -> bool:
        """Whether both touch something in common."""
        for table, keys in self.keys.items():
            if table in other.keys:
                theirs = other.keys[table]
                if keys is None or theirs is None or not keys.isdisjoint(theirs):
                    return True
        return not self.tied.isdisjoint(other.keys) or not other.tied.isdisjoint(self.keys)

    def whole(self, plan: TablePlan) -> None:
        """Count the whole table of ``plan``."""
        self._tie(plan)
        self.keys[(plan.target.schema, plan.target.name)] = None

    def rows(self, plan: TablePlan, keys: Iterable[Any]) -> bool:
        """Count rows by what ``plan.key`` gives of them; False, with nothing counted, where only ``add`` tells all."""
        if plan.uniques or plan.opaque or not plan.identity or any(plan.folds(i) for i in plan.identity):
            return False
        self._tie(plan)
        known = self.keys.setdefault((plan.target.schema, plan.target.name), set())
        if known is not None:
            known.update(zip(repeat(0), keys))
        return True

    def add(self, plan: TablePlan, images: Iterable[Any]) -> None:
        """Count the literal images of rows, before and after."""
        self._tie(plan)
        table = (plan.target.schema, plan.target.name)
        keys = self.keys.setdefault(table, set())
        if keys is None:
            return
        if plan.opaque or not plan.identity:
            self.keys[table] = None
            return
        for number, ordinals in enumerate((plan.identity, *plan.uniques)):
            text = [i for i in ordinals if plan.folds(i)]
            if not plan.folds_plainly(text):
                self.keys[table] = None
                return
            for image in images:
                values = [image[i] for i in ordinals]
                if number and NULL in values:
                    continue  # which is equal to nothing
                for at, i in enumerate(ordinals):
                    if i in text:
                        folded = _folded(values[at])
                        if folded is None:
                            self.keys[table] = None
                            return
                        values[at] = folded
                keys.add((number, values[0] if len(values) == 1 else tuple(values)))

    def _tie(self, plan: TablePlan) -> None:
        for foreign_key in plan.target.parents:
            self.tied.add(foreign_key.parent)
        for foreign_key in plan.target.children:
            self.tied.add(foreign_key.table)


def _folded(literal: bytes) -> bytes | None:
    """A text literal so that equal keys have equal forms; None where that is not certain."""
    if literal.isdigit():  # an ENUM's number
        return literal
    if literal[:1] != b"'" or _PLAIN.fullmatch(literal, 1, len(literal) - 1) is None:
        return None
    return literal[1:-1].rstrip(b" ").upper()
