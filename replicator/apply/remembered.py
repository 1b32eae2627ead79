"""The last local change of each key, as many as there are: the newest in memory, the rest in a file without a name.

What one site writes while the other is away may be much, and a change that is forgotten would be guessed at. The file is
SQLite's, made in the directory for temporary files when it is needed; it is gone with the process.
"""

from __future__ import annotations

import pickle
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from conflict.types import Provenance, Row

__all__ = ["Entry", "Key", "Remembered"]

_IN_MEMORY = 100_000

Key = tuple[str, tuple[str, ...], Row]
"""Table, names of the key's columns, values."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who wrote a key last, and the row that was there before, where it was deleted."""

    provenance: Provenance
    deleted: Row | None


class Remembered:
    """Entries by key. One thread updates it; any may look and drop. ``in_memory``: as many keys before the file is used."""

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._new: dict[Key, Entry] = {}
        self._file: sqlite3.Connection | None = None
        self._filed = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """At most so many: a key may count twice."""
        return len(self._new) + self._filed

    def get(self, key: Key) -> Entry | None:
        """The last change of a key."""
        entry = self._new.get(key)
        if entry is not None or not self._filed:
            return entry
        with self._lock:
            return self._new.get(key) or self._from_file(key)

    def update(self, fresh: Mapping[Key, Entry]) -> None:
        """Later changes than those that are known."""
        with self._lock:
            self._new.update(fresh)
            if len(self._new) > self._in_memory:
                self._to_file()

    def take(self, later: Remembered) -> None:
        """All of another one's, which are later; nobody changes that one meanwhile."""
        with self._lock:
            if later._file is not None:
                self._to_file()  # what is in memory goes before what is in the file
                assert self._file is not None
                rows = later._file.execute("SELECT key, sequence, time_us, entry FROM entries")
                self._file.execute("BEGIN")
                self._file.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
                self._file.execute("COMMIT")
                self._count()
                later._file.close()
            self._new.update(later._new)
            if len(self._new) > self._in_memory:
                self._to_file()

    def drop(self, entries: Mapping[Key, Entry]) -> None:
        """Forget these, but for keys that were changed again."""
        with self._lock:
            for key, entry in entries.items():
                if (self._new.get(key) or self._from_file(key)) == entry:
                    self._new.pop(key, None)
                    if self._file is not None:  # an earlier one may be in there
                        self._filed -= self._file.execute("DELETE FROM entries WHERE key = ?", (_digest(key),)).rowcount

    def forget(self, seen: int, before_us: int) -> None:
        """Forget what has a sequence up to ``seen``, or was committed before that time."""
        with self._lock:
            self._new = {
                k: e for k, e in self._new.items() if e.provenance.sequence > seen and e.provenance.commit_time_us >= before_us
            }
            if self._file is not None:
                gone = self._file.execute("DELETE FROM entries WHERE sequence <= ? OR time_us < ?", (seen, before_us))
                self._filed -= gone.rowcount

    def _to_file(self) -> None:
        if self._file is None:
            self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=OFF")
            self._file.execute("PRAGMA synchronous=OFF")
            self._file.execute("PRAGMA cache_size=-16000")
            self._file.execute(
                "CREATE TABLE entries (key BLOB PRIMARY KEY, sequence INTEGER, time_us INTEGER, entry BLOB) WITHOUT ROWID"
            )
        rows = [
            (_digest(key), e.provenance.sequence, e.provenance.commit_time_us, pickle.dumps(e)) for key, e in self._new.items()
        ]
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
        self._file.execute("COMMIT")
        self._count()
        self._new = {}

    def _count(self) -> None:
        assert self._file is not None
        self._filed = self._file.execute("SELECT COUNT(*) FROM entries").fetchone()[0]

    def _from_file(self, key: Key) -> Entry | None:
        if self._file is None:
            return None
        found = self._file.execute("SELECT entry FROM entries WHERE key = ?", (_digest(key),)).fetchone()
        if found is None:
            return None
        entry: Entry = pickle.loads(found[0])  # noqa: S301  (our own file, which nobody else can open)
        return entry


def _digest(key: Key) -> bytes:
    return blake2b(repr(key).encode(), digest_size=16).digest()
