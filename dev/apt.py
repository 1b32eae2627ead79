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

__all__ = ["library_path", "unpack_packages", "unstable_options"]


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


def unstable_options() -> list[str]:
    """apt options that see Debian unstable, and only that, from the host's own mirror, with nothing installed yet.

    So the packages of a whole system come down, libc included, and the host's own lists and packages don't matter. Raises
    DevError when the host's apt knows no Debian mirror or the lists can't be had.
    """
    targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], "list apt's mirrors").split()
    mirror = next((uri.rstrip("/") for uri in targets if uri.rstrip("/").endswith("/debian")), None)
    if mirror is None:
        raise DevError("the host's apt knows no Debian mirror", remedy="add one to the apt sources")
    home = cache_root() / "apt-unstable"
    for folder in ("lists/partial", "archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (home / "sources.list").write_text(f"deb [signed-by={keyring}] {mirror} unstable main\n")
    settings = {
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": home / "lists",
        "Dir::State::status": home / "status",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Default-Release": "unstable",
        "Debug::NoLocking": "1",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    run(["apt-get", "update", *options], "fetch the package lists of Debian unstable")
    return options


def library_path(tree: Path) -> str:
    """``LD_LIBRARY_PATH`` for programs unpacked under ``tree``."""
    folders = [path for parent in ("usr/lib", "lib") for path in ((tree / parent).glob("*-linux-gnu")) if path.is_dir()]
    return ":".join(str(path) for path in folders)
