"""Settling by columns: what the change changed is brought into what the target holds, unit by unit.

For each unit of columns (a column, or several that go together) with the change's before and after image:

* the change did not touch it: the target's values stay;
* the target did not touch it (it is as the change found it): the change's values;
* both did: a *clash*, settled as its group says.

``delta``, ``greatest`` and ``least`` calculate wherever the change touched the column. An insert has no before image: every
difference is then a clash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .rules import Group, Policy, PolicyName, units
from .table import ColumnInfo, TableInfo
from .types import Change, Row, key_of
from .values import add_difference, holds, order_key, same_row, same_value

__all__ = ["Merged", "Undecidable", "merge"]


class Undecidable(Exception):
    """The columns cannot be merged; ``halt`` says that the configured answer to that is to stop. No row data in the text."""

    def __init__(self, reason: str, *, halt: bool = False) -> None:
        self.halt = halt
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged row, and the ordinals that came from the change, were calculated, and clashed."""

    row: Row
    from_change: tuple[int, ...]
    calculated: tuple[int, ...]
    clashes: tuple[int, ...]


def merge(change: Change, current: Row, policy: Policy, table: TableInfo, wins: Callable[[Group], bool]) -> Merged:
    """Merge a change into the current row. ``wins`` says for a group's policy whether the change wins a clash.

    Raises Undecidable where a calculation is impossible, a clash is to be quarantined or to halt the flow, or the merge
    would make up a unique key that neither side has.
    """
    assert change.after is not None
    before, after = change.before, change.after
    row = list(current)
    from_change: list[int] = []
    calculated: list[int] = []
    clashes: list[int] = []
    for unit, group in units(policy, table):
        if table.columns[unit[0]].generated:
            continue  # the database computes it from the merged row
        touched = before is None or any(not same_value(before[i], after[i]) for i in unit)
        counting = group.name is PolicyName.DELTA and before is not None
        if not touched or (not counting and all(same_value(current[i], after[i]) for i in unit)):
            continue
        if _calculates(group, before):
            for i in unit:
                row[i] = _calculate(group, table.columns[i], current[i], before[i] if before else None, after[i])
            calculated += unit
            continue
        if before is None or any(not same_value(current[i], before[i]) for i in unit):
            clashes += unit
            if not _clash_won(group, policy, table, unit, wins):
                continue
        from_change += unit
        for i in unit:
            row[i] = after[i]
    merged = tuple(row)
    _refuse_new_keys(merged, current, after, table)
    return Merged(merged, tuple(from_change), tuple(calculated), tuple(clashes))


def _calculates(group: Group, before: Row | None) -> bool:
    if group.name in (PolicyName.GREATEST, PolicyName.LEAST):
        return True
    return group.name is PolicyName.DELTA and before is not None


def _calculate(group: Group, column: ColumnInfo, current: object, before: object, after: object) -> object:
    try:
        if group.name is PolicyName.DELTA:
            value = add_difference(column.kind, current, before, after)
        else:
            pair = sorted((current, after), key=lambda v: order_key(column.kind, v))
            value = pair[-1] if group.name is PolicyName.GREATEST else pair[0]
    except ValueError:
        raise Undecidable(f"{group.name} cannot be calculated in column {column.name}") from None
    if not holds(column, value):
        raise Undecidable(f"{group.name} leaves the range of column {column.name}")
    return value


def _clash_won(group: Group, policy: Policy, table: TableInfo, unit: tuple[int, ...], wins: Callable[[Group], bool]) -> bool:
    if group.name is PolicyName.DELTA:  # an insert: there is no difference to add, so the rest's group settles it
        group = policy.groups[-1]
    if group.name in (PolicyName.HALT, PolicyName.QUARANTINE):
        raise Undecidable(f"both sides changed {table.names(unit)}", halt=group.name is PolicyName.HALT)
    return wins(group)


def _refuse_new_keys(merged: Row, current: Row, after: Row, table: TableInfo) -> None:
    """A unique key put together from both sides was never looked up, and might be another row's."""
    mixed = not same_row(merged, current) and not same_row(merged, after)
    for key in table.unique_keys:
        computed = mixed and any(table.columns[i].generated for i in key)
        if computed or key_of(merged, key) not in (key_of(current, key), key_of(after, key)):
            raise Undecidable(f"merging would make a new unique key ({table.names(key)})")
