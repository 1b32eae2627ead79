"""`replicator status`: what the daemons of all sites say, together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..config import Config, StreamConfig, load_config
from ..errors import ReplicatorError
from ..model import Role
from ..observe.client import fetch_lag
from ..observe.lag import STILL_S_MAX, UNKNOWN
from .common import config_option, json_option, print_json

__all__ = ["status"]


@click.command()
@config_option
@click.option("--pair", help="One pair only.")
@click.option("--site", help="Ask this site's daemon only.")
@json_option
def status(config_path: Path, pair: str | None, site: str | None, as_json: bool) -> int:
    """Show flows, positions, lag by stage and last errors. Exit code 1 when a flow does not stream or a site is silent."""
    config = load_config(config_path)
    config.streams(site, pair=pair)  # which knows whether they exist
    document = collect(config, site, pair)
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(_lines(document)))
    silent = any("error" in answer for answer in document["sites"].values())
    late = [s for s in document["streams"] if s["state"] != "streaming" or _stands_still(s)]
    return 1 if silent or late else 0


def collect(config: Config, site: str | None, pair: str | None) -> dict[str, Any]:
    """Each site's answer (or the error), and all streams of them with the site that said so."""
    sites: dict[str, Any] = {}
    streams: list[dict[str, Any]] = []
    for name in config.sites:
        if (site is not None and name != site) or not config.streams(name, pair=pair):
            continue
        url = config.http_of(name).base_url
        try:
            answer = fetch_lag(url)
        except ReplicatorError as error:
            sites[name] = {"url": url, "error": error.what, "remedy": error.remedy}
            continue
        if answer["site"] != name:
            what = f"at {url} answers the daemon of the site {answer['site']}"
            sites[name] = {"url": url, "error": what, "remedy": f"give {name} its own address: sites.{name}.http"}
            continue
        sites[name] = {"url": url, "ready": answer["ready"], "reasons": answer["reasons"], "note": answer["note"]}
        streams += [_missing(name, s, role) for s, role in _unknown_to(answer, config, name, pair)]
        for flow in answer["flows"]:
            if pair is None or flow["pair"] == pair:
                streams += [{"site": name, "pair": flow["pair"], "level": flow["level"], **s} for s in flow["streams"]]
    return {"sites": sites, "streams": streams}


def _unknown_to(answer: dict[str, Any], config: Config, site: str, pair: str | None) -> Iterator[tuple[StreamConfig, Role]]:
    """Streams that the daemon of their site does not run: it has not read the file since, or runs the other role only."""
    running = {(flow["flow"], s["stream"], s["role"]) for flow in answer["flows"] for s in flow["streams"]}
    for role in Role:
        for stream in config.streams(site, role, pair=pair):
            if (stream.id.flow, stream.id.stream, role.value) not in running:
                yield stream, role


def _missing(site: str, stream: StreamConfig, role: Role) -> dict[str, Any]:
    remedy = f"reload the configuration there (SIGHUP), or start the daemon that runs the {role.value}"
    error = {"what": f"the daemon that answers for {site} does not run this", "where": "", "time": None, "remedy": remedy}
    return {
        "site": site,
        "pair": stream.id.pair,
        "flow": stream.id.flow,
        "stream": stream.id.stream,
        "role": role.value,
        "state": "missing",
        "level": UNKNOWN,
        "note": "",
        "lag_seconds": UNKNOWN,
        "lag_transactions": UNKNOWN,
        "position": "",
        "stages": {},
        "error": error,
    }


def _lines(document: dict[str, Any]) -> Iterator[str]:
    flows = list(dict.fromkeys(stream["flow"] for stream in document["streams"]))
    for flow in flows:
        yield flow
        for stream in document["streams"]:
            if stream["flow"] == flow:
                yield from _stream_lines(stream)
        yield ""
    for name, answer in document["sites"].items():
        if "error" in answer:
            yield f"{name}: unknown: {answer['error']}"
            yield f"  to do: {answer['remedy']}"
        elif answer["note"]:
            yield f"{name}: {answer['note']}"
    if not document["sites"]:
        yield "no pair is configured"


def _stream_lines(stream: dict[str, Any]) -> Iterator[str]:
    who = f"{stream['role']} at {stream['site']}, stream {stream['stream']}"
    lag = stream["lag_seconds"]
    shown = "lag unknown" if isinstance(lag, str) else f"{lag:.1f} s behind"
    missing = stream["lag_transactions"]
    if not isinstance(missing, str):
        shown += f", {missing} transactions"
    yield f"  {who}: {stream['state']}, {shown}"
    for name, stage in stream["stages"].items():
        yield (
            f"    {name:<13} sequence {stage['sequence']}, {_seconds(stage['lag_seconds'])}, "
            f"committed {stage['origin_time'] or 'never'}, GTID {stage['gtid'] or 'none'}"
        )
    if stream["position"]:
        yield f"    position      {stream['position']}"
    if stream["state"] not in ("stopped", "retrying") and stream["note"] != stream["state"]:
        yield f"    {stream['note']}"
    if _stands_still(stream):
        yield f"    stands still for {stream['still_seconds']:.0f} s: one long statement, or what it waits for hangs"
    error = stream["error"]
    if error is not None:
        yield f"    error: {error['what']}"
        if error["where"]:
            yield f"      at: {error['where']}, {error['time']}"
        if error["remedy"]:
            yield f"      to do: {error['remedy']}"


def _stands_still(stream: dict[str, Any]) -> bool:
    return bool(stream.get("still_seconds", 0.0) > STILL_S_MAX)


def _seconds(value: float | str) -> str:
    return "lag unknown" if isinstance(value, str) else f"{value:.1f} s"
