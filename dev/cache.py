"""Where downloads and prepared folders live, and how several processes share them.

Everything kept is a folder that appears whole or not at all: it is built beside its final place and renamed. A lock file
per folder makes a second process wait for the first one's download instead of repeating it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["REPOSITORY", "cache_root", "install"]

REPOSITORY = Path(__file__).resolve().parent.parent


def cache_root() -> Path:
    """The cache folder: ``$REPLICATOR_DEV_CACHE``, else ``.cache`` in the repository. Created when missing."""
    root = Path(os.environ.get("REPLICATOR_DEV_CACHE") or REPOSITORY / ".cache").resolve()
    root.mkdir(parents=True, exist_ok=True)
    return root


def install(name: str, build: Callable[[Path], None]) -> Path:
    """Return the cached folder ``name``; when it is missing, call ``build`` with an empty folder to fill first.

    Whatever ``build`` raises goes through, and leaves nothing behind.
    """
    final = cache_root() / name
    if final.is_dir():
        return final
    with _lock(name):
        if final.is_dir():  # another process built it while we waited for the lock
            return final
        unfinished = cache_root() / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed; we hold the lock
        unfinished.mkdir()
        try:
            build(unfinished)
            unfinished.rename(final)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return final


@contextmanager
def _lock(name: str) -> Iterator[None]:
    locks = cache_root() / "locks"
    locks.mkdir(exist_ok=True)
    with (locks / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by closing, so also by any death
        yield
