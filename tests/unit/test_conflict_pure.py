"""`conflict/` does no I/O and knows nothing of `replicator/`: others can import it for itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import conflict

ALLOWED = {
    *("__future__", "collections", "dataclasses", "datetime", "decimal", "difflib", "enum", "fnmatch", "functools"),
    *("itertools", "math", "re", "struct", "typing", "conflict"),
}
FOR_HOOKS = {"importlib", "inspect", "threading", "ctypes", "time", "queue", "sys", "traceback"}
"""They call what a user wrote, in a thread with a time limit."""


@pytest.mark.parametrize("path", sorted(Path(conflict.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_only_what_computes_is_imported(path: Path) -> None:
    """No files, sockets, processes or databases, and no other package."""
    found: set[str] = set()
    calls: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.add(node.func.id)
    assert found <= ALLOWED | (FOR_HOOKS if path.name == "hooks.py" else set())
    assert not calls & {"open", "print", "input", "exec", "eval"}
