"""Values that only a lenient session may write (an ENUM's index 0): nothing else is ever written as leniently."""

from __future__ import annotations

import pytest

from tests.harness import Pair, Pairs, execute

pytestmark = pytest.mark.servers

LONG = "longer than the column of the target"


def start(pairs: Pairs, flavor: str, policy: str) -> Pair:
    """A running pair, one connection, whose target has narrower columns than the origin, and a row 1 in ``t`` of its own."""
    pair = pairs(flavor, flavor, options={"conflicts": {"default": {"insert_exists": policy}}, "apply": {"connections": 1}})
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, e ENUM('a','b'), v VARCHAR(50))")
    execute(pair.origin, f"CREATE TABLE {pair.name}.narrow (id INT PRIMARY KEY, v VARCHAR(50))")
    pair.start()
    pair.settle()
    execute(pair.target, *[f"ALTER TABLE {pair.name}.{table} MODIFY v VARCHAR(5)" for table in ("t", "narrow")])
    execute(pair.target, f"INSERT INTO {pair.name}.t VALUES (1, 'a', 'mine')")
    pair.restart("west")
    return pair


def insert_zero(pair: Pair, text: str) -> None:
    """Insert a row with the ENUM's index 0 at the origin, where the target has one of the same key."""
    execute(pair.origin, "SET sql_mode=''", f"INSERT INTO {pair.name}.t VALUES (1, 'neither', '{text}')")


@pytest.mark.parametrize("policy", ["keep_target", "apply_origin"])
def test_a_lenient_statement_that_fails_leaves_the_session_strict(pairs: Pairs, flavor: str, policy: str) -> None:
    """An ENUM's index 0 that collides is settled by policy; a text too long for the target stops the flow as it always does."""
    pair = start(pairs, flavor, policy)
    insert_zero(pair, "east")
    pair.settle()
    row = {"keep_target": (1, 1, "mine"), "apply_origin": (1, 0, "east")}[policy]
    assert execute(pair.target, f"SELECT id, e+0, v FROM {pair.name}.t") == [row]
    execute(pair.origin, f"INSERT INTO {pair.name}.narrow VALUES (1, '{LONG}')")
    error = pair.wait_stopped("west", "applier")
    assert "stores other values" in error["what"] and f"{pair.name}.narrow" in error["where"]
    assert execute(pair.target, f"SELECT * FROM {pair.name}.narrow") == []


def test_what_a_policy_has_written_leniently_is_read_back(pairs: Pairs, flavor: str) -> None:
    """The row with the index 0 has a text too long for the target: it stops the flow rather than cuts it."""
    pair = start(pairs, flavor, "apply_origin")
    insert_zero(pair, LONG)
    error = pair.wait_stopped("west", "applier")
    assert "stores other values" in error["what"] and f"{pair.name}.t" in error["where"]
    assert execute(pair.target, f"SELECT id, e+0, v FROM {pair.name}.t") == [(1, 1, "mine")]


def test_spaces_that_a_shorter_column_would_cut_stop_the_flow(pairs: Pairs, flavor: str) -> None:
    """The server cuts them without an error; a text that fits, spaces and all, arrives."""
    pair = start(pairs, flavor, "halt")
    execute(pair.origin, f"INSERT INTO {pair.name}.narrow VALUES (1, 'abc  ')")
    pair.settle()
    execute(pair.origin, f"INSERT INTO {pair.name}.narrow VALUES (2, 'abcde ')")
    error = pair.wait_stopped("west", "applier")
    assert "cut off" in error["what"] and "column v" in error["where"]
    assert execute(pair.target, f"SELECT id, LENGTH(v) FROM {pair.name}.narrow") == [(1, 5)]
