"""`replicator pause`, `resume` and `skip`: an operator's wishes, written where the workers look for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from ..config import StreamConfig, load_config
from ..control import Control
from ..errors import UsageError
from ..model import Role
from .common import GTID_FORM, choose_streams, config_option, flow_option, pair_option, parse_gtid, stream_option

__all__ = ["pause", "resume", "skip"]

_role_option = click.option(
    "--role",
    type=click.Choice([*(role.value for role in Role), "both"]),
    default="applier",
    show_default=True,
    help="Whose work to pause. A paused source lets the origin's binlogs grow old.",
)


def _roles(role: str) -> Sequence[Role]:
    return list(Role) if role == "both" else [Role(role)]


def _where(stream: StreamConfig, role: Role) -> str:
    return f"{role.value} of {stream.id} at {stream.site(role).name}"


@click.command()
@config_option
@pair_option
@flow_option
@stream_option
@_role_option
@click.option("--reason", default="", help="Shown by `status`.")
def pause(config_path: Path, pair: str, flow: str | None, stream: str | None, role: str, reason: str) -> None:
    """Hold a flow between two transactions, until `resume`."""
    for found in choose_streams(load_config(config_path), pair, flow, stream):
        for each in _roles(role):
            control = Control(found, each)
            control.pause(reason)
            control.close()
            click.echo(f"asked to pause: {_where(found, each)}")


@click.command()
@config_option
@pair_option
@flow_option
@stream_option
@click.option("--role", type=click.Choice([*(role.value for role in Role), "both"]), default="both", show_default=True)
def resume(config_path: Path, pair: str, flow: str | None, stream: str | None, role: str) -> None:
    """Let a flow go on after `pause`, or try again after it stopped for an error."""
    for found in choose_streams(load_config(config_path), pair, flow, stream):
        for each in _roles(role):
            control = Control(found, each)
            control.resume()
            control.close()
            click.echo(f"asked to go on: {_where(found, each)}")


def _one_transaction(text: str) -> str:
    """The GTID as the applier writes it."""
    _, gtid = parse_gtid(text)
    if not re.fullmatch(r"[0-9a-f-]{36}:([a-z_]\w*:)?\d+|\d+-\d+-\d+", gtid):
        raise UsageError(f"{text!r} is not the GTID of one transaction", where="--gtid", remedy=f"name one; {GTID_FORM}")
    return gtid


@click.command()
@config_option
@pair_option
@flow_option
@stream_option
@click.option("--gtid", required=True, help="The transaction to leave out, as `status` names it.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def skip(config_path: Path, pair: str, flow: str | None, stream: str | None, gtid: str, yes: bool) -> None:
    """Leave out one transaction at the target, for good, and go on."""
    streams = choose_streams(load_config(config_path), pair, flow, stream)
    if len(streams) > 1:
        names = ", ".join(str(s.id) for s in streams)
        raise UsageError(f"several streams are meant: {names}", remedy="choose one by --flow and --stream")
    (found,) = streams
    gtid = _one_transaction(gtid)
    if not yes:
        click.confirm(f"Leave out {gtid} at {found.target.name}? The target will differ from the origin", abort=True, err=True)
    control = Control(found, Role.APPLIER)
    control.skip(gtid)
    control.close()
    click.echo(f"asked to leave out {gtid}: {_where(found, Role.APPLIER)}")
