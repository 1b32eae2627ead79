"""`replicator wait`: returns when the target has durably applied what the origin has."""

from __future__ import annotations

import threading
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
from ..stream.acks import Ack, AckReader
from ..stream.client import kafka_place
from .common import (
    GTID_FORM,
    choose_streams,
    config_option,
    flow_option,
    json_option,
    pair_option,
    parse_gtid,
    print_json,
    stream_option,
)

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
    deadline = None if timeout is None else started + timeout
    goals = _goals(streams, gtid, timeout)
    for goal in goals:
        _wait_for(config, goal, deadline)
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        print_json({"applied": [{"stream": str(g.stream.id), "position": g.position} for g in goals], "seconds": seconds})
    else:
        click.echo(f"applied after {seconds} s: {', '.join(dict.fromkeys(g.position or 'nothing' for g in goals))}")


def _goals(streams: list[StreamConfig], gtid: str | None, timeout: float | None) -> list[Goal]:
    """Asked once per origin, so that all of its streams wait for the same position."""
    now: dict[str, tuple[str, str]] = {}
    given = None if gtid is None else parse_gtid(gtid)
    if given is not None and not given[1]:  # a script's variable that nobody set, say: everybody has applied nothing
        remedy = f"{GTID_FORM}; or leave --gtid out to wait for all there is"
        raise UsageError("no GTID is given", where="--gtid", remedy=remedy)
    goals = []
    for stream in streams:
        if given is not None:
            goals.append(Goal(stream, *given))
            continue
        if stream.id.origin not in now:
            now[stream.id.origin] = present_position(stream, timeout)
        goals.append(Goal(stream, *now[stream.id.origin]))
    return goals


def present_position(stream: StreamConfig, timeout: float | None = None) -> tuple[str, str]:
    """Flavor and position of all that the stream's origin has committed now, if it says so within ``timeout`` seconds.

    Raises DatabaseError, WaitTimeout.
    """
    site = stream.origin
    began = time.monotonic()
    patience_s = 30.0 if timeout is None else min(max(timeout / 2, 1.0), 30.0)  # for either, log-in and question
    args = {**site.database.connect_args(), "connect_timeout": min(patience_s, 10.0), "read_timeout": patience_s}
    try:
        with pymysql.connect(**args, charset="utf8mb4", autocommit=True) as connection, connection.cursor() as cursor:
            if "mariadb" in str(connection.get_server_info()).lower():  # type: ignore[no-untyped-call]
                cursor.execute("SELECT @@GLOBAL.gtid_binlog_pos")
                return FLAVOR_MARIADB, str(_one(cursor))
            cursor.execute("SELECT @@GLOBAL.gtid_executed")
            return FLAVOR_MYSQL, str(_one(cursor)).replace("\n", "")
    except pymysql.MySQLError as error:
        what, where = f"cannot ask the origin for its position: {error}", f"site {site.name}, {site.database.address}"
        if timeout is not None and time.monotonic() - began >= timeout:
            raise WaitTimeout(what, where=where) from error
        raise DatabaseError(
            what,
            where=where,
            remedy="check that it runs and that the user may log in, or give the position by --gtid",
        ) from error


def _one(cursor: Any) -> object:
    row = cursor.fetchone()
    return row[0] if row else ""


class _Acks:
    """Asks Kafka in a thread: its client may take longer to find that nobody answers than the caller will wait."""

    def __init__(self, stream: StreamConfig) -> None:
        self._reader = AckReader(stream)
        self._stop = threading.Event()
        self._news = threading.Event()
        self._error: ReplicatorError | None = None
        self.answered = False
        """Whether Kafka answered when it was asked last."""
        self.newest: Ack | None = None
        self.failure: KafkaFailure | None = None
        self._thread = threading.Thread(target=self._run, name="acks", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Return when there is an answer, at most after ``timeout_s`` seconds. Raises what no further try can mend."""
        self._news.wait(timeout_s)
        self._news.clear()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Ask no more; a request that is on its way is left to itself."""
        self._stop.set()
        self._thread.join(_POLL_S * 2)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            try:
                self.newest = self._reader.latest(_POLL_S) or self.newest
                self.answered, self.failure, began = True, None, time.monotonic()
            except KafkaFailure as error:  # the topic may not be there yet, or the broker is just starting
                self.answered, self.failure = False, error
                if time.monotonic() - began > _SILENCE_S:
                    self._error = error
            except ReplicatorError as error:
                self._error = error
            self._news.set()
            if self._error is not None:
                break
            if self.failure is not None:
                self._stop.wait(_POLL_S)
        self._reader.close()


def _wait_for(config: Config, goal: Goal, deadline: float | None) -> None:
    acks = _Acks(goal.stream)
    asked = time.monotonic()
    reached: Position = parse_position(goal.flavor, "")
    try:
        while True:
            left_s = _POLL_S if deadline is None else deadline - time.monotonic()
            acks.wait(min(max(left_s, 0.0), _POLL_S))
            ack = acks.newest
            if ack is not None:
                reached = _reached(goal, ack)
                if reached.covers(goal.position):
                    return
            elif acks.answered and not goal.position:
                return  # nothing was ever committed there
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise _timeout(goal, acks, reached)
            if now - asked >= _STATUS_S:
                asked = now
                _raise_if_stopped(config, goal.stream, 1.0 if deadline is None else min(1.0, deadline - now))
    finally:
        acks.close()


def _reached(goal: Goal, ack: Ack) -> Position:
    try:
        return parse_position(goal.flavor, ack.position)
    except DecodeError as error:
        what = f"{goal.position} is no GTID of this origin, whose positions are like {ack.position[:80]}"
        raise UsageError(what, where="--gtid", remedy="write it as the origin shows it") from error


def _timeout(goal: Goal, acks: _Acks, reached: Position) -> WaitTimeout:
    what = f"whether {goal.stream.id} has applied it is unknown: "
    failure = acks.failure
    if failure is not None:
        return WaitTimeout(what + failure.what, where=failure.where, remedy=failure.remedy)
    if not acks.answered:
        place = kafka_place(goal.stream.kafka)
        return WaitTimeout(what + "Kafka did not answer in time", where=place, remedy="check that the brokers run")
    return WaitTimeout(
        f"{goal.stream.id} has not applied {reached.missing(goal.position)} in time",
        where=f"the target acknowledged {acks.newest.position if acks.newest else 'nothing'}",
        remedy="see `replicator status` for what it is doing, or allow more by --timeout",
    )


def _raise_if_stopped(config: Config, stream: StreamConfig, timeout_s: float) -> None:
    """A flow that stopped will not come any further; said so where its daemons can be asked."""
    for site in (stream.id.origin, stream.id.target):
        try:
            answer = fetch_lag(config.http_of(site).base_url, timeout_s=timeout_s)
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
