"""Debian packages without installing them: downloaded with what they depend on, unpacked into a folder.

Nothing on the host changes and no service starts. The mirrors are those that the host's apt is configured with.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .cache import cache_root
from .commands import run
from .errors import DevError

__all__ = ["library_path", "unpack_packages"]


def unpack_packages(packages: Sequence[str], into: Path, *, apt_options: Sequence[str] = ()) -> list[str]:
    """Unpack ``packages`` and those of their dependencies that apt would install too.

    Returns the file names of the unpacked packages. Raises DevError with apt's last words when they can't be had.
    """
    downloads = into / "archives"
    (downloads / "partial").mkdir(parents=True)
    common = ["-o", f"Dir::Cache::archives={downloads}", "-o", "Debug::NoLocking=1", *apt_options]
    install = ["apt-get", "install", "-y", "--download-only", "--no-install-recommends", *common, *packages]
    what = f"download the Debian packages {', '.join(packages)}"
    try:
        run(install, what)
    except DevError:
        # The host's package lists may be missing (fresh image) or stale; private ones need no rights on the host.
        lists = cache_root() / "apt-lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        private = ["-o", f"Dir::State::lists={lists}"]
        subprocess.run(["apt-get", "update", *private, *common], capture_output=True, check=False)
        run([*install, *private], what)
    archives = sorted(downloads.glob("*.deb"))
    for archive in archives:
        run(["dpkg", "-x", str(archive), str(into)], f"unpack {archive.name}")
        archive.unlink()
    return [archive.name for archive in archives]


def library_path(tree: Path) -> str:
    """``LD_LIBRARY_PATH`` for programs unpacked under ``tree``."""
    folders = [path for parent in ("usr/lib", "lib") for path in ((tree / parent).glob("*-linux-gnu")) if path.is_dir()]
    return ":".join(str(path) for path in folders)
