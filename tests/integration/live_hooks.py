"""Policies that misbehave, for a test."""

from __future__ import annotations

import time

from conflict import Answer, HookConflict

__all__ = ["hang", "longer", "misfit", "nonsense", "raise_error", "too_long"]


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


def misfit(conflict: HookConflict) -> Answer:
    """A value of another type than the column's."""
    return {"n": 1.5}


def too_long(conflict: HookConflict) -> Answer:
    """A value that only the server knows not to fit."""
    return {"a": b"secret value" * 10}
