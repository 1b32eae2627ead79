"""The log's form of a row: readable, binary-safe, and of bounded size."""

from __future__ import annotations

import json
from dataclasses import dataclass

from conflict.types import Row
from replicator.apply.journal import row_json


@dataclass
class Named:
    """A table's columns; the first is its key."""

    column_names: list[str]
    name: str = "shop.t"

    def key_values(self, row: Row) -> list[object]:
        """The first column's."""
        return [row[0]]


def test_values_are_text_hex_or_size_and_hash() -> None:
    """NULL and numbers as they are."""
    row = (1, None, "ä".encode(), b"\xff", b"x" * 65_537, b"y" * 65_536)
    image = json.loads(row_json(Named(list("abcdef")), row) or "")
    assert (image["a"], image["b"], image["c"], image["d"]) == (1, None, "ä", {"hex": "ff"})
    assert (image["e"]["bytes"], len(image["e"]["sha256"]), image["f"]) == (65_537, 64, "y" * 65_536)


def test_a_wide_row_of_large_values_stays_small() -> None:
    """A thousand columns of nearly 64 KiB would be an entry that no server takes."""
    names = [f"c{i}" for i in range(1000)]
    text = row_json(Named(names), tuple([b"z" * 60_000] * 999 + [b"short"])) or ""
    assert len(text) < 1 << 20
    assert json.loads(text)["c999"] == "short"
