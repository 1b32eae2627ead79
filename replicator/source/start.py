"""Where a new stream begins: its pair's `start`, held against what the origin has before anything is written to the topic.

`replicator check` asks the same. A position that the stream begins with is its own from then on: a wrong one cannot be mended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config_pairs import FILE_AND_POSITION
from ..errors import ConfigError, DecodeError
from ..gtid import MySqlGtidSet, parse_position
from ..model import FLAVOR_MARIADB

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Ask", "executed", "start_position"]

Ask = Callable[..., list[tuple[Any, ...]]]
"""A query and its values to rows."""

_EXECUTED = {True: "@@global.gtid_binlog_pos", False: "@@global.gtid_executed"}


def executed(flavor: str, ask: Ask) -> str:
    """All that the server has committed, as text."""
    return _text(ask(f"SELECT {_EXECUTED[flavor == FLAVOR_MARIADB]}")[0][0])


def start_position(stream: StreamConfig, flavor: str, ask: Ask) -> str:
    """The position from which a new stream starts. Raises ConfigError where `start` is none of this origin's."""
    start = stream.start
    mariadb = flavor == FLAVOR_MARIADB
    if start == "latest":
        return executed(flavor, ask)
    if start == "earliest":
        return _earliest(stream, mariadb, ask)
    match = FILE_AND_POSITION.fullmatch(start)
    if match is not None:
        if not mariadb:
            raise _wrong(stream, "a file and position can only be turned into a GTID position at MariaDB", "give a GTID set")
        return _gtids_at(stream, ask, match["file"], int(match["position"]))
    _check(stream, flavor, ask)
    return start


def _check(stream: StreamConfig, flavor: str, ask: Ask) -> None:
    """Raises ConfigError for a set that is none of this origin's, or from which it would send what nobody meant."""
    start, mariadb = stream.start, flavor == FLAVOR_MARIADB
    whole = f"give all of the set that a dump of this origin names, or that SELECT {_EXECUTED[mariadb]} showed then"
    try:
        wanted = parse_position(flavor, start)
    except DecodeError as error:
        server = "MariaDB" if mariadb else "MySQL"
        raise _wrong(stream, f"{start!r} is no GTID position of a {server}, which the origin is", whole) from error
    has = parse_position(flavor, executed(flavor, ask))
    never = has.missing(start)
    if never:
        raise _wrong(stream, f"the origin {stream.origin.name} never had {never}", whole)
    if isinstance(wanted, MySqlGtidSet):
        before = wanted.before_first()
        again = MySqlGtidSet(has.missing(before)).missing(before)
        if again:
            raise _wrong(stream, f"{start!r} is without {again}, which would be sent once more", whole)
    purged = wanted.missing(_earliest(stream, mariadb, ask))
    if purged:
        raise _wrong(stream, f"{start!r} is without {purged}, of which the origin has no binlogs any more", whole)


def _earliest(stream: StreamConfig, mariadb: bool, ask: Ask) -> str:
    """Before the oldest binlog that is still there."""
    if not mariadb:
        return _text(ask("SELECT @@global.gtid_purged")[0][0])
    return _gtids_at(stream, ask, str(ask("SHOW BINARY LOGS")[0][0]), 4)


def _gtids_at(stream: StreamConfig, ask: Ask, file: str, position: int) -> str:
    found = ask("SELECT BINLOG_GTID_POS(%s, %s)", file, position)[0][0]
    if found is None:
        raise _wrong(stream, f"there is no binlog position {file}:{position}", "see SHOW BINARY LOGS at the origin")
    return _text(found)


def _text(value: Any) -> str:
    return str(value or "").replace("\n", "")


def _wrong(stream: StreamConfig, what: str, remedy: str) -> ConfigError:
    return ConfigError(f"start: {what}", where=stream.place(("start",)), remedy=remedy)
