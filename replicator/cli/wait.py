"""`replicator wait`: returns when the target has durably applied what the origin has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pymysql

from ..config import Config, StreamConfig, load_config
from ..errors import DatabaseError, DecodeError, KafkaFailure, ReplicatorError, UsageError, WaitTimeout
from ..gtid import Position, parse_position
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL
from ..observe.client import fetch_lag
from ..stream.acks import AckReader
from .common import choose_streams, config_option, flow_option, json_option, pair_option, print_json, stream_option

__all__ = ["wait"]

_POLL_S = 0.2
_STATUS_S = 2.0
_SILENCE_S = 30.0
"""For so long Kafka may fail to answer before that is the answer."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a stream has to reach."""

    stream: StreamConfig
    flavor: str
    position: str


@click.command()
@config_option
@pair_option
@flow_option
@stream_option
@click.option("--gtid", help="A GTID or GTID set of the origin; default: all that the origin has committed now.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Give up after so many seconds, with exit code 3.")
@json_option
def wait(
    config_path: Path, pair: str, flow: str | None, stream: str | None, gtid: str | None, timeout: float | None, as_json: bool
) -> None:
    """Wait until the target has applied GTID (in a bidirectional pair: both targets, unless --flow or --gtid is given)."""
    started = time.monotonic()
    config = load_config(config_path)
    streams = choose_streams(config, pair, flow, stream)
    if gtid is not None and flow is None:
        forth = streams[0].pair.origin
        streams = [s for s in streams if s.id.origin == forth]
    goals = _goals(streams, gtid)
    deadline = None if timeout is None else started + timeout
    for goal in goals:
        _wait_for(config, goal, deadline)
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        print_json({"applied": [{"stream": str(g.stream.id), "position": g.position} for g in goals], "seconds": seconds})
    else:
        click.echo(f"applied after {seconds} s: {', '.join(dict.fromkeys(g.position or 'nothing' for g in goals))}")


def _goals(streams: list[StreamConfig], gtid: str | None) -> list[Goal]:
    """Asked once per origin, so that all of its streams wait for the same position."""
    now: dict[str, tuple[str, str]] = {}
    goals = []
    for stream in streams:
        if gtid is not None:
            flavor = FLAVOR_MYSQL if ":" in gtid else FLAVOR_MARIADB
            goals.append(Goal(stream, flavor, _checked(flavor, gtid)))
            continue
        if stream.id.origin not in now:
            now[stream.id.origin] = present_position(stream)
        goals.append(Goal(stream, *now[stream.id.origin]))
    return goals


def _checked(flavor: str, gtid: str) -> str:
    try:
        return str(parse_position(flavor, gtid))
    except DecodeError as error:
        raise UsageError(error.what, where="--gtid", remedy="write it as the origin shows it, UUID:N or D-S-N") from error


def present_position(stream: StreamConfig) -> tuple[str, str]:
    """Flavor and position of all that the stream's origin has committed now. Raises DatabaseError."""
    site = stream.origin
    args = {**site.database.connect_args(), "connect_timeout": 10, "read_timeout": 30}
    try:
        with pymysql.connect(**args, charset="utf8mb4", autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            version = str(_one(cursor))
            if "mariadb" in version.lower():
                cursor.execute("SELECT @@GLOBAL.gtid_binlog_pos")
                return FLAVOR_MARIADB, str(_one(cursor))
            cursor.execute("SELECT @@GLOBAL.gtid_executed")
            return FLAVOR_MYSQL, str(_one(cursor)).replace("\n", "")
    except pymysql.MySQLError as error:
        raise DatabaseError(
            f"cannot ask the origin for its position: {error}",
            where=f"site {site.name}, {site.database.address}",
            remedy="check that it runs and that the user may log in, or give the position by --gtid",
        ) from error


def _one(cursor: Any) -> object:
    row = cursor.fetchone()
    return row[0] if row else ""


def _wait_for(config: Config, goal: Goal, deadline: float | None) -> None:
    reader = AckReader(goal.stream)
    asked = answered = time.monotonic()
    reached: Position = parse_position(goal.flavor, "")
    ack = None
    silent: KafkaFailure | None = None
    try:
        while True:
            try:
                ack = reader.latest(_POLL_S)
                answered, silent = time.monotonic(), None
            except KafkaFailure as error:  # the topic may not be there yet, or the broker is just starting
                silent = error
                if time.monotonic() - answered > _SILENCE_S:
                    raise
                time.sleep(_POLL_S)
            if ack is not None:
                reached = parse_position(goal.flavor, ack.position)
                if reached.covers(goal.position):
                    return
            elif not goal.position:
                return  # nothing was ever committed there
            now = time.monotonic()
            if now - asked >= _STATUS_S:
                asked = now
                _raise_if_stopped(config, goal.stream)
            if deadline is not None and now >= deadline:
                if silent is not None:
                    what = f"whether {goal.stream.id} has applied it is unknown: {silent.what}"
                    raise WaitTimeout(what, where=silent.where, remedy=silent.remedy)
                raise WaitTimeout(
                    f"{goal.stream.id} has not applied {reached.missing(goal.position)} in time",
                    where=f"the target acknowledged {ack.position if ack else 'nothing'}",
                    remedy="see `replicator status` for what it is doing, or allow more by --timeout",
                )
    finally:
        reader.close()


def _raise_if_stopped(config: Config, stream: StreamConfig) -> None:
    """A flow that stopped will not come any further; said so where its daemons can be asked."""
    for site in (stream.id.origin, stream.id.target):
        try:
            answer = fetch_lag(config.http_of(site).base_url, timeout_s=1.0)
        except ReplicatorError:
            continue
        for flow in answer["flows"]:
            for found in flow["streams"]:
                stopped = answer["site"] == site and found["flow"] == stream.id.flow and found["stream"] == stream.id.stream
                if stopped and found["state"] == "stopped":
                    error = found["error"] or {"what": found["note"], "where": "", "remedy": ""}
                    raise ReplicatorError(
                        f"the {found['role']} of {stream.id} stopped: {error['what']}",
                        where=error["where"],
                        remedy=error["remedy"] or "see `replicator status`",
                    )
