"""`replicator quarantine`: the changes that wait for somebody's decision."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ..apply.release import Held, QuarantineDesk
from ..config import StreamConfig
from ..errors import UsageError
from ..observe.lag import utc
from .common import json_option, print_json, table, the_only
from .scope import scope_options, scoped

__all__ = ["quarantine"]

T = TypeVar("T")


@click.group()
@scope_options
@click.pass_context
def quarantine(
    context: click.Context, config_path: Path | None, pair: str | None, flow: str | None, stream: str | None
) -> None:
    """Look at held changes and decide about them."""
    context.obj = (config_path, pair, flow, stream)


@quarantine.command(name="list")
@scope_options
@click.option("--state", type=click.Choice(["held", "retried", "discarded"]), default="held", show_default=True)
@json_option
@scoped
def list_held(streams: list[StreamConfig], state: str, as_json: bool) -> None:
    """List changes, oldest first."""
    found = [(stream, held) for stream in streams for held in _ask(stream, lambda desk: desk.changes(state=state))]
    if as_json:
        print_json([{"flow": s.id.flow, "stream": s.id.stream, **_document(held)} for s, held in found])
        return
    rows = [
        (h.id, s.id, utc(h.time_us), h.table, h.key, h.operation, h.conflict or "-", h.sequence, h.reason) for s, h in found
    ]
    heads = ("ID", "STREAM", "SINCE", "TABLE", "KEY", "CHANGE", "CONFLICT", "SEQUENCE", "REASON")
    click.echo(table(heads, rows) if rows else f"no change is {state}")


@quarantine.command()
@scope_options
@click.argument("number", type=int)
@json_option
@scoped
def show(streams: list[StreamConfig], number: int, as_json: bool) -> None:
    """Show one change with its row images. They may be confidential."""
    _, held = _find(streams, number)
    document = _document(held)
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        click.echo(f"{name:<12} {'-' if value is None else value}")


@quarantine.command()
@scope_options
@click.argument("number", type=int)
@json_option
@scoped
def retry(streams: list[StreamConfig], number: int, as_json: bool) -> None:
    """Decide a change again, and those queued behind it for the same row."""
    stream, _ = _find(streams, number, waiting=True)
    count, again = _ask(stream, lambda desk: desk.retry(number, getpass.getuser()))
    if as_json:
        print_json({"decided_again": count, "held_again": again})
    else:
        click.echo(f"decided again: {count}" + (f", of which {again} are held again" if again else ""))


@quarantine.command()
@scope_options
@click.argument("number", type=int)
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@scoped
def discard(streams: list[StreamConfig], number: int, yes: bool, as_json: bool) -> None:
    """Drop a change, and those queued behind it for the same row."""
    stream, held = _find(streams, number, waiting=True)
    if not yes:
        click.confirm(f"Drop change {number} of {held.table} and all behind it", abort=True, err=True)
    count = _ask(stream, lambda desk: desk.discard(number, getpass.getuser()))
    if as_json:
        print_json({"dropped": count})
    else:
        click.echo(f"dropped: {count}")


def _find(streams: list[StreamConfig], number: int, *, waiting: bool = False) -> tuple[StreamConfig, Held]:
    """The change of that number: each target counts for itself, so two flows may have one of it. ``waiting``: one still held."""
    found = []
    for stream in streams:
        with contextlib.suppress(UsageError):
            found.append((stream, _ask(stream, lambda desk: desk.show(number))))
    if waiting and any(held.state == "held" for _, held in found):
        found = [(stream, held) for stream, held in found if held.state == "held"]
    return the_only([(str(stream.id), (stream, held)) for stream, held in found], "change", number, "quarantine")


def _ask(stream: StreamConfig, question: Callable[[QuarantineDesk], T]) -> T:
    desk = QuarantineDesk(stream)
    try:
        return question(desk)
    finally:
        desk.close()


def _document(held: Held) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(held)
    return {**document, "since": utc(held.time_us), "committed": utc(held.commit_time_us)}
