"""The words of the package as types: what a decision is made from, and what it says.

A *row* is a tuple of values in column order. A value is ``None``, an ``int``, a ``float``, ``bytes`` (text, temporal and
decimal values as their ASCII or stored bytes) or any other hashable whose equality is exact. Nothing here does I/O.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

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
    "Tombstone",
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
    """Rows of another identity hold a unique key that the change wants."""
    FOREIGN_KEY_MISSING = "foreign_key_missing"
    """The parent row is not there."""
    TARGET_TABLE_MISSING = "target_table_missing"
    TARGET_COLUMN_MISSING = "target_column_missing"


class ChangeKind(enum.StrEnum):
    """What a change does to its row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Action(enum.StrEnum):
    """What the caller has to do."""

    WRITE_INSERT = "write_insert"
    """Insert ``Decision.row``; nothing is at its key once ``delete_first`` is done."""
    WRITE_UPDATE = "write_update"
    """Make the current row (found by its old key) into ``Decision.row``."""
    WRITE_DELETE = "write_delete"
    """Delete the current row."""
    KEEP = "keep"
    """The target's row stays as it is."""
    SKIP = "skip"
    """There is nothing to write."""
    QUARANTINE = "quarantine"
    """Keep the change whole, and later ones to its row behind it, until somebody decides."""
    HALT = "halt"
    """Stop the flow before this change."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row change as it happened at the origin.

    ``table`` is ``schema.table``; ``key`` holds the ordinals of the row's identity (primary key, or what stands for it).
    An insert has no ``before``, a delete no ``after``; an update has both, and they may differ in the key.
    """

    kind: ChangeKind
    table: str
    columns: tuple[str, ...]
    key: tuple[int, ...]
    before: Row | None
    after: Row | None

    def __post_init__(self) -> None:
        wants_before = self.kind is not ChangeKind.INSERT
        wants_after = self.kind is not ChangeKind.DELETE
        if (self.before is not None) != wants_before or (self.after is not None) != wants_after:
            raise ValueError(f"images do not fit the kind of the change: {self.kind} of {self.table}")
        for image in (self.before, self.after):
            if image is not None and len(image) != len(self.columns):
                raise ValueError(f"{len(image)} values for {len(self.columns)} columns of {self.table}")

    @property
    def moves_key(self) -> bool:
        """Whether the change gives its row another identity."""
        if self.before is None or self.after is None:
            return False
        return key_of(self.before, self.key) != key_of(self.after, self.key)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who wrote a version of a row, and when.

    ``commit_time_us`` is microseconds since the epoch by the clock of ``site``. ``sequence`` is the transaction's place in
    that site's stream, 0 if it is not known. ``priority`` is the site's: the lower number wins.
    """

    site: str
    commit_time_us: int
    gtid: str = ""
    sequence: int = 0
    priority: int = 0

    @property
    def stamp(self) -> tuple[int, int, str]:
        """Orders versions alike at every site: the later commit wins, then the higher priority, then the first name.

        Bigger is newer. Names are compared by inverted code points, so that the alphabetically first one is the biggest.
        """
        return (self.commit_time_us, -self.priority, _inverted(self.site))


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is remembered of a deleted row: who deleted it, and (if it was kept) what it held."""

    provenance: Provenance
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class LocalRow:
    """What the target holds at one key: a row with its provenance, or nothing, perhaps with a tombstone.

    ``unseen`` says whether the origin had *not* yet applied this version when it made the change: exactly known from the
    sequences (see ``stamps.is_unseen``) or, as ``None``, not known, and then judged by the values alone.
    """

    row: Row | None = None
    provenance: Provenance | None = None
    tombstone: Tombstone | None = None
    unseen: bool | None = None

    @property
    def written_by(self) -> Provenance | None:
        """The provenance of what is there now: of the row, or of its delete."""
        if self.row is not None:
            return self.provenance
        return self.tombstone.provenance if self.tombstone else None


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
    """What to write into the conflict log: the type, the policy as configured, the decision and why, in one sentence."""

    conflict: ConflictType
    policy: str
    decision: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write and what to record, as data.

    ``row`` is the image to write for ``write_insert`` and ``write_update``. ``delete_first`` lists the keys of rows that
    must go before it, because they hold its unique keys. ``provenance`` is what the site should remember from now on
    as the writer of the row at the change's key (of its delete, if no row is left there); None leaves it as it was.
    ``record`` is None where there was no conflict.
    """

    action: Action
    row: Row | None = None
    record: Record | None = None
    delete_first: tuple[Row, ...] = ()
    provenance: Provenance | None = field(default=None)


def key_of(row: Row, key: tuple[int, ...]) -> Row:
    """The identity of a row: its values at the ordinals ``key``."""
    return tuple([row[i] for i in key])


def _inverted(name: str) -> str:
    """A text that sorts the other way round; a shorter prefix becomes the bigger one by the final marker."""
    return "".join([chr(0x10FFFF - ord(c)) for c in name]) + "\U0010ffff"
