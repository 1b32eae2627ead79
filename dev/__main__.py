"""``python -m dev``: real servers from a shell.

    up [NAME…] [--flavor mysql|mysql97|mariadb]   start the site databases east and west and a broker kafka (or those named)
    down [NAME…]                                  stop them; their data stays
    status                                        what runs where
    fetch [mysql mysql97 mariadb kafka sysbench]  download into the cache
    clean                                         stop them and delete their data; --cache deletes the downloads too

Servers live in ``.run/NAME``, each on a port of its own that it keeps, and only on loopback. Only servers that were started
so are ever touched.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import DatabaseServer, KafkaServer, attach_database, attach_kafka, start_kafka, start_mariadb, start_mysql
from .cache import REPOSITORY, cache_root
from .errors import DevError
from .fetch import fetch_kafka, fetch_mariadb, fetch_mysql80, fetch_mysql97, fetch_sysbench

RUN = REPOSITORY / ".run"
NAMES = ("east", "west", "kafka")
_FETCH: dict[str, Callable[[], Path]] = {
    "mysql": fetch_mysql80,
    "mysql97": fetch_mysql97,
    "mariadb": fetch_mariadb,
    "kafka": fetch_kafka,
    "sysbench": fetch_sysbench,
}

Handle = DatabaseServer | KafkaServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    as_written = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m dev", description=__doc__, formatter_class=as_written)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("names", nargs="*", metavar="NAME", default=[])
    up.add_argument("--flavor", choices=("mysql", "mysql97", "mariadb"), default="mysql")
    down = commands.add_parser("down")
    down.add_argument("names", nargs="*", metavar="NAME", default=[])
    commands.add_parser("status")
    fetch = commands.add_parser("fetch")
    fetch.add_argument("what", nargs="*", metavar="WHAT", default=[])
    clean = commands.add_parser("clean")
    clean.add_argument("--cache", action="store_true")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "up":
            for name in chosen.names or NAMES:
                print(describe(name, start(name, chosen.flavor)))
        elif chosen.command == "down":
            for name, server in known(chosen.names).items():
                server.stop()
                print(describe(name, server))
        elif chosen.command == "status":
            for name, server in known([]).items():
                print(describe(name, server))
        elif chosen.command == "fetch":
            for what in chosen.what or [name for name in _FETCH if name != "mysql97"]:
                if what not in _FETCH:
                    raise DevError(f"nothing named {what} to fetch", remedy=f"one of: {', '.join(_FETCH)}")
                print(f"{what}: {_FETCH[what]()}")
        else:
            for server in known([]).values():
                server.destroy()
            if chosen.cache:
                shutil.rmtree(cache_root())
    except DevError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def start(name: str, flavor: str) -> Handle:
    """Start the server ``name``, or find it running; one that was started before keeps its flavor, port and data."""
    folder = RUN / name
    if (folder / "server.json").exists():
        server = attach(name)
        if not server.running:
            server.start()
        return server
    if name == "kafka":
        return start_kafka(folder)
    server_id = {"east": 1, "west": 2}.get(name) or 100 + sum(name.encode())
    if flavor == "mariadb":
        return start_mariadb(folder, server_id=server_id)
    return start_mysql(folder, server_id=server_id, version="9.7" if flavor == "mysql97" else "8.0")


def attach(name: str) -> Handle:
    """The handle of a server that was started before."""
    return attach_kafka(RUN / name) if name == "kafka" else attach_database(RUN / name)


def known(names: Sequence[str]) -> dict[str, Handle]:
    """The servers of these names, or all that were ever started here."""
    chosen = names or sorted(path.parent.name for path in RUN.glob("*/server.json"))
    return {name: attach(name) for name in chosen}


def describe(name: str, server: Handle) -> str:
    """One line on a server."""
    what = "kafka" if isinstance(server, KafkaServer) else f"{server.flavor} {server.version}"
    state = f"runs, pid {server.pid}" if server.running else "stopped"
    account = "" if isinstance(server, KafkaServer) else f", user {server.user}, password {server.password}"
    return f"{name}: {what} on {server.host}:{server.port}, {state}{account}"


if __name__ == "__main__":
    sys.exit(main())
