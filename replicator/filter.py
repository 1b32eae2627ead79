"""Which tables a flow carries: globs over ``schema.table``.

A pattern is ``schema-glob.table-glob`` with the wildcards ``*``, ``?`` and ``[...]``. A name that holds a dot or a
wildcard is written in backticks and then taken literally: ``"`a.b`.*"``. Matching is case-sensitive, as the binlog's
names are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from .model import META_SCHEMA

__all__ = ["SYSTEM_SCHEMAS", "Pattern", "TableFilter", "globs_meet", "helper_of", "parse_pattern"]

SYSTEM_SCHEMAS = frozenset({"mysql", "sys", "information_schema", "performance_schema", META_SCHEMA})
"""Schemas that are never replicated, whatever the patterns say."""

_CACHE_LIMIT = 100_000
"""Remembered answers per filter; a server with more tables than this only pays for matching again."""

_HELPER = re.compile(r"_(?P<table>.+)_(?:gho|ghc|del|new|old)")


def helper_of(table: str) -> str | None:
    """The real table that ``table`` would be a helper of, for gh-ost and pt-online-schema-change; None if of none.

    Only the name decides: a user's own ``_t_new`` looks the same.
    """
    match = _HELPER.fullmatch(table)
    return match["table"] if match else None


def _real_tables(table: str) -> list[str]:
    """What ``table`` may be a helper of; pt-online-schema-change puts more underscores in front of a name that is taken."""
    real = helper_of(table)
    return [] if real is None else list(dict.fromkeys([real, real.lstrip("_")]))


@dataclass(frozen=True, slots=True)
class Pattern:
    """One parsed pattern; both parts are globs, what stood in backticks is already escaped."""

    text: str
    schema: str
    table: str
    schema_re: re.Pattern[str] = field(repr=False, compare=False)
    table_re: re.Pattern[str] = field(repr=False, compare=False)

    def matches(self, schema: str, table: str) -> bool:
        """Whether that table is meant."""
        return self.schema_re.match(schema) is not None and self.table_re.match(table) is not None

    @property
    def exact(self) -> bool:
        """Whether it names one table, without wildcards."""
        return not any(c.many or len(c.one) != 1 or c.negated for c in _glob_steps(self.schema) + _glob_steps(self.table))


def parse_pattern(text: str) -> Pattern:
    """Parse ``schema.table`` with globs and backticks; raises ValueError with what is wrong."""
    parts: list[str] = [""]
    at = 0
    while at < len(text):
        char = text[at]
        if char == "`":
            name, at = _quoted(text, at)
            parts[-1] += _escape(name)
            continue
        if char == "[":
            end = text.find("]", at + 2 + (text[at + 1 : at + 2] == "!"))
            if end < 0:
                raise ValueError("'[' is never closed by ']'")
            parts[-1] += text[at : end + 1]
            at = end + 1
            continue
        if char == ".":
            parts.append("")
        else:
            parts[-1] += char
        at += 1
    if len(parts) != 2 or not all(parts):
        raise ValueError("not of the form schema.table (write a name that holds a dot in backticks)")
    schema, table = parts
    return Pattern(text, schema, table, re.compile(translate(schema)), re.compile(translate(table)))


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The name in backticks that starts at ``at``, and where it ends."""
    match = re.compile(r"`((?:[^`]|``)*)`").match(text, at)
    if not match:
        raise ValueError("a backtick is never closed")
    return match[1].replace("``", "`"), match.end()


def _escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


@dataclass(frozen=True)
class TableFilter:
    """Answers whether a table is wanted: included, not excluded, inside ``within`` and in none of ``minus``."""

    include: tuple[str, ...] = ("*.*",)
    exclude: tuple[str, ...] = ()
    within: TableFilter | None = None
    """Where given, only what this one wants too."""
    minus: tuple[TableFilter, ...] = ()
    """What these want is not wanted here: the other streams of the pair."""
    _included: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)
    _excluded: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)
    _tables: dict[tuple[str, str], bool] = field(init=False, repr=False, compare=False, default_factory=dict)
    _schemas: dict[str, bool] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_included", tuple(map(parse_pattern, self.include)))
        object.__setattr__(self, "_excluded", tuple(map(parse_pattern, self.exclude)))

    def wants(self, schema: str, table: str) -> bool:
        """Whether changes of that table belong here."""
        key = (schema, table)
        known = self._tables.get(key)
        if known is None:
            known = self._decide(schema, table)
            _remember(self._tables, key, known)
        return known

    def wants_schema(self, schema: str) -> bool:
        """Whether the database's own DDL (``CREATE DATABASE``) belongs here: an include covers all of its tables."""
        known = self._schemas.get(schema)
        if known is None:
            known = self._decide_schema(schema)
            _remember(self._schemas, schema, known)
        return known

    def may_want_in(self, schema: str) -> bool:
        """Whether some table of that database may be wanted; errs towards yes."""
        return schema.lower() not in SYSTEM_SCHEMAS and any(p.schema_re.match(schema) for p in self._included)

    def _decide(self, schema: str, table: str) -> bool:
        """A helper table of gh-ost or pt-online-schema-change goes where its real table goes, which it will become.

        Only an include that names just this table decides otherwise.
        """
        if not any(p.exact and p.matches(schema, table) for p in self._included):
            for real in _real_tables(table):
                if self._wants_plain(schema, real):
                    return True
                if self._refuses(schema, real):
                    return False
        return self._wants_plain(schema, table)

    def _refuses(self, schema: str, table: str) -> bool:
        """Whether that table is expressly left out, or another stream's."""
        if any(p.matches(schema, table) for p in self._excluded):
            return True
        return any(other.wants(schema, table) for other in self.minus)

    def _wants_plain(self, schema: str, table: str) -> bool:
        if schema.lower() in SYSTEM_SCHEMAS:
            return False
        if not any(p.matches(schema, table) for p in self._included):
            return False
        if any(p.matches(schema, table) for p in self._excluded):
            return False
        if self.within is not None and not self.within.wants(schema, table):
            return False
        return not any(other.wants(schema, table) for other in self.minus)

    def _decide_schema(self, schema: str) -> bool:
        if schema.lower() in SYSTEM_SCHEMAS:
            return False
        if not any(p.table == "*" and p.schema_re.match(schema) for p in self._included):
            return False
        if any(p.table == "*" and p.schema_re.match(schema) for p in self._excluded):
            return False
        if self.within is not None and not self.within.wants_schema(schema):
            return False
        return not any(other.wants_schema(schema) for other in self.minus)


def _remember(cache: dict[Any, bool], key: object, value: bool) -> None:
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[key] = value


@dataclass(frozen=True, slots=True)
class _Step:
    """One element of a glob: any run of characters (``many``) or one of / none of the characters of ``one``."""

    one: frozenset[str] = frozenset()
    negated: bool = False
    many: bool = False

    def meets(self, other: _Step) -> bool:
        """Whether one character can satisfy both."""
        if self.negated and other.negated:
            return True
        if self.negated:
            return bool(other.one - self.one)
        if other.negated:
            return bool(self.one - other.one)
        return bool(self.one & other.one)


_ANY = _Step(negated=True)
_CHARACTERS = re.compile(r"\[(!?)(\]?[^\]]*)\]|(.)", re.DOTALL)


def _glob_steps(glob: str) -> list[_Step]:
    steps: list[_Step] = []
    for match in _CHARACTERS.finditer(glob):
        negation, members, char = match.groups()
        if members is not None:
            ranges = re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), members)
            steps.append(_Step(frozenset(ranges), negated=bool(negation)))
        elif char == "*":
            steps.append(_Step(many=True))
        else:
            steps.append(_ANY if char == "?" else _Step(frozenset(char)))
    return steps


def globs_meet(a: str, b: str) -> bool:
    """Whether some name matches both globs."""
    left, right = _glob_steps(a), _glob_steps(b)
    # reach[j]: the first i steps of `left` and the first j of `right` can match one and the same text.
    reach = [True] + [False] * len(right)
    for j, step in enumerate(right):
        reach[j + 1] = reach[j] and step.many
    for step in left:
        after = [reach[0] and step.many] + [False] * len(right)
        for j, other in enumerate(right):
            if step.many or other.many:
                after[j + 1] = (step.many and (reach[j + 1] or after[j])) or (other.many and (after[j] or reach[j + 1]))
            else:
                after[j + 1] = reach[j] and step.meets(other)
        reach = after
    return reach[-1]
