"""GTID sets of MySQL (with tags) and positions of MariaDB, behind one small interface.

A *position* is what a source has read through: for MySQL the set of GTIDs, for MariaDB the last GTID of each domain.
Positions are values: ``add`` changes one in place because the source adds millions; ``copy`` before keeping one.
"""

from __future__ import annotations

import bisect
import re
import struct
import uuid
from typing import Any, Protocol

from .errors import DecodeError
from .model import FLAVOR_MARIADB, FLAVOR_MYSQL

__all__ = ["MariaDbPosition", "MySqlGtidSet", "Position", "parse_position"]


class Position(Protocol):
    """What both forms can do."""

    def add(self, gtid: str) -> None:
        """Add one transaction."""

    def contains(self, gtid: str) -> bool:
        """Whether that one transaction is in it."""

    def covers(self, other: str) -> bool:
        """Whether all of the position given as text is in it."""

    def missing(self, other: str) -> str:
        """What of the position given as text is not in it, as text; empty when it covers it."""

    def copy(self) -> Position:
        """An independent copy."""

    def advance(self, key: Any, last: Any) -> None:
        """``add`` for the hot path. MySQL: ``uuid`` or ``uuid:tag``, and the number; MariaDB: domain, and (server, number)."""

    def last(self, key: Any) -> Any:
        """MariaDB: the (server, number) of a domain before the next ``advance``, None without one. MySQL: None."""

    def undo(self, gtid: str, before: Any) -> None:
        """Take one transaction out. MariaDB can only go back: to ``before``, what ``last`` was before it was added."""

    def __str__(self) -> str: ...


_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_TAG = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,31}")


class MySqlGtidSet:
    """A set of MySQL GTIDs, ``uuid[:tag]:n-m``; intervals are half open, sorted and disjoint."""

    __slots__ = ("_sets",)

    def __init__(self, text: str = "") -> None:
        self._sets: dict[str, list[list[int]]] = {}  # "uuid" or "uuid:tag" -> [[start, end), ...]
        for part in text.replace("\n", "").split(","):
            if part.strip():
                self._parse_part(part.strip())

    def _parse_part(self, part: str) -> None:
        pieces = part.split(":")
        sid = pieces[0].strip().lower()
        if not _UUID.fullmatch(sid) or len(pieces) < 2:
            raise DecodeError(f"not a MySQL GTID set: {part!r}")
        key = sid
        for piece in pieces[1:]:
            piece = piece.strip()
            if _TAG.fullmatch(piece):
                key = f"{sid}:{piece.lower()}"
                continue
            first, _, last = piece.partition("-")
            if not first.isdigit() or (last and not last.isdigit()):
                raise DecodeError(f"not a MySQL GTID set: {part!r}")
            start, end = int(first), int(last or first) + 1
            if start < 1 or end <= start:
                raise DecodeError(f"not a MySQL GTID interval: {piece!r}")
            self._add_interval(key, start, end)

    def _add_interval(self, key: str, start: int, end: int) -> None:
        runs = self._sets.setdefault(key, [])
        i = bisect.bisect_left(runs, [start])
        if i and runs[i - 1][1] >= start:
            i -= 1
            start = runs[i][0]
        j = i
        while j < len(runs) and runs[j][0] <= end:
            end = max(end, runs[j][1])
            j += 1
        runs[i:j] = [[start, end]]

    def add(self, gtid: str) -> None:
        key, _, number = gtid.rpartition(":")
        n = int(number)
        runs = self._sets.get(key)
        if runs and runs[-1][1] == n:  # by far the most common: the next one
            runs[-1][1] = n + 1
        else:
            self._add_interval(key, n, n + 1)

    def advance(self, key: str, last: int) -> None:
        runs = self._sets.get(key)
        if runs and runs[-1][1] == last:
            runs[-1][1] = last + 1
        else:
            self._add_interval(key, last, last + 1)

    def last(self, key: str) -> None:
        return None

    def undo(self, gtid: str, before: object) -> None:
        key, _, number = gtid.rpartition(":")
        n = int(number)
        runs = self._sets.get(key, [])
        i = bisect.bisect_right(runs, [n, 2**63]) - 1
        if i >= 0 and runs[i][0] <= n < runs[i][1]:
            start, end = runs[i]
            runs[i : i + 1] = [run for run in ([start, n], [n + 1, end]) if run[0] < run[1]]

    def contains(self, gtid: str) -> bool:
        key, _, number = gtid.rpartition(":")
        return self._has(key.lower(), int(number), int(number) + 1)

    def _has(self, key: str, start: int, end: int) -> bool:
        runs = self._sets.get(key, [])
        i = bisect.bisect_right(runs, [start, 2**63]) - 1
        return i >= 0 and runs[i][0] <= start and end <= runs[i][1]

    def covers(self, other: str) -> bool:
        return all(self._has(key, a, b) for key, runs in MySqlGtidSet(other)._sets.items() for a, b in runs)

    def missing(self, other: str) -> str:
        rest = MySqlGtidSet()
        for key, runs in MySqlGtidSet(other)._sets.items():
            for a, b in runs:
                for x, y in self._sets.get(key, []):
                    if y <= a or x >= b:
                        continue
                    if x > a:
                        rest._add_interval(key, a, x)
                    a = y
                if a < b:
                    rest._add_interval(key, a, b)
        return str(rest)

    def before_first(self) -> str:
        """What comes before the first number of each source, as text: a set without it was hardly meant so."""
        firsts = [(key, runs[0][0]) for key, runs in sorted(self._sets.items()) if runs]
        return ",".join([f"{key}:1-{first - 1}" for key, first in firsts if first > 1])

    def copy(self) -> MySqlGtidSet:
        twin = MySqlGtidSet()
        twin._sets = {key: [list(run) for run in runs] for key, runs in self._sets.items()}
        return twin

    @property
    def tagged(self) -> bool:
        """Whether any GTID carries a tag (MySQL 8.3 and newer)."""
        return any(":" in key for key in self._sets)

    def __str__(self) -> str:
        return ",".join(
            f"{key}:" + ":".join(str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in runs)
            for key, runs in sorted(self._sets.items())
            if runs
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MySqlGtidSet) and str(self) == str(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MySqlGtidSet({str(self)!r})"

    def encode(self) -> bytes:
        """The body of COM_BINLOG_DUMP_GTID; in the tagged format (first byte 1) only when a tag is there.

        Source: Gtid_set::encode of the server. Untagged: n_sids u64, then uuid, n_intervals u64, start u64, end u64.
        Tagged: byte 1, n_tsids u48, byte 1, then uuid, tag length as a serialization varint, tag, intervals.
        """
        keys = sorted(key for key, runs in self._sets.items() if runs)
        tagged = self.tagged
        if tagged:
            parts = [struct.pack("<Q", 1 | len(keys) << 8 | 1 << 56)]
        else:
            parts = [struct.pack("<Q", len(keys))]
        for key in keys:
            sid, _, tag = key.partition(":")
            parts.append(uuid.UUID(sid).bytes)
            if tagged:
                parts.append(bytes([len(tag) << 1]) + tag.encode())
            runs = self._sets[key]
            parts.append(struct.pack("<Q", len(runs)))
            parts.extend(struct.pack("<QQ", a, b) for a, b in runs)
        return b"".join(parts)


class MariaDbPosition:
    """The last GTID of each MariaDB replication domain, ``domain-server-sequence``."""

    __slots__ = ("_domains",)

    def __init__(self, text: str = "") -> None:
        self._domains: dict[int, tuple[int, int]] = {}
        for part in text.split(","):
            if part.strip():
                domain, server, number = self._parse(part.strip())
                self._domains[domain] = (server, number)

    @staticmethod
    def _parse(gtid: str) -> tuple[int, int, int]:
        pieces = gtid.split("-")
        if len(pieces) != 3 or not all(p.isdigit() for p in pieces):
            raise DecodeError(f"not a MariaDB GTID: {gtid!r}")
        return int(pieces[0]), int(pieces[1]), int(pieces[2])

    def add(self, gtid: str) -> None:
        domain, server, number = gtid.split("-")
        self._domains[int(domain)] = (int(server), int(number))

    def advance(self, key: int, last: tuple[int, int]) -> None:
        self._domains[key] = last

    def last(self, key: int) -> tuple[int, int] | None:
        return self._domains.get(key)

    def undo(self, gtid: str, before: tuple[int, int] | None) -> None:
        domain = self._parse(gtid)[0]
        if before is None:
            self._domains.pop(domain, None)
        else:
            self._domains[domain] = before

    def contains(self, gtid: str) -> bool:
        domain, _, number = self._parse(gtid)
        return domain in self._domains and self._domains[domain][1] >= number

    def covers(self, other: str) -> bool:
        return not self.missing(other)

    def missing(self, other: str) -> str:
        return ",".join(p.strip() for p in other.split(",") if p.strip() and not self.contains(p.strip()))

    def copy(self) -> MariaDbPosition:
        twin = MariaDbPosition()
        twin._domains = dict(self._domains)
        return twin

    def __str__(self) -> str:
        return ",".join(f"{d}-{s}-{n}" for d, (s, n) in sorted(self._domains.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MariaDbPosition) and self._domains == other._domains

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MariaDbPosition({str(self)!r})"


def parse_position(flavor: str, text: str) -> MySqlGtidSet | MariaDbPosition:
    """Parse a position of that flavor; raises DecodeError on anything else."""
    if flavor == FLAVOR_MYSQL:
        return MySqlGtidSet(text)
    if flavor == FLAVOR_MARIADB:
        return MariaDbPosition(text)
    raise DecodeError(f"unknown server flavor {flavor!r}")
