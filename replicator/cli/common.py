"""What all commands share: options, output for people or scripts, errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import Config, StreamConfig
from ..errors import DecodeError, ReplicatorError, UsageError
from ..gtid import parse_position
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL

__all__ = [
    "GTID_FORM",
    "choose_streams",
    "config_option",
    "flow_option",
    "json_option",
    "pair_option",
    "parse_gtid",
    "print_error",
    "print_json",
    "site_option",
    "stream_option",
    "table",
    "the_only",
]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

config_option = click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), required=True, envvar="REPLICATOR_CONFIG",
    help="The configuration file.",
)  # fmt: skip
site_option = click.option("--site", help="The site, as named in the configuration.")
pair_option = click.option("--pair", required=True, help="The pair, as named in the configuration.")
flow_option = click.option("--flow", help="One direction only, as ORIGIN-TARGET or PAIR.ORIGIN-TARGET.")
stream_option = click.option("--stream", help="One stream only; default: all of them.")
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")


def print_error(error: ReplicatorError) -> None:
    """To standard error: what, where, and what to do, each on its own line."""
    lines = [f"error: {error.what}"]
    if error.where:
        lines.append(f"  at: {error.where}")
    if error.remedy:
        lines.append(f"  to do: {error.remedy}")
    click.echo("\n".join(lines), err=True)


def print_json(document: object) -> None:
    """One document to standard output."""
    click.echo(json.dumps(document, indent=2, default=str))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns for people, aligned."""
    cells = [list(heads), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def choose_streams(
    config: Config, pair: str, flow: str | None = None, stream: str | None = None
) -> list[StreamConfig]:
    """The streams that the options mean; raises UsageError where there are none."""
    streams = config.streams(pair=pair)
    flows = list(dict.fromkeys(s.id.flow for s in streams))
    if flow is not None:
        streams = [s for s in streams if flow in (s.id.flow, f"{s.id.origin}-{s.id.target}")]
        if not streams:
            raise UsageError(f"pair {pair} has no flow {flow!r}", remedy=f"use one of: {', '.join(flows)}")
    if stream is not None:
        names = list(dict.fromkeys(s.id.stream for s in streams))
        streams = [s for s in streams if s.id.stream == stream]
        if not streams:
            raise UsageError(f"pair {pair} has no stream {stream!r}", remedy=f"use one of: {', '.join(names)}")
    return streams


GTID_FORM = "write it as the origin shows it, UUID:N or D-S-N"


def parse_gtid(text: str) -> tuple[str, str]:
    """Flavor and position that ``--gtid`` means, as appliers write it (empty where nothing is given). Raises UsageError."""
    flavor = FLAVOR_MYSQL if ":" in text else FLAVOR_MARIADB
    try:
        return flavor, str(parse_position(flavor, text))
    except DecodeError as error:
        raise UsageError(error.what, where="--gtid", remedy=GTID_FORM) from error


def the_only(found: Sequence[tuple[str, T]], what: str, number: int, group: str) -> T:
    """What a number means, given by the stream; each target counts for itself, so two flows may both have one of it."""
    if not found:
        raise UsageError(f"no {what} has the number {number}", remedy=f"see `replicator {group} list`")
    if len(found) > 1:
        streams = ", ".join([stream for stream, _ in found])
        raise UsageError(f"several flows have a {what} {number}: {streams}", remedy="say which by --flow ORIGIN-TARGET")
    return found[0][1]


def is_terminal() -> bool:
    """Whether standard output is one."""
    return sys.stdout.isatty()
