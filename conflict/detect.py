"""Detection: compares what a change expects with what the target holds.

The cases, in the order in which they are tried:

========  =====================================  =============================
change    the target                             result
========  =====================================  =============================
any       another row holds a unique key of it   multiple_unique_conflicts
insert    no row, but a newer delete             update_missing
insert    no row                                 no conflict
insert    the very row                           already so
insert    another row                            insert_exists
update    no row (and not moved already)         update_missing
update    the row as expected                    no conflict
update    the row as wanted                      already so
update    another row                            update_differing
delete    no row, but a tombstone                already so
delete    no row                                 delete_missing
delete    the row as expected                    no conflict
delete    another row                            delete_differing
========  =====================================  =============================
"""

from __future__ import annotations

from collections.abc import Sequence

from .types import Change, ChangeKind, ConflictType, Detection, Provenance, Row, Tombstone, key_of
from .values import differing_columns, same_row

__all__ = ["ALREADY", "NO_CONFLICT", "detect"]

NO_CONFLICT = Detection()
ALREADY = Detection(already=True)


def detect(
    change: Change,
    current: Row | None,
    others: Sequence[Row] = (),
    *,
    full: bool = True,
    counting: bool = False,
    unseen: bool | None = None,
    tombstone: Tombstone | None = None,
    origin: Provenance | None = None,
) -> Detection:
    """Find the conflict of one change, if there is one.

    ``current`` is the row at the change's old key (an insert's only key); ``others`` are the rows, read before anything is
    written, that hold any unique key of ``change.after``, the row at the new key of a key change included.
    ``full`` compares the whole before image; without it, only whether rows exist. ``counting`` is for policies that add
    differences: an equal row is then no sign that the change has arrived. ``unseen`` says whether the current version was
    unknown to the origin; None judges by values. ``tombstone`` is that of the row at the key, with ``origin`` to compare it.
    """
    blocking = _blocking(change, current, others)
    if change.kind is ChangeKind.DELETE:
        return _detect_delete(change, current, full, unseen, tombstone)
    if change.kind is ChangeKind.INSERT:
        return _detect_insert(change, current, blocking, unseen, tombstone, origin)
    return _detect_update(change, current, blocking, full, counting, unseen)


def _detect_insert(
    change: Change,
    current: Row | None,
    blocking: Sequence[Row],
    unseen: bool | None,
    tombstone: Tombstone | None,
    origin: Provenance | None,
) -> Detection:
    assert change.after is not None
    if current is not None and same_row(current, change.after):
        return ALREADY
    if blocking:
        return Detection(ConflictType.MULTIPLE_UNIQUE_CONFLICTS)
    if current is not None:
        return Detection(ConflictType.INSERT_EXISTS, differing=differing_columns(current, change.after))
    if tombstone is not None and _newer_delete(tombstone, unseen, origin):
        return Detection(ConflictType.UPDATE_MISSING)
    return NO_CONFLICT


def _detect_update(
    change: Change, current: Row | None, blocking: Sequence[Row], full: bool, counting: bool, unseen: bool | None
) -> Detection:
    assert change.before is not None and change.after is not None
    if current is None:
        if len(blocking) == 1 and change.moves_key and same_row(blocking[0], change.after):
            return ALREADY
        return Detection(ConflictType.MULTIPLE_UNIQUE_CONFLICTS if blocking else ConflictType.UPDATE_MISSING)
    if blocking:
        return Detection(ConflictType.MULTIPLE_UNIQUE_CONFLICTS)
    if not full or (same_row(current, change.before) and not unseen):
        return NO_CONFLICT
    if not counting and same_row(current, change.after):
        return ALREADY
    return Detection(ConflictType.UPDATE_DIFFERING, differing=differing_columns(current, change.before))


def _detect_delete(
    change: Change, current: Row | None, full: bool, unseen: bool | None, tombstone: Tombstone | None
) -> Detection:
    assert change.before is not None
    if current is None:
        return ALREADY if tombstone is not None else Detection(ConflictType.DELETE_MISSING)
    if not full or (same_row(current, change.before) and not unseen):
        return NO_CONFLICT
    return Detection(ConflictType.DELETE_DIFFERING, differing=differing_columns(current, change.before))


def _newer_delete(tombstone: Tombstone, unseen: bool | None, origin: Provenance | None) -> bool:
    """Whether an insert meets a delete that it did not know of: exactly where that is known, else by the stamps."""
    if unseen is not None or origin is None:
        return bool(unseen)
    return tombstone.provenance.stamp > origin.stamp


def _blocking(change: Change, current: Row | None, others: Sequence[Row]) -> list[Row]:
    """The rows of another identity than the current one; a text key may find the current row twice, by its collation."""
    if current is None:
        return list(others)
    own = key_of(current, change.key)
    return [row for row in others if key_of(row, change.key) != own]
