"""Detection: compares what a change expects with what the target holds.

The cases, in the order in which they are tried:

========  ===========================================  =============================
change    the target                                   result
========  ===========================================  =============================
insert    the very row                                 already so
insert    another row holds a unique key of it         multiple_unique_conflicts
insert    another row at its key                       insert_exists
insert    no row, but a newer delete                   update_missing
insert    no row, a unique key was held later          multiple_unique_conflicts
insert    no row                                       no conflict
update    no row, moved to its new key already         already so
update    another row holds a unique key of it         multiple_unique_conflicts
update    no row                                       update_missing
update    the row as wanted                            already so
update    another row, or the same but written later   update_differing
update    as expected, a unique key was held later     multiple_unique_conflicts
update    the row as expected                          no conflict
delete    no row, but a tombstone                      already so
delete    no row                                       delete_missing
delete    another row, or the same but written later   delete_differing
delete    the row as expected                          no conflict
========  ===========================================  =============================

"Later" is only asked where the configured policy is ``latest_timestamp``, or where sequences say so exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .table import TableInfo
from .types import Change, ChangeKind, ConflictType, Detection, LocalRow, key_of
from .values import differing_columns, same_row

__all__ = ["ALREADY", "NO_CONFLICT", "blockers", "detect"]

NO_CONFLICT = Detection()
ALREADY = Detection(already=True)


def detect(
    change: Change,
    local: LocalRow,
    others: Sequence[LocalRow] = (),
    *,
    table: TableInfo,
    full: bool = True,
    counting: bool = False,
    later: Callable[[LocalRow, ConflictType], bool] = lambda _row, _conflict: False,
) -> Detection:
    """Find the conflict of one change, if there is one.

    ``local`` is what is at the change's old key (an insert's only key). ``others`` is what is at each unique key of
    ``change.after`` and, for a change that moves its row, at the new key: rows, and memories of rows (``row=None``).
    ``full`` compares the whole before image; without it, only whether rows exist. ``counting`` is for policies that add
    differences: an equal row is then no sign that the change has arrived. ``later`` says whether something was
    written later than the change by the policy for a conflict type: an equal row is then another row. It is asked only where
    that is not known exactly (``LocalRow.unseen``).
    """

    def is_later(one: LocalRow, conflict: ConflictType) -> bool:
        return later(one, conflict) if one.unseen is None else one.unseen

    blocking = blockers(local, others, table)
    claimed = any(o.row is None and is_later(o, ConflictType.MULTIPLE_UNIQUE_CONFLICTS) for o in others)
    if change.kind is ChangeKind.DELETE:
        return _detect_delete(change, local, full, is_later)
    if change.kind is ChangeKind.INSERT:
        return _detect_insert(change, local, blocking, claimed, is_later)
    return _detect_update(change, local, blocking, claimed, table, full, counting, is_later)


def blockers(local: LocalRow, others: Sequence[LocalRow], table: TableInfo) -> list[LocalRow]:
    """The rows of another identity than the current one; a text key may find the current row twice, by its collation."""
    own = None if local.row is None else key_of(local.row, table.key)
    return [o for o in others if o.row is not None and key_of(o.row, table.key) != own]


_IsLater = Callable[[LocalRow, ConflictType], bool]
_COLLISION = Detection(ConflictType.MULTIPLE_UNIQUE_CONFLICTS)


def _detect_insert(change: Change, local: LocalRow, blocking: Sequence[LocalRow], claimed: bool, is_later: _IsLater) -> Detection:
    assert change.after is not None
    if local.row is not None and same_row(local.row, change.after):
        return ALREADY
    if blocking:
        return _COLLISION
    if local.row is not None:
        return Detection(ConflictType.INSERT_EXISTS, differing=differing_columns(local.row, change.after))
    if local.tombstone and is_later(local, ConflictType.UPDATE_MISSING):
        return Detection(ConflictType.UPDATE_MISSING)
    return _COLLISION if claimed else NO_CONFLICT


def _detect_update(
    change: Change,
    local: LocalRow,
    blocking: Sequence[LocalRow],
    claimed: bool,
    table: TableInfo,
    full: bool,
    counting: bool,
    is_later: _IsLater,
) -> Detection:
    assert change.before is not None and change.after is not None
    if local.row is None:
        arrived = len(blocking) == 1 and change.moves(table.key) and same_row(blocking[0].row or (), change.after)
        if arrived and not counting:
            return ALREADY
        return _COLLISION if blocking else Detection(ConflictType.UPDATE_MISSING)
    if blocking:
        return _COLLISION
    fits = not full or same_row(local.row, change.before)
    if fits and not is_later(local, ConflictType.UPDATE_DIFFERING):
        return _COLLISION if claimed else NO_CONFLICT
    if not counting and same_row(local.row, change.after):
        return ALREADY
    return Detection(ConflictType.UPDATE_DIFFERING, differing=differing_columns(local.row, change.before))


def _detect_delete(change: Change, local: LocalRow, full: bool, is_later: _IsLater) -> Detection:
    assert change.before is not None
    if local.row is None:
        return ALREADY if local.tombstone else Detection(ConflictType.DELETE_MISSING)
    fits = not full or same_row(local.row, change.before)
    if fits and not is_later(local, ConflictType.DELETE_DIFFERING):
        return NO_CONFLICT
    return Detection(ConflictType.DELETE_DIFFERING, differing=differing_columns(local.row, change.before))
