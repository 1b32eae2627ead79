"""The fence around a statement: who does not own the stream any more runs none."""

from __future__ import annotations

import struct
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from pymysql.err import InterfaceError, OperationalError

from replicator import meta
from replicator.apply import ddl
from replicator.apply.ddl_session import DdlSession
from replicator.errors import DatabaseError, FencedError
from replicator.stream.reader import Txn

TXN = Txn(7, "0-1-7", 1, "", (), b"", 1)
PAYLOAD = struct.pack("<IIIBHH", 0, 7, 0, 4, 0, 0) + b"shop\0" + b"TRUNCATE TABLE t"
LOCK = "replicator.x.ddl"


class Target:
    """A connection to a target whose checkpoint says that ``owner`` has the stream; what is done there, in order."""

    flavor, lower_names, connection_id = "mariadb", False, 5

    def __init__(self, owner: str, *, free: bool = True) -> None:
        self._owner, self._free = owner, free
        self.done: list[str] = []

    def alive(self) -> bool:
        return True

    def use(self, schema: str) -> bool:
        return True

    def lock(self, name: str) -> bool:
        self.done.append(f"lock {name}")
        return self._free

    def unlock(self, name: str) -> None:
        self.done.append(f"unlock {name}")

    def ask(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if meta.CHECKPOINT in query:
            self.done.append("owner?")
            return [(1,)] if values[-1] == self._owner else []
        if query.startswith("REPLACE"):
            self.done.append("intent")
        return [(12,)] if "IS_USED_LOCK" in query else []

    def execute(self, statement: Any, query: Any, **_: Any) -> None:
        self.done.append(statement.text.decode())


def run(target: Target) -> None:
    """Apply a TRUNCATE there, as the applier that calls itself `me`."""
    stream: Any = SimpleNamespace(
        id=SimpleNamespace(flow="p.east-west", stream="main"),
        ddl=SimpleNamespace(action=lambda cls: "apply"),
        mapping=SimpleNamespace(empty=True),
        origin=SimpleNamespace(name="east"),
    )
    fence: Any = SimpleNamespace(owner="me", statements=LOCK, lost=lambda: FencedError("lost", retry=True))
    plans: Any = SimpleNamespace(flavor="mariadb", target_schema=lambda name: name, forget=lambda: None)
    worker: Any = SimpleNamespace(
        stop=threading.Event(),
        pauses=SimpleNamespace(hit=lambda name: None),
        log=SimpleNamespace(info=lambda *_, **__: None),
        reporter=SimpleNamespace(count=lambda name: None, tick=lambda: None),
    )
    applier = ddl.DdlApplier(stream, fence, plans, None, worker)  # type: ignore[arg-type]
    applier._session = target  # type: ignore[assignment]
    applier.statement(TXN, 0, PAYLOAD)


def test_a_statement_runs_under_its_lock() -> None:
    """Who owns the stream is asked within."""
    target = Target("me")
    run(target)
    assert target.done == [f"lock {LOCK}", "owner?", "intent", "TRUNCATE TABLE t", f"unlock {LOCK}"]


def test_who_lost_the_stream_runs_nothing() -> None:
    """Not even its intent is written; the lock is given back."""
    target = Target("another")
    with pytest.raises(FencedError):
        run(target)
    assert target.done == [f"lock {LOCK}", "owner?", f"unlock {LOCK}"]


def test_a_statement_of_another_applier_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the applier tries again, and says whose connection holds it up."""
    monkeypatch.setattr(ddl, "_LEFTOVER_WAIT_S", -1)
    with pytest.raises(DatabaseError, match="still running") as waiting:
        run(Target("me", free=False))
    assert waiting.value.retry and "connection 12" in waiting.value.where


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OperationalError(2013, "gone"), DatabaseError),
        (InterfaceError(0, ""), DatabaseError),
        (OperationalError(1227, "no"), OperationalError),
    ],
)
def test_a_broken_connection_is_no_defect_and_no_matter_for_unlocking(error: Exception, told: type[Exception]) -> None:
    """The lock went with it: what ended the statement is told, not that it could not be given back."""

    def cursor() -> Any:
        raise error

    session: Any = DdlSession.__new__(DdlSession)
    session._connection, session._where = SimpleNamespace(cursor=cursor), "here"
    with pytest.raises(told):
        session.ask("SELECT 1", ())
    session.unlock(LOCK)
