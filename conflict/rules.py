"""The policies as data: their words, their options, and which policy makes sense for which type of conflict."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .table import TableInfo
from .types import ConflictType

__all__ = ["ARITHMETIC", "COLUMN_WORDS", "FITS", "HALT", "THREE_WAY", "Group", "Policy", "PolicyName", "matches", "units"]


class PolicyName(enum.StrEnum):
    """The word for each policy."""

    APPLY_ORIGIN = "apply_origin"
    """The change is written, whatever the target holds."""
    KEEP_TARGET = "keep_target"
    """The target stays as it is."""
    LATEST_TIMESTAMP = "latest_timestamp"
    """The version that was committed later wins, or the one with the later value in ``column``."""
    SITE_PRIORITY = "site_priority"
    """The version of the site with the lower priority number wins."""
    MERGE_COLUMNS = "merge_columns"
    """Each column that only one side changed takes that side's value; columns changed on both are settled by group."""
    DELTA = "delta"
    """The difference of the change is added to what the target holds."""
    GREATEST = "greatest"
    """The greater of both values stays."""
    LEAST = "least"
    """The lesser of both values stays."""
    SKIP_IF_MISSING = "skip_if_missing"
    """A change to what is not there is dropped."""
    QUARANTINE = "quarantine"
    """The change is put aside, and later ones to its row behind it."""
    HALT = "halt"
    """The flow stops before the change."""
    PYTHON = "python"
    """A function decides: ``python:module:function``."""


_WHOLE = frozenset(
    {
        PolicyName.APPLY_ORIGIN,
        PolicyName.KEEP_TARGET,
        PolicyName.LATEST_TIMESTAMP,
        PolicyName.SITE_PRIORITY,
        PolicyName.QUARANTINE,
        PolicyName.HALT,
        PolicyName.PYTHON,
    }
)
_STRUCTURE = frozenset({PolicyName.SKIP_IF_MISSING, PolicyName.HALT})

FITS: dict[ConflictType, frozenset[PolicyName]] = {
    ConflictType.INSERT_EXISTS: _WHOLE | {PolicyName.MERGE_COLUMNS, PolicyName.GREATEST, PolicyName.LEAST},
    ConflictType.UPDATE_MISSING: _WHOLE | {PolicyName.SKIP_IF_MISSING},
    ConflictType.UPDATE_DIFFERING: _WHOLE | {PolicyName.MERGE_COLUMNS, PolicyName.DELTA, PolicyName.GREATEST, PolicyName.LEAST},
    ConflictType.DELETE_MISSING: _WHOLE | {PolicyName.SKIP_IF_MISSING},
    ConflictType.DELETE_DIFFERING: _WHOLE,
    ConflictType.MULTIPLE_UNIQUE_CONFLICTS: _WHOLE,
    ConflictType.FOREIGN_KEY_MISSING: _STRUCTURE | {PolicyName.QUARANTINE},
    ConflictType.TARGET_TABLE_MISSING: _STRUCTURE,
    ConflictType.TARGET_COLUMN_MISSING: _STRUCTURE,
}
"""Which policies make sense for which type.

Merging needs two rows, and ``delta`` moreover what both started from, which an insert has not. ``skip_if_missing`` needs
something that is missing. What is wrong with the structure cannot be settled by comparing rows, and what has no table cannot be
decided again.
"""

THREE_WAY = frozenset({PolicyName.MERGE_COLUMNS, PolicyName.DELTA, PolicyName.GREATEST, PolicyName.LEAST})
"""The policies that settle by column groups."""

COLUMN_WORDS = frozenset(
    {
        PolicyName.APPLY_ORIGIN,
        PolicyName.KEEP_TARGET,
        PolicyName.LATEST_TIMESTAMP,
        PolicyName.SITE_PRIORITY,
        PolicyName.DELTA,
        PolicyName.GREATEST,
        PolicyName.LEAST,
        PolicyName.QUARANTINE,
        PolicyName.HALT,
    }
)
"""The policies that a column group may have."""

ARITHMETIC = frozenset({PolicyName.DELTA, PolicyName.GREATEST, PolicyName.LEAST})
"""The policies that look at each column's values, also where only one side changed them."""


@dataclass(frozen=True, slots=True)
class Group:
    """How some columns are settled; ``columns`` are names or globs.

    Several names together are one unit: if both sides changed any of them, all come from the same side. A glob's columns
    are each for themselves. ``column`` is the timestamp column of ``latest_timestamp``, one of the unit.
    """

    columns: tuple[str, ...]
    name: PolicyName
    column: str | None = None
    path: tuple[str | int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it names itself, without globs."""
        return tuple([c for c in self.columns if not _is_glob(c)])

    @property
    def globs(self) -> tuple[str, ...]:
        """The globs among them."""
        return tuple([c for c in self.columns if _is_glob(c)])

    @property
    def has_stamp(self) -> bool:
        """Whether its timestamp column is one of its own, and goes with all others from the same side."""
        own = [c.casefold() for c in self.names]
        return self.column is not None and self.column.casefold() in own and len(own) == len(self.columns)

    @property
    def unit(self) -> bool:
        """Whether its columns go together."""
        return len(self.columns) > 1 and self.names == self.columns


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy with its options; ``path`` says where in the ``conflicts:`` block it stands, () for the built-in one."""

    name: PolicyName
    column: str | None = None
    groups: tuple[Group, ...] = ()
    hook: str = ""
    limit_ms: int = 1000
    path: tuple[str | int, ...] = ()

    @property
    def by_commit_time(self) -> bool:
        """Whether it compares commit times."""
        return any(n is PolicyName.LATEST_TIMESTAMP and c is None for n, c in self._parts())

    @property
    def ranks(self) -> bool:
        """Whether it needs to know the last writer of each row and key."""
        return self.name is PolicyName.SITE_PRIORITY or any(n is PolicyName.LATEST_TIMESTAMP for n, _ in self._parts())

    def _parts(self) -> list[tuple[PolicyName, str | None]]:
        return [(self.name, self.column)] + [(g.name, g.column) for g in self.groups]

    def __str__(self) -> str:
        if self.name is PolicyName.PYTHON:
            return f"python:{self.hook}"
        if self.column is not None:
            return f"{self.name}({self.column})"
        if self.groups:
            return f"{self.name}({'; '.join(f'{_join(g.columns)}: {g.name}' for g in self.groups)})"
        return str(self.name)


HALT = Policy(PolicyName.HALT)
"""What happens where nothing is configured."""


def units(policy: Policy, table: TableInfo) -> list[tuple[tuple[int, ...], Group]]:
    """The table's columns, each once, in units that are settled together; the first group that names a column has it.

    The last group of a three-way policy is ``*``, so that every column belongs to one.
    """
    left = list(range(len(table.columns)))
    found: list[tuple[tuple[int, ...], Group]] = []
    for group in sorted(policy.groups, key=lambda g: any(_is_glob(c) for c in g.columns)):
        mine = tuple([i for i in left if any(matches(c, table.columns[i].name) for c in group.columns)])
        left = [i for i in left if i not in mine]
        if group.unit and mine:
            found.append((mine, group))
        else:
            found += [((i,), group) for i in mine]
    return found


def matches(pattern: str, column: str) -> bool:
    """Whether a name or glob means the column; MySQL compares names of columns without regard to case."""
    return fnmatchcase(column.casefold(), pattern.casefold())


def _is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")


def _join(columns: tuple[str, ...]) -> str:
    return ",".join(columns)
