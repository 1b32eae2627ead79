"""All commands, in the order in which help shows them."""

from __future__ import annotations

import click

from .config import config
from .run import run

__all__ = ["COMMANDS"]

COMMANDS: tuple[click.Command, ...] = (run, config)
