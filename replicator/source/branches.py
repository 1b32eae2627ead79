"""How far the binlog was handled, and from where a source must read again while XA transactions are prepared.

A prepared transaction's rows stand in the binlog long before its XA COMMIT, and other transactions in between. They are shipped
with the commit; until then a restart must read them again. MySQL: its GTID is left out of the set to resume from, and the
server sends it again alone. MariaDB: a position has no holes, so its domain stays before the oldest prepared one; what was
shipped behind that comes again and is dropped by its GTID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import SourceError
from ..gtid import Position, parse_position
from .events import Xid
from .spool import Spool

__all__ = ["Branch", "Progress"]

_BRANCHES_MAX = 10_000


@dataclass(slots=True)
class Branch:
    """A prepared XA transaction; ``before`` is what ``Position.last`` was before its GTID."""

    gtid: str
    before: Any
    spool: Spool
    site: bytes
    dropped: bool


class Progress:
    """``read`` is the position whose transactions are all handled; ``resume`` the one that the binlog is requested from."""

    def __init__(self, flavor: str, read: Position, resume: Position) -> None:
        self._flavor = flavor
        self.read = read
        self._branches: dict[Xid, Branch] = {}
        self._behind: Position | None = None
        self._behind_text = self._ahead_text = ""
        self.rereading = False
        """Whether transactions may come that were handled already."""
        self._go_behind(resume)

    def texts(self) -> tuple[str, str]:
        """Where a source resumes, and what is shipped if that is more (else empty)."""
        read = str(self.read)
        if self._behind is not None:
            return self._behind_text, read
        if not self._branches:
            return read, ""
        resume = self.read.copy()
        for branch in reversed(self._branches.values()):
            resume.undo(branch.gtid, branch.before)
        return str(resume), read

    def restart(self) -> str:
        """Forget what is held: it will be read again. Returns the position to request the binlog from."""
        resume = self.texts()[0]
        for branch in self._branches.values():
            branch.spool.close()
        self._branches.clear()
        self._go_behind(parse_position(self._flavor, resume))
        return resume

    def _go_behind(self, resume: Position) -> None:
        self._behind_text, self._ahead_text = str(resume), str(self.read)
        self.rereading = self._behind_text != self._ahead_text
        self._behind = resume.copy() if self.rereading else None

    def passed(self, gtid: str) -> None:
        """A transaction was handled, or dropped because it was before; to be told while ``rereading``."""
        if self._behind is not None:
            self._behind.add(gtid)
            if self._behind.covers(self._ahead_text):
                self._behind = None
                self.rereading = False

    def prepare(self, xid: Xid, key: Any, branch: Branch) -> None:
        """An XA transaction was prepared, in the domain ``key``; before the position moves over its GTID."""
        if len(self._branches) >= _BRANCHES_MAX:
            raise SourceError(
                f"more than {_BRANCHES_MAX} prepared XA transactions are open", remedy="commit or roll them back at the origin"
            )
        branch.before = (self.read if self._behind is None else self._behind).last(key)
        old = self.resolve(xid)
        if old is not None:
            old.spool.close()
        self._branches[xid] = branch

    def resolve(self, xid: Xid) -> Branch | None:
        """It is committed or rolled back; None where nothing is known of it."""
        return self._branches.pop(xid, None)
