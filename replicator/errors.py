"""One tree of errors.

Each error says *what* happened, *where* (file and line, GTID, table, topic and offset) and *what to do* (``remedy``),
and whether trying again can help (``retry``). A worker that meets an error with ``retry=True`` restarts with backoff;
with ``retry=False`` it stops the flow, its position before the thing that it could not handle.
"""

from __future__ import annotations

__all__ = [
    "START_ANEW",
    "ApplyError",
    "ConfigError",
    "ConflictHalt",
    "DatabaseError",
    "DdlError",
    "DecodeError",
    "FencedError",
    "HistoryLostError",
    "KafkaFailure",
    "ReplicatorError",
    "SourceError",
    "StreamError",
    "TransientError",
    "UsageError",
    "WaitTimeout",
]

START_ANEW = "start the stream anew at the applier's position (docs/WHAT-IF.md)"
"""The remedy where the topic's history is lost and the origin's binlogs are not."""


class ReplicatorError(Exception):
    """Base of all errors that this program raises on purpose.

    ``what`` is one sentence, ``where`` names the place, ``remedy`` tells the operator what to do.
    """

    retry = False
    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "", retry: bool | None = None) -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        if retry is not None:
            self.retry = retry
        super().__init__(str(self))

    def add_place(self, where: str) -> None:
        """Name the place more closely, as the error passes by someone who knows it."""
        self.where = f"{self.where}, {where}" if self.where else where
        self.args = (str(self),)

    def set_remedy(self, remedy: str) -> None:
        """Say what helps where the error ended up: what raised it may serve several commands."""
        self.remedy = remedy
        self.args = (str(self),)

    def __str__(self) -> str:
        text = self.what
        if self.where:
            text += f" [at {self.where}]"
        if self.remedy:
            text += f" Remedy: {self.remedy}"
        return text


class ConfigError(ReplicatorError):
    """The configuration is wrong; carries every problem found, one a line."""

    exit_code = 2


class UsageError(ReplicatorError):
    """The command was used wrongly."""

    exit_code = 2


class WaitTimeout(ReplicatorError):
    """`wait` gave up; the target has not applied the position yet."""

    exit_code = 3


class TransientError(ReplicatorError):
    """Something outside is unavailable; trying again may help."""

    retry = True


class DatabaseError(TransientError):
    """A database cannot be reached, or ended the connection."""


class KafkaFailure(TransientError):
    """Kafka cannot be reached or refused a request."""


class SourceError(ReplicatorError):
    """The origin's binlog holds something that cannot be shipped without loss."""


class DecodeError(ReplicatorError):
    """Bytes do not follow the format they should."""


class StreamError(ReplicatorError):
    """The stream breaks its own rules: a gap, a reordering, a corrupt or foreign record."""


class HistoryLostError(StreamError):
    """The stream is empty or another one, though there was history; a new start would lose or repeat data."""


class FencedError(ReplicatorError):
    """Another process took this stream over."""


class ApplyError(ReplicatorError):
    """The target cannot take a change."""


class ConflictHalt(ApplyError):
    """A conflict whose policy is ``halt``; ``entry`` is the SQL that records it once the transaction is rolled back."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "", entry: bytes = b"") -> None:
        self.entry = entry
        super().__init__(what, where=where, remedy=remedy)


class BinlogLostError(SourceError):
    """The server no longer has, or never had, the binlog from which to go on."""


class StructureHalt(ApplyError):
    """The target lacks a table or a column, and no policy leaves it out. ``entry`` is the SQL that records it, once known."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "", column: str = "") -> None:
        self.column = column
        """What lacks, of a table that is there."""
        self.table_map = b""
        """The origin's, of the change that has no place."""
        self.entry = b""
        super().__init__(what, where=where, remedy=remedy)


class DdlError(ApplyError):
    """A DDL statement that cannot or may not be applied."""
