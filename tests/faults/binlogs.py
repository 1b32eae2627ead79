"""What a site's binlog holds, as the server itself tells it by SQL: an independent judge that shares no code with the replicator.

A transaction with a row of ``replicator.checkpoint`` was written by an applier; one without was committed by a client of this
site; one with nothing but tables of ``replicator`` is our own book-keeping. The server's count of GTIDs says that none was
overlooked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dev import DatabaseServer
from tests.harness import Pair, execute

__all__ = ["Binlog", "Held", "Judge"]

_TABLE = re.compile(r"table_id: \d+ \((.+)\.(.+)\)")
_MARKS = re.compile("zz_mark_(forth|back)")
_INTERVAL = re.compile(r":(\d+)(?:-(\d+))?")
_OWN, _MARK = "replicator", "checkpoint"


@dataclass
class Held:
    """What a binlog holds since some moment, in transactions."""

    local: Counter[str] = field(default_factory=Counter)
    """By table: committed by clients here. One with several tables counts for each, and once in ``local_total``."""
    local_total: int = 0
    applied: Counter[str] = field(default_factory=Counter)
    """By table: written by an applier. It may hold several of the origin's."""
    applied_total: int = 0
    statements: Counter[str] = field(default_factory=Counter)
    """DDL, whoever ran it; of the tables of marks (``Pair.settle``) by their names, all other as ``""``."""
    own: int = 0


class Binlog:
    """One server's binlog from now on."""

    def __init__(self, server: DatabaseServer) -> None:
        self._server = server
        ((self._file, self._at, _, _, *executed),) = execute(server, "SHOW MASTER STATUS")
        if server.flavor == "mariadb":
            ((text,),) = execute(server, f"SELECT BINLOG_GTID_POS('{self._file}', {self._at})")
        else:
            (text,) = executed
        self._gtids = self._count(text)

    def since(self, *schemas: str) -> Held:
        """What was committed since then; counts the tables of these schemas."""
        held = Held()
        seen = 0
        at_least = self._count_now()
        for statement, tables in self._transactions():
            seen += 1
            here = {table for name, table in tables if name in schemas}
            if statement:
                mark = _MARKS.search(statement)
                held.statements[mark[0] if mark else ""] += 1
            elif not here:
                assert {name for name, _ in tables} <= {_OWN}, f"an unknown transaction on {tables}"
                held.own += 1
            elif (_OWN, _MARK) in tables:
                held.applied_total += 1
                held.applied.update(here)
            else:
                held.local_total += 1
                held.local.update(here)
        assert at_least <= self._gtids + seen <= self._count_now(), "events and GTIDs tell different numbers of transactions"
        return held

    def _transactions(self) -> Iterator[tuple[str, set[tuple[str, str]]]]:
        """Each transaction's statement, if it is one, and the tables of its rows."""
        tables: set[tuple[str, str]] = set()
        statement = ""
        begun = False
        for kind, info in self._events():
            if kind == "Gtid":
                if begun:
                    yield statement, tables
                tables, statement, begun = set(), "", True
            elif kind == "Table_map":
                match = _TABLE.match(info)
                assert match is not None, info
                tables.add((match[1], match[2]))
            elif kind == "Query" and info not in ("BEGIN", "COMMIT") and not info.startswith("SAVEPOINT"):
                statement = info
        if begun:
            yield statement, tables

    def _events(self) -> Iterator[tuple[str, str]]:
        names = [row[0] for row in execute(self._server, "SHOW BINARY LOGS")]
        for name in names[names.index(self._file) :]:
            start = f" FROM {self._at}" if name == self._file else ""
            for _, _, kind, _, _, info in execute(self._server, f"SHOW BINLOG EVENTS IN '{name}'{start}"):
                yield _word(kind), _word(info)

    def _count_now(self) -> int:
        """How many transactions the server has ever logged."""
        variable = "gtid_binlog_pos" if self._server.flavor == "mariadb" else "gtid_executed"
        ((text,),) = execute(self._server, f"SELECT @@global.{variable}")
        return self._count(text)

    def _count(self, text: str) -> int:
        if self._server.flavor == "mariadb":
            return sum(int(gtid.rpartition("-")[2]) for gtid in text.split(",") if gtid)
        return sum(int(last or first) - int(first) + 1 for first, last in _INTERVAL.findall(text))


class Judge:
    """Both binlogs of a pair, and how many transactions each flow has carried by the checkpoint at its target."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._binlogs = Binlog(pair.origin), Binlog(pair.target)
        self._carried = self._sequences()

    def nothing_circulates(self, *, statements: tuple[int, int] = (0, 0)) -> tuple[Held, Held]:
        """Each flow carried exactly what its origin's clients committed; returns what both binlogs hold.

        ``statements`` is how many DDL statements clients ran at the origin and at the target: each binlog holds all of them.
        """
        east, west = (binlog.since(*self._pair.schemas) for binlog in self._binlogs)
        carried = tuple(now - before for now, before in zip(self._sequences(), self._carried, strict=True))
        assert east.statements == west.statements and east.statements[""] == sum(statements), (east, west)
        forth, back = (east.statements[mark] for mark in ("zz_mark_forth", "zz_mark_back"))
        local = (east.local_total + forth + statements[0], west.local_total + back + statements[1])
        assert carried == local, f"the flows carried {carried} transactions, and clients committed {local}"
        # An applier may write several transactions as one, and never one as several.
        assert east.applied_total <= west.local_total and west.applied_total <= east.local_total
        return east, west

    def _sequences(self) -> tuple[int, int]:
        sides = (self._pair.target, "east-west"), (self._pair.origin, "west-east")
        found = []
        for server, way in sides:
            flow = f"{self._pair.name}.{way}"
            ((sequence,),) = execute(server, f"SELECT MAX(sequence) FROM replicator.checkpoint WHERE flow='{flow}'")
            found.append(int(sequence))
        return found[0], found[1]


def _word(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
