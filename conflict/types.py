"""The words of the package as types: what a decision is made from, and what it says.

A *row* is a tuple of values in column order. A value is ``None``, an ``int``, a ``float``, ``bytes`` (text, temporal and
decimal values as their ASCII or stored bytes) or any other hashable whose equality is exact. Nothing here does I/O.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = [
    "ABSENT",
    "Action",
    "Change",
    "ChangeKind",
    "ConflictType",
    "Decision",
    "Detection",
    "LocalRow",
    "Provenance",
    "Record",
    "Row",
    "key_of",
]

Row = tuple[object, ...]
"""The values of one row in column order."""


class ConflictType(enum.StrEnum):
    """How the target's state can differ from what a change expects."""

    INSERT_EXISTS = "insert_exists"
    """The row to insert is there already, with other values."""
    UPDATE_MISSING = "update_missing"
    """The row to update is not there, or a newer delete stands where a change would put a row."""
    UPDATE_DIFFERING = "update_differing"
    """The row to update is not as the change found it."""
    DELETE_MISSING = "delete_missing"
    """The row to delete is not there."""
    DELETE_DIFFERING = "delete_differing"
    """The row to delete is not as the change found it."""
    MULTIPLE_UNIQUE_CONFLICTS = "multiple_unique_conflicts"
    """Rows of another identity hold, or held later, a unique key that the change wants."""
    FOREIGN_KEY_MISSING = "foreign_key_missing"
    """The parent row is not there."""
    TARGET_TABLE_MISSING = "target_table_missing"
    """The target has no such table."""
    TARGET_COLUMN_MISSING = "target_column_missing"
    """The target's table lacks a column of the change."""

    @property
    def structural(self) -> bool:
        """Whether it is about the target's structure or other tables, so that no row can be compared."""
        return self in _STRUCTURAL


_STRUCTURAL = frozenset({ConflictType.FOREIGN_KEY_MISSING, ConflictType.TARGET_TABLE_MISSING, ConflictType.TARGET_COLUMN_MISSING})


class ChangeKind(enum.StrEnum):
    """What a change does to its row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Action(enum.StrEnum):
    """What the caller has to do, after deleting the rows of ``Decision.delete_first``."""

    WRITE_INSERT = "insert"
    """Insert ``Decision.row``; a row at the change's old key, if there is one, stays."""
    WRITE_UPDATE = "update"
    """Make the current row (found by the change's old key) into ``Decision.row``."""
    WRITE_DELETE = "delete"
    """Delete the current row."""
    KEEP = "keep"
    """The current row stays as it is."""
    SKIP = "skip"
    """There is no current row, and none is written."""
    QUARANTINE = "quarantine"
    """Keep the change whole, and later ones to its row behind it, until somebody decides."""
    HALT = "halt"
    """Stop the flow before this change."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row change as it happened at the origin, with whole row images.

    An insert has no ``before``, a delete no ``after``; an update has both, and they may differ in the key.
    """

    before: Row | None
    after: Row | None

    def __post_init__(self) -> None:
        if self.before is None and self.after is None:
            raise ValueError("a change needs a before image or an after image")
        if self.before is not None and self.after is not None and len(self.before) != len(self.after):
            raise ValueError(f"images of {len(self.before)} and {len(self.after)} columns in one change")

    @property
    def kind(self) -> ChangeKind:
        """Insert, update or delete, as the images say."""
        if self.before is None:
            return ChangeKind.INSERT
        return ChangeKind.DELETE if self.after is None else ChangeKind.UPDATE

    def moves(self, key: tuple[int, ...]) -> bool:
        """Whether the change gives its row other values in the columns ``key``."""
        if self.before is None or self.after is None:
            return False
        return key_of(self.before, key) != key_of(self.after, key)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who wrote a version of a row, and when.

    ``commit_time_us`` is microseconds since the epoch by the clock of ``site``; within one site it never goes back from one
    transaction to the next. ``sequence`` is the transaction's place in that site's stream, 0 if it is not known.
    ``priority`` is the site's: the lower number wins.
    """

    site: str
    commit_time_us: int
    gtid: str = ""
    sequence: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class LocalRow:
    """What the target holds, or remembers, at one key (the primary key or one unique key).

    ``row`` is the row that is there now, or None. ``provenance`` is the last writer of this key: of the row, or, where there
    is none, of the change that took it away (a *tombstone*); None where nothing is remembered. ``deleted`` is the row that
    was taken away, if it was kept.

    ``unseen`` says whether the origin had *not* yet applied that last write when it made its change: known exactly from
    sequences (``stamps.is_unseen``), or None where it is not known and has to be judged by values and commit times.
    """

    row: Row | None = None
    provenance: Provenance | None = None
    deleted: Row | None = None
    unseen: bool | None = None

    @property
    def tombstone(self) -> bool:
        """Whether there is no row, and it is remembered who took it away."""
        return self.row is None and self.provenance is not None


ABSENT = LocalRow()
"""No row and no memory of one."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What ``detect`` found: no conflict, a row already in the wanted state, or a conflict of one type.

    ``differing`` holds the ordinals of the columns in which the current row is not what the change expects.
    """

    conflict: ConflictType | None = None
    already: bool = False
    differing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What to write into the conflict log: the type, the policy as configured, the decision and why, in one sentence.

    ``observed`` is True in a dry run: ``decision`` is then what would have been done. ``reason`` names columns and sites,
    never values.
    """

    conflict: ConflictType
    policy: str
    decision: Action
    reason: str
    observed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write and what to record, as data.

    ``row`` is the image to write for ``insert`` and ``update``. ``delete_first`` holds the rows (whole, as they were handed
    in) that must be deleted before it. ``provenance`` is the writer to remember from now on at every key of the change
    (``stamps.registers``) where it supersedes what is remembered there (``stamps.supersedes``); None leaves the memory as it
    was. ``record`` is None where there was no conflict.
    """

    action: Action
    row: Row | None = None
    delete_first: tuple[Row, ...] = ()
    provenance: Provenance | None = None
    record: Record | None = None


def key_of(row: Row, key: tuple[int, ...]) -> Row:
    """The values of a row at the ordinals ``key``."""
    return tuple([row[i] for i in key])
