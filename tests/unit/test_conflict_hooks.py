"""Policies written in Python: what they are told, what they may answer, and what becomes of bad ones."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from conflict import (
    Action,
    Change,
    ColumnInfo,
    ColumnKind,
    ConflictType,
    Decision,
    HookConflict,
    LocalRow,
    Provenance,
    TableInfo,
    decide,
    parse_policies,
)
from conflict.hooks import HookError, HookRunner

TABLE = TableInfo(
    "shop",
    "item",
    (
        ColumnInfo("id", ColumnKind.INTEGER, nullable=False),
        ColumnInfo("u", ColumnKind.TEXT),
        ColumnInfo("n", ColumnKind.INTEGER, maximum=99),
    ),
    key=(0,),
    unique_keys=((1,),),
)
OLD, NEW, THERE = (1, b"a", 10), (1, b"a", 11), (1, b"a", 20)
RIVAL = (2, b"a", 5)
EAST, WEST = Provenance("east", 1_000), Provenance("west", 2_000)
UPDATE, CURRENT = Change(OLD, NEW), LocalRow(THERE, WEST)
Hooked = Callable[[Callable[[HookConflict], Any]], None]


@pytest.fixture
def hooked() -> Iterator[Hooked]:
    """Puts a function where ``python:shop_rules:settle`` finds it."""
    module = ModuleType("shop_rules")
    sys.modules["shop_rules"] = module

    def put(function: Callable[[HookConflict], Any]) -> None:
        module.settle = function  # type: ignore[attr-defined]

    yield put
    del sys.modules["shop_rules"]


def settle(
    change: Change = UPDATE,
    local: LocalRow = CURRENT,
    others: tuple[LocalRow, ...] = (),
    *,
    limit_ms: int = 5_000,
) -> Decision:
    """Decide by the hook."""
    policies = parse_policies({"default": {"policy": "python:shop_rules:settle", "limit_ms": limit_ms}})
    return decide(change, local, others, policies=policies, table=TABLE, origin=EAST, site="west")


def reason(decision: Decision) -> str:
    """Why it was decided so."""
    assert decision.record is not None
    assert decision.record.policy == "python:shop_rules:settle"
    return decision.record.reason


def test_a_hook_is_told_everything(hooked: Hooked) -> None:
    """The conflict, the change, the rows there, both writers and the site."""
    told: list[HookConflict] = []

    def keep(conflict: HookConflict) -> str:
        told.append(conflict)
        return "keep_target"

    hooked(keep)
    assert settle(others=(LocalRow(RIVAL), LocalRow(None, WEST))).action is Action.KEEP
    (seen,) = told
    assert (seen.conflict, seen.change, seen.current) == (ConflictType.MULTIPLE_UNIQUE_CONFLICTS, Change(OLD, NEW), THERE)
    assert (seen.others, seen.origin, seen.writer, seen.site) == ((RIVAL,), EAST, WEST, "west")
    assert seen.named(seen.current) == {"id": 1, "u": b"a", "n": 20}
    assert seen.named(None) == {}


@pytest.mark.parametrize(
    ("answer", "action", "row"),
    [
        ("apply_origin", Action.WRITE_UPDATE, NEW),
        ("keep_target", Action.KEEP, None),
        ("quarantine", Action.QUARANTINE, None),
        ("halt", Action.HALT, None),
        ({"n": 42}, Action.WRITE_UPDATE, (1, b"a", 42)),
        ({"N": None}, Action.WRITE_UPDATE, (1, b"a", None)),
        ({"n": 20}, Action.KEEP, None),
        ({}, Action.KEEP, None),
    ],
)
def test_answers(hooked: Hooked, answer: Any, action: Action, row: Any) -> None:
    """A word, or values for some columns of the current row."""
    hooked(lambda _: answer)
    decision = settle()
    assert (decision.action, decision.row) == (action, row)
    assert "hook" in reason(decision)


def test_values_without_a_current_row_change_the_after_image(hooked: Hooked) -> None:
    """Where the row is missing, the hook's row is inserted."""
    hooked(lambda _: {"n": 42})
    decision = settle(local=LocalRow())
    assert (decision.action, decision.row) == (Action.WRITE_INSERT, (1, b"a", 42))


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (None, "NoneType"),
        (42, "int"),
        ("merge", "a word that is no answer"),
        (["apply_origin"], "list"),
        ({"m": 1}, "a column that the table has not"),
        ({3: 1}, "a column that the table has not"),
        ({"n": "42"}, "a str for column n"),
        ({"n": True}, "a bool for column n"),
        ({"n": [1]}, "a list for column n"),
        ({"n": 1.5}, "a value that column n cannot hold"),
        ({"n": b"42"}, "a value that column n cannot hold"),
        ({"n": 100}, "a value that column n cannot hold"),
        ({"id": None}, "NULL for column id"),
        ({"id": 3}, "a new key (id)"),
        ({"u": b"z"}, "a new key (u)"),
    ],
)
def test_nonsense_goes_to_quarantine(hooked: Hooked, answer: Any, what: str) -> None:
    """Whatever is no answer: the change is kept, the reason says what was wrong, without values."""
    hooked(lambda _: answer)
    decision = settle()
    assert (decision.action, decision.row, decision.provenance) == (Action.QUARANTINE, None, None)
    assert what in reason(decision)


def test_values_for_several_rows_are_nonsense(hooked: Hooked) -> None:
    """Rows of other identities can only be settled by a word."""
    hooked(lambda _: {"n": 1})
    decision = settle(others=(LocalRow(RIVAL),))
    assert decision.action is Action.QUARANTINE
    hooked(lambda _: "apply_origin")
    assert settle(others=(LocalRow(RIVAL),)).delete_first == (RIVAL,)


def test_values_for_a_delete_without_a_row_are_nonsense(hooked: Hooked) -> None:
    """There is no row that the values could belong to."""
    hooked(lambda _: {"n": 1})
    assert settle(Change(OLD, None), LocalRow()).action is Action.QUARANTINE


@pytest.mark.parametrize("error", [ValueError("secret value"), KeyError("x"), SystemExit(1), KeyboardInterrupt()])
def test_a_hook_that_raises(hooked: Hooked, error: BaseException) -> None:
    """Quarantine; the reason names the exception's type and leaves out its text, which may hold row data."""

    def fail(_: HookConflict) -> str:
        raise error

    hooked(fail)
    decision = settle()
    assert decision.action is Action.QUARANTINE
    assert f"the hook raised {type(error).__name__}" in reason(decision)
    assert "secret" not in reason(decision)


def test_a_hook_that_spins_is_ended(hooked: Hooked) -> None:
    """After its limit the change goes to quarantine, and the spinning thread ends."""
    threads: list[threading.Thread] = []

    def spin(_: HookConflict) -> str:
        threads.append(threading.current_thread())
        while True:
            pass

    hooked(spin)
    started = time.monotonic()
    decision = settle(limit_ms=50)
    assert decision.action is Action.QUARANTINE
    assert "took longer than 50 ms" in reason(decision)
    assert time.monotonic() - started < 5
    threads[0].join(10)
    assert not threads[0].is_alive()


def test_a_hook_that_hangs_is_not_called_again(hooked: Hooked) -> None:
    """One stuck thread a hook, not one a conflict; it is called again once the stuck call has ended."""
    release = threading.Event()
    calls: list[int] = []

    def hang(_: HookConflict) -> str:
        calls.append(1)
        release.wait()
        return "keep_target"

    hooked(hang)
    runner = HookRunner()
    told = HookConflict(ConflictType.INSERT_EXISTS, TABLE, Change(None, NEW), THERE, (), EAST, None, "west")
    with pytest.raises(HookError, match="took longer"):
        runner.call("shop_rules:settle", told, 20)
    with pytest.raises(HookError, match="still hangs"):
        runner.call("shop_rules:settle", told, 20)
    assert len(calls) == 1
    release.set()
    runner._hanging["shop_rules:settle"].join(10)
    assert runner.call("shop_rules:settle", told, 5_000) == "keep_target"


def test_a_hook_whose_module_went_away(hooked: Hooked) -> None:
    """What was there when the file was read may be gone later: quarantine, and nothing lost."""
    hooked(lambda _: "keep_target")
    policies = parse_policies({"default": "python:shop_rules:gone"}, load_hooks=False)
    decision = decide(Change(OLD, NEW), LocalRow(THERE), policies=policies, table=TABLE, origin=EAST, site="west")
    assert decision.action is Action.QUARANTINE
    assert decision.record is not None and "no function 'gone'" in decision.record.reason


def test_a_hook_is_not_asked_without_a_conflict(hooked: Hooked) -> None:
    """What fits is written without asking."""

    def never(_: HookConflict) -> str:
        raise AssertionError

    hooked(never)
    assert settle(local=LocalRow(OLD)).record is None


class Odd(dict[str, object]):
    """An answer that is read by code of its own."""

    def __init__(self, reads: Callable[[], object]) -> None:
        super().__init__()
        self._reads = reads

    def keys(self) -> Any:
        return self._reads()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


def test_an_answer_is_read_where_it_may_fail_or_hang(hooked: Hooked) -> None:
    """Its code is the user's too: it must neither end the applier nor hold it."""

    def fail() -> object:
        raise ValueError("no")

    def hang() -> object:
        return time.sleep(60)

    for reads, why in ((fail, "raised ValueError"), (hang, "took longer than")):
        hooked(lambda _, reads=reads: Odd(reads))  # type: ignore[misc]
        policies = parse_policies({"default": {"update_differing": {"policy": "python:shop_rules:settle", "limit_ms": 200}}})
        decision = decide(UPDATE, CURRENT, policies=policies, table=TABLE, origin=EAST, site="west")
        assert decision.action is Action.QUARANTINE
        assert decision.record is not None and why in decision.record.reason
