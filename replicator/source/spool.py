"""Events that are read but may not be shipped yet: on disk when there are many, so that memory stays bounded.

Held back are prepared XA transactions, until their XA COMMIT, and what follows a SAVEPOINT in a large transaction, because a
ROLLBACK TO may still take it back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

from ..errors import SourceError
from ..stream.wire import EVENT

__all__ = ["Spool"]

_MEMORY_BYTES = 1 << 20


class Spool:
    """A packed run of events. Their table map indexes point into the list that ``table_maps`` was when the last was added."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES, prefix="replicator-")  # noqa: SIM115
        self.size = 0
        self.table_maps: tuple[bytes, ...] = ()

    def append(self, parts: Iterable[bytes], table_maps: Iterable[bytes]) -> None:
        """Add to the run."""
        try:
            for part in parts:
                self._file.write(part)
                self.size += len(part)
        except OSError as error:
            raise SourceError(
                f"cannot keep events of an open transaction on disk: {error}",
                remedy="make room in the folder for temporary files (TMPDIR), then `replicator resume`",
                retry=True,
            ) from error
        self.table_maps = tuple(table_maps)

    def truncate(self, size: int) -> None:
        """Forget what was added since the run had that size."""
        self._file.seek(size)
        self._file.truncate()
        self.size = size

    def events(self) -> Iterator[tuple[int, int, bytes]]:
        """Type, table map index and payload of each event, in order."""
        self._file.seek(0)
        while head := self._file.read(EVENT.size):
            kind, table, length = EVENT.unpack(head)
            yield kind, table, self._file.read(length)
        self._file.seek(self.size)

    def close(self) -> None:
        """Drop it."""
        self._file.close()
