"""The net effect of a batch on one table: changes of one row merged into one, and what was only there in between. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..row.forms import NULL
from .plan import Image, TablePlan

__all__ = ["TableNet", "parents_first", "split"]

_NO_ENTRY = (None, None, None)


class TableNet:
    """The net effect on one table: key to [first before image, last after image, first before texts].

    Changes of one row need not fit together: where both sites write, the origin may have applied the other's change in between,
    which is not in this stream. Such changes are not merged. What was only there in between is not written, but the target must
    have had room for it: else this was a conflict, which merging must not hide.
    """

    __slots__ = ("again", "passed", "plan", "rows", "unmergeable", "vanished")

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.rows: dict[Any, list[Any]] = {}
        self.vanished: dict[Any, Image] = {}
        """Rows that came and went."""
        self.passed: list[Image] = []
        """Images whose unique values were taken and given up again, perhaps."""
        self.again: set[Any] = set()
        """Where only keys are compared: rows that were changed more than once. Though the last may be as the first found it, the
        target's need not be."""
        self.unmergeable = False

    def add(self, images: Sequence[tuple[Image | None, Image | None]], texts: Sequence[Any] | None) -> None:
        """Changes as literal images; ``texts`` are the same as texts, where the target's rows are compared."""
        key_of, rows = self.plan.key, self.rows
        for number, (before, after) in enumerate(images):
            found = None if texts is None else texts[number][0]
            key = key_of(after if before is None else before)  # type: ignore[arg-type]  # one of them is there
            if key in rows:  # rare: most rows are changed once in a batch
                self._merge(before, after, found)
            elif after is None or before is None or key == key_of(after):
                rows[key] = [before, after, found if before is not None else None]
            else:
                self._merge(before, after, found)

    def _merge(self, before: Image | None, after: Image | None, texts: Image | None) -> None:
        if before is None:
            assert after is not None
            self.insert(after)
        elif after is None:
            self.delete(before, texts)
        else:
            self.update(before, after, texts)

    def insert(self, after: Image) -> None:
        """A row came."""
        key = self.plan.key(after)
        entry = self.rows.get(key)
        if entry is None:
            self.rows[key] = [None, after, None]
        elif entry[1] is None:
            self._change(key, entry, after)
        else:
            self.unmergeable = True

    def delete(self, before: Image, texts: Image | None) -> None:
        """A row went."""
        key = self.plan.key(before)
        entry = self.rows.get(key)
        if entry is None:
            self.rows[key] = [before, None, texts]
        elif self._interrupted(entry[1], before):
            self.unmergeable = True
        else:
            if self.plan.uniques:
                self.passed.append(entry[1])
            if entry[0] is None:
                del self.rows[key]
                self.vanished[key] = entry[1]
            else:
                entry[1] = None

    def update(self, before: Image, after: Image, texts: Image | None) -> None:
        """A row changed."""
        key = self.plan.key(before)
        if key != self.plan.key(after):
            self.delete(before, texts)
            self.insert(after)
            return
        entry = self.rows.get(key)
        if entry is None:
            self.rows[key] = [before, after, texts]
        elif self._interrupted(entry[1], before):
            self.unmergeable = True
        else:
            if self.plan.uniques and self.plan.moves(entry[1], after):
                self.passed.append(entry[1])
            self._change(key, entry, after)

    def _change(self, key: Any, entry: list[Any], after: Image) -> None:
        entry[1] = after
        if not self.plan.full:
            self.again.add(key)

    def _interrupted(self, left: Image | None, found: Image) -> bool:
        """Whether the row is not found as the change before left it."""
        return left is None or (self.plan.full and left != found)

    def passing(self) -> dict[tuple[int, Image], tuple[Image, Image | None]]:
        """The unique values that were only there in between, by number of the key: with an image that has them, and the first
        image of the row that held them before, if one did.

        Left out is what the statements that write the net effect see to themselves.
        """
        found: dict[tuple[int, Image], tuple[Image, Image | None]] = {}
        for image in self.passed:
            before, after, _ = self.rows.get(self.plan.key(image), _NO_ENTRY)
            lasting = {*self._unique_values(after), *(self._unique_values(before) if self.plan.full else ())}
            found |= {value: (image, None) for value in self._unique_values(image) if value not in lasting}
        for before, _, _ in self.rows.values() if found else ():
            for value in self._unique_values(before):
                if value in found:
                    found[value] = (found[value][0], before)
        return found

    def _unique_values(self, image: Image | None) -> Iterator[tuple[int, Image]]:
        if image is not None:
            for number, ordinals in enumerate(self.plan.uniques):
                values = tuple([image[i] for i in ordinals])
                if NULL not in values:
                    yield number, values


def split(net: TableNet) -> tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]:
    """Net rows as (deleted, moved in a unique key, updated in place, as they were before, after images of inserted)."""
    plan = net.plan
    gone, moved, changed, fresh = [], [], [], []
    same: list[Any] = []
    may_move = bool(plan.uniques) or plan.opaque
    for key, entry in net.rows.items():
        before, after, _ = entry
        if after is None:
            gone.append(entry)
        elif before is None:
            fresh.append(after)
        elif may_move and plan.moves(before, after):
            moved.append(entry)
        elif plan.full or before != after:
            changed.append(entry)
        elif key in net.again:
            (moved if plan.opaque else same).append(entry)
    return gone, moved, changed, same, fresh


def parents_first(nets: list[TableNet]) -> list[TableNet]:
    """In an order in which a table comes behind those that it refers to (cycles: any order)."""
    if not any(n.plan.target.parents for n in nets):
        return nets
    by_table = {(n.plan.target.schema, n.plan.target.name): n for n in nets}
    done: dict[tuple[str, str], TableNet] = {}

    def visit(table: tuple[str, str], path: frozenset[tuple[str, str]]) -> None:
        net = by_table.get(table)
        if net is None or table in done or table in path:
            return
        for foreign_key in net.plan.target.parents:
            visit(foreign_key.parent, path | {table})
        done[table] = net

    for table in by_table:
        visit(table, frozenset())
    return list(done.values())
