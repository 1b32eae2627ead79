"""What is said of collations by their names holds on servers, for all that they have."""

from __future__ import annotations

import itertools

import pytest

from dev import DatabaseServer
from replicator.apply.collate import folds_plainly
from tests.harness import execute

pytestmark = pytest.mark.servers

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PRINTABLE = [chr(code) for code in range(32, 127)]
_WIDE = ("ucs2", "utf16", "utf16le", "utf32")


def test_equal_ascii_texts_are_equal_in_upper_case(server: DatabaseServer) -> None:
    """Of every collation that is said to fold plainly: no two texts of one or two characters are equal that we tell apart."""
    texts = [*_PRINTABLE, *map("".join, itertools.product(_LETTERS, _LETTERS)), "cscs", "ccs", "dzdz", "ddz", "nyny", "nny"]
    name = "collated.texts"
    rows = ",".join([f"(x'{text.encode().hex()}', x'{text.rstrip(' ').upper().encode().hex()}')" for text in texts])
    execute(
        server,
        "DROP DATABASE IF EXISTS collated",
        "CREATE DATABASE collated",
        f"CREATE TABLE {name} (s VARBINARY(9), f VARBINARY(9))",
        f"INSERT INTO {name} VALUES {rows}",
    )
    collations = execute(server, "SELECT collation_name, character_set_name FROM information_schema.collations")
    wrong = []
    for collation, charset in collations:
        if charset is None or charset in (*_WIDE, "binary", "filename") or not folds_plainly(collation):
            continue
        same = f"SELECT CONVERT(s USING {charset}) COLLATE {collation} AS c, s, f FROM {name}"
        told = "GROUP BY c HAVING COUNT(DISTINCT f) > 1"
        equal = execute(server, f"SELECT GROUP_CONCAT(s SEPARATOR ' = ') FROM ({same}) AS t {told}")
        wrong += [(collation, texts) for (texts,) in equal]
    execute(server, "DROP DATABASE collated")
    assert not wrong, "\n".join(map(str, wrong))
