"""Policies that misbehave, for a test."""

from __future__ import annotations

import time

from conflict import Answer, HookConflict

__all__ = ["hang", "longer", "nonsense", "raise_error"]


def longer(conflict: HookConflict) -> Answer:
    """The longer name, from whichever side."""
    mine, theirs = conflict.named(conflict.change.after), conflict.named(conflict.current)
    if not mine or not theirs:
        return "quarantine"
    return {"a": max(mine["a"], theirs["a"], key=len)}


def raise_error(conflict: HookConflict) -> Answer:
    """No answer at all."""
    raise RuntimeError("secret value")


def hang(conflict: HookConflict) -> Answer:
    """None in time."""
    time.sleep(30)
    return "apply_origin"


def nonsense(conflict: HookConflict) -> Answer:
    """A column that is not there."""
    return {"no such column": 1}
