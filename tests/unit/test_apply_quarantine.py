"""Which changes wait behind a held one: of its row, however its key is spelled."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.apply.journal import sql_text
from replicator.apply.quarantine import Quarantine
from replicator.apply.session import Outcome, pack_text_row
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
