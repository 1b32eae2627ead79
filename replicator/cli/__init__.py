"""The command `replicator`: what an operator types, with the exit codes that scripts depend on."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
