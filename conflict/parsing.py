"""Reads the parts of a ``conflicts:`` block, collecting problems instead of stopping at the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .hooks import HookError, load_hook
from .rules import ARITHMETIC, COLUMN_WORDS, FITS, THREE_WAY, Group, Policy, PolicyName
from .types import ConflictType

__all__ = ["NOTHING", "Entry", "Path", "PolicyError", "Problem", "Reader"]

Path = tuple[str | int, ...]
"""Keys from the top of the block down to a value."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (keys below ``conflicts:``), the value there, what, and what to do."""

    path: Path
    value: object
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path)) or 'conflicts'}: {self.what} (value {self.value!r}). Remedy: {self.remedy}"


class PolicyError(Exception):
    """The block is wrong; ``problems`` holds everything that was found, in the block's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Entry:
    """The policies of one place: by type, and the default for the types it makes sense for.

    ``detect`` is of a table: whether whole rows are compared (``full``), or only keys (``key``); None where it does not say.
    """

    types: tuple[tuple[ConflictType, Policy], ...] = ()
    default: Policy | None = None
    detect: str | None = None

    def policy_for(self, conflict: ConflictType) -> Policy | None:
        """What this place says about a type; None if nothing."""
        for known, policy in self.types:
            if known is conflict:
                return policy
        if self.default is not None and self.default.name in FITS[conflict]:
            return self.default
        return None


NOTHING = Entry()
"""An entry that says nothing."""

_OPTIONS: dict[PolicyName, tuple[str, ...]] = {
    PolicyName.LATEST_TIMESTAMP: ("column",),
    PolicyName.MERGE_COLUMNS: ("columns", "clash"),
    PolicyName.DELTA: ("columns", "column", "clash"),
    PolicyName.GREATEST: ("columns", "column", "clash"),
    PolicyName.LEAST: ("columns", "column", "clash"),
    PolicyName.PYTHON: ("limit_ms",),
}
_CLASH = PolicyName.SITE_PRIORITY
"""What settles a column that both sides changed, where nothing is said: the same answer at every site."""


@dataclass
class Reader:
    """Reads values of the block; what is wrong goes to ``problems``, and reading goes on with a harmless value."""

    load_hooks: bool = True
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, value: object, what: str, remedy: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path, value, what, remedy))

    def mapping(self, value: object, path: Path) -> Mapping[str, Any]:
        """A mapping with text keys."""
        if not isinstance(value, Mapping):
            self.problem(path, value, "not a mapping", "write 'key: value' lines below it, or leave it out")
            return {}
        for key in value:
            if not isinstance(key, str):
                self.problem((*path, str(key)), key, "a key that is not a text", "write the key in quotes")
        return {key: item for key, item in value.items() if isinstance(key, str)}

    def known_keys(self, value: Mapping[str, Any], known: Iterable[str], path: Path) -> None:
        """Every key must be one of ``known``."""
        names = tuple(known)
        for key in value:
            if key not in names:
                self.problem((*path, key), value[key], f"unknown key {key!r}", _suggest(key, names))

    def word(self, value: object, words: Iterable[str], path: Path) -> str:
        """One of a few words; the first one where it is wrong."""
        names = tuple(words)
        if isinstance(value, str) and value in names:
            return value
        self.problem(path, value, "not a word known here", _suggest(value, names))
        return names[0]

    def integer(self, value: object, least: int, greatest: int, path: Path) -> int:
        """A whole number in a range."""
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest:
            return value
        self.problem(path, value, "not a whole number in range", f"write a number from {least} to {greatest}")
        return least

    def pattern(self, text: str, path: Path) -> tuple[str, str] | None:
        """The globs of ``schema.table``; what stands in backticks is literal."""
        parts, at = [""], 0
        for match in re.finditer(r"`((?:[^`]|``)+)`|(\.)|([^`.])", text):
            if match.start() != at:
                break
            at = match.end()
            quoted, dot, char = match.groups()
            if dot:
                parts.append("")
            else:
                parts[-1] += char or re.sub(r"([*?[])", r"[\1]", quoted.replace("``", "`"))
        if at != len(text) or len(parts) != 2 or not all(parts):
            self.problem(path, text, "not of the form schema.table", "write schema.table; globs and backticks are allowed")
            return None
        if any("[" in re.sub(r"\[!?.[^]]*\]", "", part) for part in parts):
            self.problem(path, text, "'[' is never closed by ']'", "close it, or write the name in backticks")
            return None
        return parts[0], parts[1]

    def entry(self, value: object, path: Path, *, columns: bool) -> Entry:
        """The value of ``default`` or of one table: a policy for everything, or policies by type."""
        if isinstance(value, str) or (isinstance(value, Mapping) and "policy" in value):
            return Entry(default=self.policy(value, path))
        block = self.mapping(value, path)
        extra = ("default", "columns", "detect") if columns else ("default",)
        self.known_keys(block, (*ConflictType, *extra), path)
        types: dict[ConflictType, Policy] = {}
        for conflict in ConflictType:
            if conflict in block:
                policy = self.policy(block[conflict], (*path, str(conflict)), conflict)
                if policy is not None:
                    types[conflict] = policy
        if columns and "columns" in block:
            self._table_columns(block, path, types)
        default = self.policy(block["default"], (*path, "default")) if "default" in block else None
        chosen = self.word(block["detect"], ("full", "key"), (*path, "detect")) if columns and "detect" in block else None
        return Entry(tuple(types.items()), default, chosen)

    def _table_columns(self, block: Mapping[str, Any], path: Path, types: dict[ConflictType, Policy]) -> None:
        """``columns:`` beside the types stands for ``update_differing: {policy: merge_columns, columns: ...}``."""
        conflict, place = ConflictType.UPDATE_DIFFERING, (*path, "columns")
        groups = self._groups(block["columns"], None, place)
        if conflict in types:
            remedy = "move them into update_differing as {policy: merge_columns, columns: ...}, or remove one of the two"
            self.problem(place, block["columns"], "columns beside an update_differing of the same table", remedy)
        types[conflict] = Policy(PolicyName.MERGE_COLUMNS, groups=groups, path=place)

    def policy(self, value: object, path: Path, conflict: ConflictType | None = None) -> Policy | None:
        """A policy, as a word or a mapping; with ``conflict``, one that makes sense for it."""
        options: Mapping[str, Any] = {}
        word = value
        if isinstance(value, Mapping):
            options = self.mapping(value, path)
            if "policy" not in options:
                self.problem(path, value, "a policy without its word", "add 'policy: WORD'")
                return None
            word = options["policy"]
        name = self._policy_word(word, path)
        if name is None:
            return None
        if conflict is not None and name not in FITS[conflict]:
            fitting = ", ".join(sorted(FITS[conflict]))
            self.problem(path, word, f"{name} makes no sense for {conflict}", f"use one of {fitting}")
            return None
        self.known_keys(options, ("policy", *_OPTIONS.get(name, ())), path)
        return self._with_options(name, str(word), options, path)

    def _policy_word(self, word: object, path: Path) -> PolicyName | None:
        words = [*(n for n in PolicyName if n is not PolicyName.PYTHON), "python:module:function"]
        if isinstance(word, str) and word.startswith("python:"):
            return PolicyName.PYTHON
        if isinstance(word, str) and word in words:
            return PolicyName(word)
        self.problem(path, word, "not a policy", _suggest(word, words))
        return None

    def _with_options(self, name: PolicyName, word: str, options: Mapping[str, Any], path: Path) -> Policy | None:
        if name is PolicyName.PYTHON:
            return self._hook(word.removeprefix("python:"), options, path)
        if name is PolicyName.LATEST_TIMESTAMP:
            return Policy(name, column=self._column(options, path), path=path)
        if name is PolicyName.MERGE_COLUMNS:
            groups = self._groups(options.get("columns", {}), options.get("clash"), (*path, "columns"))
            return Policy(name, groups=groups, path=path)
        if name in THREE_WAY:
            columns = self._column_list(name, options, path)
            place = (*path, "columns" if "columns" in options else "column")
            groups = tuple([Group((c,), name, path=place) for c in columns])
            return Policy(name, groups=(*groups, self._clash(options.get("clash"), path)), path=path)
        return Policy(name, path=path)

    def _hook(self, hook: str, options: Mapping[str, Any], path: Path) -> Policy | None:
        limit = self.integer(options.get("limit_ms", 1000), 1, 60_000, (*path, "limit_ms"))
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", hook):
            self.problem(path, f"python:{hook}", "not of the form python:module:function", "e.g. python:shop.rules:settle")
            return None
        if self.load_hooks:
            try:
                load_hook(hook)
            except HookError as e:
                self.problem(path, f"python:{hook}", str(e), "install the module at the target, or correct the name")
                return None
        return Policy(PolicyName.PYTHON, hook=hook, limit_ms=limit, path=path)

    def _column(self, options: Mapping[str, Any], path: Path) -> str | None:
        column = options.get("column")
        if column is None or (isinstance(column, str) and column):
            return column
        self.problem((*path, "column"), column, "not a column name", "write one column's name, or leave it out")
        return None

    def _column_list(self, name: PolicyName, options: Mapping[str, Any], path: Path) -> list[str]:
        value = options.get("columns", options.get("column"))
        if "columns" in options and "column" in options:
            self.problem((*path, "column"), options["column"], "both column and columns", "keep columns")
        columns = [value] if isinstance(value, str) else value
        if not isinstance(columns, list | tuple) or not columns or not all(isinstance(c, str) and c for c in columns):
            self.problem((*path, "columns"), value, f"{name} without its columns", "add 'columns: [NAME, ...]'")
            return []
        return list(columns)

    def _groups(self, value: object, clash: object, path: Path) -> tuple[Group, ...]:
        """The column groups of a merge, and ``*`` at the end for the rest."""
        groups: list[Group] = []
        for names, policy in self.mapping(value, path).items():
            columns = tuple([c.strip() for c in names.split(",")])
            if not all(columns):
                self.problem((*path, names), names, "an empty column name", "separate names by single commas")
            group = self._group(columns, policy, (*path, names))
            if group is not None:
                groups.append(group)
        named: set[str] = set()
        for group in groups:
            for name in group.names:
                if name.casefold() in named:
                    remedy = "name each column in one group: only there it is settled, and the other group would be torn apart"
                    self.problem(group.path, name, "a column of two groups", remedy)
                named.add(name.casefold())
        star = next((g for g in groups if g.columns == ("*",)), None)
        if star is not None and clash is not None:
            self.problem(path, clash, "both clash and a group '*'", "keep one of the two")
        if star is not None:
            self._refuse_arithmetic(star, value, star.path)
        rest = star or self._clash(clash, path[:-1])
        return (*[g for g in groups if g is not star], rest)

    def _group(self, columns: tuple[str, ...], value: object, path: Path) -> Group | None:
        options: Mapping[str, Any] = self.mapping(value, path) if isinstance(value, Mapping) else {"policy": value}
        word = options.get("policy")
        name = self._policy_word(word, path)
        if name is None:
            return None
        if name not in COLUMN_WORDS:
            remedy = f"use one of {', '.join(sorted(COLUMN_WORDS))}"
            self.problem(path, word, f"{name} settles whole rows, not columns", remedy)
            return None
        timed = name is PolicyName.LATEST_TIMESTAMP
        self.known_keys(options, ("policy", "column") if timed else ("policy",), path)
        group = Group(columns, name, self._column(options, path) if timed else None, path)
        if group.column is not None and not group.has_stamp:
            # The timestamp would not tell of when which of the columns was written: it may come from the other side than they.
            remedy = f'name it among columns without globs, as "price, currency, {group.column}": they are then settled together'
            self.problem((*path, "column"), group.column, "a timestamp column that does not belong to its group", remedy)
        return group

    def _clash(self, value: object, path: Path) -> Group:
        """The group of all columns that no other group names."""
        rest = Group(("*",), _CLASH, path=path)
        if value is None:
            return rest
        place = (*path, "clash")
        group = self._group(("*",), value, place)
        if group is not None:
            self._refuse_arithmetic(group, value, place)
        return group or rest

    def _refuse_arithmetic(self, group: Group, value: object, path: Path) -> None:
        if group.name in ARITHMETIC:
            self.problem(path, value, f"{group.name} for whatever columns there are", "name its columns in a group")


def _suggest(word: object, known: Iterable[str]) -> str:
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    listed = ", ".join(names)
    return f"did you mean {close[0]!r}? Known are: {listed}" if close else f"use one of: {listed}"
