"""Running the programs that fetch and prepare."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import DevError

__all__ = ["need", "run"]

_LAST_WORDS_CHARS = 1500


def run(
    argv: Sequence[str], what: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None, remedy: str = ""
) -> str:
    """Run a command to its end and return its standard output; ``what`` completes "could not …" when it fails."""
    done = subprocess.run(
        list(argv),
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip()[-_LAST_WORDS_CHARS:]
        raise DevError(f"could not {what}: {argv[0]} ended with {done.returncode}: {words}", remedy=remedy)
    return done.stdout


def need(program: str, package: str) -> str:
    """The path of ``program``; raises DevError naming the Debian package that holds it."""
    path = shutil.which(program)
    if path is None:
        raise DevError(f"the program {program} is not installed", remedy=f"apt-get install {package}")
    return path
