"""Which changes wait behind a held one: of its row, however its key is spelled, whichever connection holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from replicator.apply.journal import sql_text
from replicator.apply.quarantine import Quarantine
from replicator.apply.session import Outcome, pack_text_row
from replicator.stream.reader import Txn
from tests.property.streams import streams_of
from tests.unit.plan_samples import change, plan


class Held:
    """A target where one change is held: answers what is asked of it by the very bytes of its key."""

    def __init__(self, key: str) -> None:
        self.key: str | None = key

    def run(self, sql: bytes) -> list[Outcome]:
        """The rows that a question finds."""
        if self.key is None:
            return [Outcome(0, [])]
        if sql.startswith(b"SELECT table_name"):
            return [Outcome(1, [pack_text_row([b"d.t", self.key.encode(), b""])])]
        found = f"(table_name={sql_text('d.t')} AND {sql_text(self.key)} IN (row_key, new_key))".encode() in sql
        return [Outcome(int(found), [pack_text_row([b"1"])] if found else [])]


@pytest.mark.parametrize(
    ("held", "other"),
    [
        ("Ann", "ann"),
        ("Ann", "Ann"),
        ("Straße", "STRASSE"),
        ("e\u0301", "\u00e9"),
        ("\u00c5ngstro\u0308m", "angstrom "),
        ("ﬃ", "FFI"),
    ],
)
def test_a_row_waits_behind_any_spelling_of_its_key(held: str, other: str) -> None:
    """What memory takes for held the target must confirm, or a change would pass the one that it follows."""
    quarantine = Quarantine(streams_of({"default": "quarantine"}, ("east", "west"), "one_way")["east", "west"])
    target: Any = Held(f'["{held}"]')
    quarantine.refresh(target)
    follows = change(plan(text_key=True), (other.encode(), b"1", b"1"), None)
    assert quarantine.holds(follows) and quarantine.confirms(target, follows)
    target.key = None  # released in the meantime
    assert not quarantine.confirms(target, follows)
    quarantine.refresh(target)
    assert not quarantine.holds(follows)


class Table:
    """The quarantine's table, of which a reader sees what is committed, with a connection of each writer."""

    def __init__(self) -> None:
        self.committed: list[bytes] = []
        self.while_reading: Callable[[], None] = lambda: None

    def session(self) -> Any:
        """A connection."""
        return Connection(self)


class Connection:
    """Holds rows of the one table ``d.t``; the key is known by the statement."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._written: list[bytes] = []

    def run(self, sql: bytes) -> list[Outcome]:
        """Read or hold."""
        if sql.startswith(b"INSERT"):
            self._written += [key for key in (b"[7]", b"[8]") if key.hex().encode() in sql]
            return [Outcome(1)]
        rows = [pack_text_row([b"d.t", key, b""]) for key in self._table.committed]
        self._table.while_reading()
        return [Outcome(len(rows), rows)]

    def commit(self) -> None:
        """What it holds is seen by all."""
        self._table.committed += self._written


SEVEN = change(plan(), (b"7", b"1", b"1"), (b"7", b"1", b"2"))
TXN = Txn(1, "g:1", 1000, "", (), b"", 1)


@pytest.fixture
def quarantine() -> Quarantine:
    """Of one stream; nothing is held."""
    return Quarantine(streams_of({"default": "quarantine"}, ("east", "west"), "one_way")["east", "west"])


def test_what_another_connection_holds_meanwhile_is_not_lost(quarantine: Quarantine) -> None:
    """One reads what is held while another holds and commits: what was read is older than that."""
    table = Table()
    holding, reading = table.session(), table.session()

    def hold() -> None:
        quarantine.hold(holding, TXN, SEVEN, "why", None, None)
        holding.commit()
        quarantine.committed(holding)

    other = threading.Thread(target=hold)

    def meanwhile() -> None:
        other.start()
        other.join(0.2)

    table.while_reading = meanwhile
    quarantine.refresh(reading)
    other.join()
    assert quarantine.holds(SEVEN)
    assert quarantine.count == 1


def test_what_is_held_and_not_committed_stays_known(quarantine: Quarantine) -> None:
    """Another connection's rollback has the table read anew, where it is not to be seen yet."""
    table = Table()
    holding, other = table.session(), table.session()
    quarantine.refresh(holding)
    quarantine.hold(holding, TXN, SEVEN, "why", None, None)
    quarantine.hold(other, TXN, change(plan(), (b"8", b"1", b"1"), None), "why", None, None)
    quarantine.rolled_back(other)
    quarantine.refresh(other)
    assert quarantine.holds(SEVEN)
    assert quarantine.count == 1
    holding.commit()
    quarantine.committed(holding)
    quarantine.rolled_back(holding)
    quarantine.refresh(other)
    assert quarantine.holds(SEVEN)


def test_what_was_rolled_back_is_not_held(quarantine: Quarantine) -> None:
    """Nor counted; a rollback of one that holds nothing changes nothing."""
    table = Table()
    holding, other = table.session(), table.session()
    quarantine.refresh(holding)
    quarantine.hold(holding, TXN, SEVEN, "why", None, None)
    quarantine.rolled_back(other)
    quarantine.refresh(other)
    assert quarantine.holds(SEVEN)
    quarantine.rolled_back(holding)
    quarantine.refresh(other)
    assert not quarantine.holds(SEVEN)
    assert quarantine.count == 0
