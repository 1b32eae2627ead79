"""Settling whole rows: the change either supersedes what it meets, or is superseded.

``wins`` answers for one key's row or memory. The result is the one that executing all changes in the order of their ranks
would give (see ``stamps``): a change that loses to a *newer* version of one of its keys is not written, but still takes away
the *older* versions that it replaced or displaced, because it did so at the site where it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .detect import blockers
from .table import TableInfo
from .types import Action, Change, ChangeKind, Decision, LocalRow, Row, key_of

__all__ = ["settle_rows"]

Wins = Callable[[LocalRow], bool]


def settle_rows(change: Change, local: LocalRow, others: Sequence[LocalRow], *, table: TableInfo, wins: Wins) -> Decision:
    """What to write; neither provenance nor record are filled in."""
    if change.after is None:
        return _settle_delete(local, wins)
    rivals = blockers(local, others, table)
    memories = [o for o in others if o.row is None]
    beaten = [o.row for o in rivals if o.row is not None and wins(o)]
    displaced = tuple({key_of(row, table.key): row for row in beaten}.values())
    alive = len(beaten) == len(rivals) and all(wins(o) for o in memories)
    moves = change.kind is ChangeKind.UPDATE and change.moves(table.key)
    current = local.row
    local_lost = wins(local)
    if moves:
        if current is not None and not local_lost and _shares_unique(current, change.after, table):
            alive = False
    else:
        alive = alive and local_lost
    if alive:
        if current is not None and local_lost:
            return Decision(Action.WRITE_UPDATE, change.after, displaced)
        return Decision(Action.WRITE_INSERT, change.after, displaced)
    if current is not None and local_lost:
        return Decision(Action.WRITE_DELETE, None, displaced)
    return Decision(Action.SKIP if current is None else Action.KEEP, None, displaced)


def _settle_delete(local: LocalRow, wins: Wins) -> Decision:
    if local.row is None:
        return Decision(Action.SKIP)
    return Decision(Action.WRITE_DELETE if wins(local) else Action.KEEP)


def _shares_unique(a: Row, b: Row, table: TableInfo) -> bool:
    """Whether two rows cannot both be in the table, by a unique key."""
    for key in table.unique_keys:
        values = key_of(a, key)
        if None not in values and values == key_of(b, key):
            return True
    return False
