"""The ``conflicts:`` block of a configuration: parsing it, with every problem at once, and looking a policy up.

The block is a mapping::

    mode: apply | observe
    clock_offset_ms_max: 500
    log_days: 90
    quarantine: {max_rows: 10000}
    default: POLICY | {TYPE: POLICY, ..., default: POLICY}
    tables:
      "schema.table": POLICY | {TYPE: POLICY, ..., default: POLICY, columns: {COLUMNS: POLICY, ...}, detect: full | key}

``POLICY`` is a word or a mapping with ``policy:`` and its options. Patterns may hold globs; a name with a dot is written in
backticks. The most specific entry wins: table and type, table default, pair and type, pair default, and then ``halt``;
among several patterns an exact name, then the one with more literal characters, then the first. A ``default`` whose policy
makes no sense for a type (``rules.FITS``) is passed over for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from .hooks import HookRunner
from .parsing import NOTHING, Entry, PolicyError, Problem, Reader
from .rules import HALT, Policy, PolicyName
from .stamps import supersedes
from .table import TableInfo, TableName
from .types import ConflictType, Provenance
from .validate import validate_policy

__all__ = ["Policies", "PolicyError", "Problem", "TablePolicies", "parse_policies"]

_CACHE_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class TablePolicies:
    """The entry of one pattern under ``tables:``."""

    pattern: str
    schema_glob: str
    table_glob: str
    entry: Entry

    def matches(self, table: TableName) -> bool:
        """Whether the table is meant."""
        schema, name = table
        return bool(re.match(translate(self.schema_glob), schema) and re.match(translate(self.table_glob), name))

    @property
    def exact(self) -> bool:
        """Whether it names one table, without wildcards."""
        return self.rank[0]

    @property
    def rank(self) -> tuple[bool, int]:
        """How specific it is; bigger is more."""
        globs = self.schema_glob + "." + self.table_glob
        literal = re.sub(r"\[(.)\]", r"\1", globs)  # an escaped character is a literal one
        wild = re.sub(r"\[.\]", "", globs)
        return (not any(c in wild for c in "*?["), len(literal) - sum(literal.count(c) for c in "*?"))


@dataclass(frozen=True)
class Policies:
    """The policies of one pair. Immutable; looking up is cached."""

    pair: Entry = NOTHING
    tables: tuple[TablePolicies, ...] = ()
    observe: bool = False
    """Dry run: conflicts are recorded with what would have been decided, and nothing is written for them."""
    clock_offset_ms_max: int = 500
    """Beyond this offset between the sites' clocks, ``latest_timestamp`` by commit time stops rather than guesses."""
    log_days: int = 90
    """How long the caller should keep records and what was released from quarantine; 0: for ever."""
    quarantine_max_rows: int = 10_000
    """How many changes the caller should hold in quarantine at most."""
    hooks: HookRunner = field(default_factory=HookRunner, repr=False, compare=False)
    _found: dict[tuple[ConflictType, TableName], Policy] = field(default_factory=dict, repr=False, compare=False)

    def policy_for(self, conflict: ConflictType, table: TableName) -> Policy:
        """The policy for a type of conflict in ``(schema, table)``; ``halt`` where nothing is configured."""
        key = (conflict, table)
        known = self._found.get(key)
        if known is None:
            if len(self._found) >= _CACHE_LIMIT:
                self._found.clear()
            known = self._found[key] = self._look_up(conflict, table)
        return known

    def _look_up(self, conflict: ConflictType, table: TableName) -> Policy:
        for entry in (*(t.entry for t in self._matching(table)), self.pair):
            policy = entry.policy_for(conflict)
            if policy is not None:
                return policy
        return HALT

    def _matching(self, table: TableName) -> list[TablePolicies]:
        return sorted((t for t in self.tables if t.matches(table)), key=lambda t: t.rank, reverse=True)

    def in_use(self, table: TableName) -> dict[ConflictType, Policy]:
        """The policy of every type of conflict for a table."""
        return {conflict: self.policy_for(conflict, table) for conflict in ConflictType}

    def needs_full(self, table: TableName) -> bool:
        """Whether whole before images have to be compared: some configured policy depends on what they find.

        Without a configured policy for differing rows, and with a ``default`` of ``apply_origin``, it makes no difference to
        the rows. A dry run is to show all that there is, and what is written for the type itself is to be recorded.
        """
        if self.observe:
            return True
        differing = (ConflictType.UPDATE_DIFFERING, ConflictType.DELETE_DIFFERING)
        policies = [(c, self.policy_for(c, table)) for c in differing]
        return any(p.path and (p.name is not PolicyName.APPLY_ORIGIN or str(c) in p.path) for c, p in policies)

    def detect(self, table: TableName) -> str | None:
        """What the table's entries say of comparing whole rows: ``full``, ``key``, or None."""
        return next((t.entry.detect for t in self._matching(table) if t.entry.detect is not None), None)

    def needs_provenance(self, table: TableName) -> bool:
        """Whether the last writer of each row and key has to be remembered: ``latest_timestamp`` is in use."""
        return any(p.ranks for p in self.in_use(table).values())

    @property
    def asks_who_wrote(self) -> bool:
        """Whether that is so for any table at all."""
        return any(p.ranks for p in self._configured())

    @property
    def comparing_commit_times(self) -> list[tuple[str | int, ...]]:
        """The places in the block of all policies that compare commit times."""
        return list(dict.fromkeys(p.path for p in self._configured() if p.by_commit_time))

    def _configured(self) -> list[Policy]:
        entries = [self.pair, *(t.entry for t in self.tables)]
        policies = [p for e in entries for p in (*(policy for _, policy in e.types), e.default)]
        return [p for p in policies if p is not None]

    def by_commit_time(self, table: TableName) -> bool:
        """Whether commit times are compared: an equal row that was written later is then not as expected."""
        return any(p.by_commit_time for p in self.in_use(table).values())

    def remembers(self, table: TableName, new: Provenance, old: Provenance | None, *, unseen: bool | None = None) -> bool:
        """Whether ``new`` is to be remembered as the writer of a key where ``old`` is.

        ``new`` is the ``provenance`` of a decision, or of a change that fitted; ``unseen`` as in ``types.LocalRow``.
        Versions that are compared by commit time or priority are remembered in that order; elsewhere the last written is.
        """
        if self.by_commit_time(table):
            return supersedes(new, old, unseen=unseen)
        if any(p.name is PolicyName.SITE_PRIORITY for p in self.in_use(table).values()):
            return supersedes(new, old, unseen=unseen, by_time=False)
        return True

    def counting(self, table: TableName) -> bool:
        """Whether differences are added, so that a row equal to the after image does not mean that the change arrived."""
        policy = self.policy_for(ConflictType.UPDATE_DIFFERING, table)
        return any(g.name is PolicyName.DELTA for g in policy.groups)

    def validate(self, table: TableInfo) -> list[Problem]:
        """What of the policies in use for a table does not fit its columns, each with its place in the block."""
        problems: list[Problem] = []
        for conflict, policy in self.in_use(table.name).items():
            for problem in validate_policy(conflict, policy, table):
                if problem not in problems:
                    problems.append(problem)
        return problems


def parse_policies(raw: Mapping[str, Any] | None, *, load_hooks: bool = True) -> Policies:
    """Parse the ``conflicts:`` block; raises PolicyError with every problem found.

    ``load_hooks`` imports the modules of ``python:`` policies, so that a wrong name is found now.
    """
    reader = Reader(load_hooks=load_hooks)
    block = reader.mapping(raw if raw is not None else {}, ())
    reader.known_keys(block, ("default", "tables", "mode", "clock_offset_ms_max", "log_days", "quarantine"), ())
    mode = reader.word(block.get("mode", "apply"), ("apply", "observe"), ("mode",))
    offset = reader.integer(block.get("clock_offset_ms_max", 500), 0, 3_600_000, ("clock_offset_ms_max",))
    days = reader.integer(block.get("log_days", 90), 0, 36_500, ("log_days",))
    quarantine = reader.mapping(block.get("quarantine", {}), ("quarantine",))
    reader.known_keys(quarantine, ("max_rows",), ("quarantine",))
    held = reader.integer(quarantine.get("max_rows", 10_000), 0, 10_000_000, ("quarantine", "max_rows"))
    pair = reader.entry(block.get("default", {}), ("default",), columns=False)
    tables: list[TablePolicies] = []
    for pattern, value in reader.mapping(block.get("tables", {}), ("tables",)).items():
        path = ("tables", pattern)
        globs = reader.pattern(pattern, path)
        entry = reader.entry(value, path, columns=True)
        if globs is not None:
            tables.append(TablePolicies(str(pattern), *globs, entry))
    if reader.problems:
        raise PolicyError(reader.problems)
    return Policies(
        pair,
        tuple(tables),
        observe=mode == "observe",
        clock_offset_ms_max=offset,
        log_days=days,
        quarantine_max_rows=held,
    )
