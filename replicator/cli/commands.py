"""All commands, in the order in which help shows them; each module is imported when its command is used."""

from __future__ import annotations

import importlib

import click

__all__ = ["Commands"]

_NAMES = (
    "run",
    "check",
    "status",
    "wait",
    "inspect",
    "config",
    "pause",
    "resume",
    "skip",
    "quarantine",
    "conflicts",
    "explain",
)
_MODULES = {"pause": "control", "resume": "control", "skip": "control"}


class Commands(click.Group):
    """A group that knows its commands by name only: the daemon need not pay for what `inspect` imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _NAMES:
            return None
        module = importlib.import_module(f".{_MODULES.get(cmd_name, cmd_name)}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command
