"""Policies written in Python: ``python:module:function``.

A hook is a function of this signature::

    from conflict import Answer, HookConflict

    def settle(conflict: HookConflict) -> Answer: ...

It returns one of the words ``apply_origin``, ``keep_target``, ``quarantine``, ``halt``, or a mapping from column names to
values: those columns of the current row (of the after image, where there is no row) are then written so. Values have the
types of ``types.Row``. A hook must be a function of its argument alone, so that both sites come to the same answer.

A hook that raises, takes longer than its limit or returns anything else puts the change into quarantine. It runs in a thread
of its own; one that hangs is asked to end by an exception raised inside it, and is not called again while it still runs.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .table import TableInfo
from .types import Change, ConflictType, Provenance, Row

__all__ = ["ANSWER_WORDS", "Answer", "Hook", "HookConflict", "HookError", "HookRunner", "load_hook"]

Answer = str | Mapping[str, object]
"""What a hook returns."""

ANSWER_WORDS = ("apply_origin", "keep_target", "quarantine", "halt")


class HookError(Exception):
    """A hook could not be loaded, or gave no usable answer. The text holds no row data."""


@dataclass(frozen=True, slots=True)
class HookConflict:
    """What a hook is told: the conflict, the change, what the target holds, and who wrote both."""

    conflict: ConflictType
    table: TableInfo
    change: Change
    current: Row | None
    others: tuple[Row, ...]
    """Rows of another identity that hold a unique key which the change wants."""
    origin: Provenance
    writer: Provenance | None
    """Who wrote the current row, or deleted it; None if that is not known."""
    site: str
    """The site where this is decided."""

    def named(self, row: Row | None) -> dict[str, object]:
        """A row's values by column name; nothing for no row."""
        return {} if row is None else {c.name: v for c, v in zip(self.table.columns, row, strict=True)}


Hook = Callable[[HookConflict], Answer]


def load_hook(name: str) -> Hook:
    """The function that ``module:function`` names; raises HookError."""
    module_name, _, function = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as e:
        raise HookError(f"module {module_name!r} cannot be imported: {type(e).__name__}: {e}") from e
    hook = getattr(module, function, None)
    if not callable(hook):
        raise HookError(f"module {module_name!r} has no function {function!r}")
    return hook  # type: ignore[no-any-return]


class HookRunner:
    """Calls hooks with a time limit; remembers those that still hang. Can be pickled: a copy starts afresh."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}
        self._hanging: dict[str, threading.Thread] = {}

    def __reduce__(self) -> tuple[type[HookRunner], tuple[()]]:
        return (HookRunner, ())

    def call(self, name: str, conflict: HookConflict, limit_ms: int) -> object:
        """Whatever the hook returns; raises HookError if it raises, hangs or cannot be loaded."""
        hanging = self._hanging.get(name)
        if hanging is not None and hanging.is_alive():
            raise HookError("the hook still hangs in an earlier call")
        hook = self._hooks.get(name)
        if hook is None:
            hook = self._hooks[name] = load_hook(name)
        result: list[Any] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                answer = hook(conflict)
                result.append(dict(answer) if isinstance(answer, Mapping) else answer)  # read here, where it may fail or hang
            except BaseException as e:  # noqa: BLE001 - whatever a user's code raises must not end the applier
                failure.append(e)

        thread = threading.Thread(target=run, name=f"hook {name}", daemon=True)
        thread.start()
        thread.join(limit_ms / 1000)
        if thread.is_alive():
            self._hanging[name] = thread
            _raise_in(thread, HookError("time limit"))
            raise HookError(f"the hook took longer than {limit_ms} ms")
        if failure:
            raise HookError(f"the hook raised {type(failure[0]).__name__}") from failure[0]
        return result[0]


def _raise_in(thread: threading.Thread, error: HookError) -> None:
    """Ask a thread to end: the exception rises in it as soon as it runs Python code again."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(type(error)))
