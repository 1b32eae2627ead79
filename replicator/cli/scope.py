"""Which streams a command of a group is about: ``-c`` and ``--pair`` may stand before or behind the subcommand's name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..config import load_config
from ..errors import UsageError
from .common import choose_streams

__all__ = ["scope_options", "scoped"]

_OPTIONS = (
    click.option(
        "-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="REPLICATOR_CONFIG",
        help="The configuration file.",
    ),
    click.option("--pair", help="The pair, as named in the configuration."),
    click.option("--flow", help="One direction only, as ORIGIN-TARGET."),
    click.option("--stream", help="One stream only."),
)
_NAMES = ("config_path", "pair", "flow", "stream")


def scope_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a group or to one of its commands."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def scoped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hand ``streams`` to a command instead of the options."""

    @click.pass_context
    @functools.wraps(function)
    def command(context: click.Context, /, **values: Any) -> Any:
        before = context.obj or (None,) * len(_NAMES)
        path, pair, flow, stream = (values.pop(name) or given for name, given in zip(_NAMES, before, strict=True))
        if path is None or pair is None:
            raise UsageError("-c FILE and --pair PAIR are needed", remedy="name the configuration file and the pair")
        return function(streams=choose_streams(load_config(path), pair, flow, stream), **values)

    return command
