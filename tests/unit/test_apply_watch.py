"""What others change of the target's tables is noticed beside the applier's work."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.apply.target import TargetWatch
from replicator.errors import DatabaseError
from tests.harness import await_


class Looker:
    """Finds what it is told to find, one answer a look."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.looks = 0
        self.looking, self.go, self.closed = threading.Event(), threading.Event(), threading.Event()

    def opened(self) -> int:
        """Another number each time."""
        self.looks += 1
        return self.looks

    def differ(self, known: Any) -> bool:
        assert known == {("d", "t"): "as it was"}
        self.looking.set()
        assert self.go.wait(10)
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed.set()


def watch(looker: Any, version: int = 3) -> tuple[TargetWatch, Any]:
    """Of targets at this version, stopped in its first look."""
    targets: Any = SimpleNamespace(version=version, known={("d", "t"): "as it was"})
    made = TargetWatch(targets, looker)
    assert looker.looking.wait(10)
    return made, targets


def test_a_change_is_told_once() -> None:
    """And the loop does not wait for the look."""
    looker = Looker(True)
    made, _ = watch(looker)
    assert not made.changed()
    looker.go.set()
    found: list[bool] = []
    await_("it is found", lambda: found.append(made.changed()) or found[-1])
    assert not made.changed()
    made.close()
    assert looker.closed.wait(10)


def test_our_own_statement_is_no_change_by_others() -> None:
    """One that ran during the look made the tables other ones than those that were compared."""
    looker = Looker(True)
    made, targets = watch(looker)
    targets.version += 1
    looker.go.set()
    await_("it is found", lambda: made._found is not None)
    assert not made.changed()
    made.close()


@pytest.mark.parametrize("error", [DatabaseError("away"), IndexError("away")])
def test_a_look_that_fails_is_told(error: Exception) -> None:
    """The target may be away; and a defect must not end all looking unseen."""
    looker = Looker(error)
    made, _ = watch(looker)
    looker.go.set()
    await_("it failed", lambda: made._error is not None)
    with pytest.raises(type(error), match="away"):
        made.changed()
    made.close()


def test_what_changes_while_a_look_begins_is_found_by_the_next() -> None:
    """The count of opened definitions is read before the tables that are compared are known."""
    order: list[str] = []

    class Targets:
        version = 1

        @property
        def known(self) -> dict[Any, Any]:
            order.append("known")
            return {("d", "t"): "as it was"}

    class First(Looker):
        def opened(self) -> int:
            order.append("opened")
            return super().opened()

    looker: Any = First()
    targets: Any = Targets()
    made = TargetWatch(targets, looker)
    assert looker.looking.wait(10)
    looker.go.set()
    made.close()
    assert order[:2] == ["opened", "known"]
