"""The commands about conflicts with names and keys that are hard to write: all of their JSON can be read, all rows are found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness import Pair, Pairs, command_here, execute
from tests.integration.test_quarantine import HOLD

pytestmark = pytest.mark.servers

LONG = "t" + "é" * 63
# Columns, rows, a change at the target, how it is taken back, a change at the origin, a key and how `explain` is asked for it.
TABLES: dict[str, tuple[str, str, str, str, str, str]] = {
    "größe ✓": (
        "id VARBINARY(9) PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8mb4",
        "(0xFF00C3, 'a'), ('', '😀')",
        "v='w' WHERE v='a'",
        "v='a' WHERE v='w'",
        "UPDATE {} SET v='e😀' WHERE v='a'",
        '[{"hex": "ff00c3"}]',
    ),
    LONG: (
        "a INT, b BINARY(3), v TEXT, PRIMARY KEY (a, b)",
        "(1, 0x00FF00, 'a'), (2, 0x610000, NULL)",
        "v='w' WHERE a=1",
        "v='a' WHERE a=1",
        "UPDATE {} SET v=NULL WHERE a=1",
        '[1, {"hex": "00ff00"}]',
    ),
    "we`ird \"q'.x": (
        "k CHAR(9) CHARACTER SET utf8mb4 PRIMARY KEY, d DECIMAL(30,10)",
        "('😀\\\\n', -12345678901234567890.0000000001), ('  x', 0)",
        "d=7 WHERE d=0",
        "d=0 WHERE d=7",
        "DELETE FROM {} WHERE d=0",
        '["  x"]',
    ),
    "nokey": (
        "a INT NULL, c VARBINARY(9) NULL",
        "(NULL, 0xFE), (1, NULL)",
        "a=5 WHERE a IS NULL",
        "a=NULL WHERE a=5",
        "UPDATE {} SET a=6 WHERE c=0xFE",
        '[null, {"hex": "fe"}]',
    ),
}


def answer(pair: Pair, *arguments: str) -> Any:
    """What a command says as JSON."""
    done = command_here(pair, *arguments, "--pair", pair.name, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_names_and_keys_of_any_kind(pairs: Pairs, flavor: str) -> None:
    """Listed, shown, explained and released: binary keys, NULLs, rows without a key, long and foreign names."""
    pair = pairs(flavor, flavor, options={"conflicts": HOLD, "detect": "full"})
    names = {table: f"`{pair.name}`.`{table.replace('`', '``')}`" for table in TABLES}
    for table, (columns, rows, *_) in TABLES.items():
        execute(pair.origin, f"CREATE TABLE {names[table]} ({columns})", f"INSERT INTO {names[table]} VALUES {rows}")
    pair.start()
    pair.settle()
    for table, (_, _, here, _, there, _) in TABLES.items():
        execute(pair.target, f"UPDATE {names[table]} SET {here}")
        execute(pair.origin, there.format(names[table]))
    pair.settle()
    for command, images in (("quarantine", ("before", "after", "current")), ("conflicts", ("before_image", "after_image"))):
        listed = answer(pair, command, "list")
        assert len(listed) == len(TABLES), command
        for one in listed:
            shown = answer(pair, command, "show", str(one["id"]))
            assert all(isinstance(json.loads(shown[image]), dict) for image in images if shown[image])
    for table, (*_, key) in TABLES.items():
        (one,) = answer(pair, "conflicts", "list", "--table", f"{pair.name}.{table}")
        assert one["row_key"] == key, table
        events = [event["what"] for event in answer(pair, "explain", "--table", f"{pair.name}.{table}", "--key", key)]
        words = ("insert made at east", "made at east", "conflict ", "put into quarantine (change ")
        assert len(events) == 4 and all(word in event for word, event in zip(words, events, strict=True)), (table, events)
    for table, (*_, back, _, _) in TABLES.items():
        execute(pair.target, f"UPDATE {names[table]} SET {back}")
    for one in answer(pair, "quarantine", "list"):
        assert answer(pair, "quarantine", "retry", str(one["id"])) == {"decided_again": 1, "held_again": 0}
    assert pair.differences() == []
    events = answer(pair, "explain", "--table", f"{pair.name}.nokey", "--key", TABLES["nokey"][-1])
    assert any("retried by" in event["what"] for event in events)


def test_wrong_questions_are_answered_as_such(pairs: Pairs) -> None:
    """A type that there is none of, a table that no stream carries: not "nothing found"."""
    pair = pairs("mysql", "mysql")
    done = pair.command("conflicts", "list", "--pair", pair.name, "--type", "nonsense")
    assert done.returncode == 2 and "update_differing" in done.stderr
    done = pair.command("explain", "--pair", pair.name, "--table", "elsewhere.t", "--key", "1")
    assert done.returncode == 2 and "carries the table elsewhere.t" in done.stderr


def test_an_old_conflict_is_found_behind_very_many(pairs: Pairs, flavor: str) -> None:
    """More entries of the table than anybody would read, newer than the row's own, of a key that is spelt nearly alike."""
    pair = pairs(flavor, flavor, options={"conflicts": HOLD, "detect": "full"})
    table, ten = f"{pair.name}.t", "(SELECT 1 UNION ALL " + " UNION ALL ".join(["SELECT 1"] * 10) + ")"
    collation = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    execute(
        pair.origin,
        f"CREATE TABLE {table} (n INT, k VARCHAR(20) {collation}, v INT, PRIMARY KEY (n, k))",
        f"INSERT INTO {table} VALUES (5, 'a', 1)",
    )
    pair.start()
    pair.settle()
    execute(pair.target, f"UPDATE {table} SET v=2")
    execute(pair.origin, f"UPDATE {table} SET v=3")
    pair.settle()
    for log in ("conflict_log", "quarantine"):
        names = f"SELECT column_name FROM information_schema.columns WHERE table_schema='replicator' AND table_name='{log}'"
        columns = [name for (name,) in execute(pair.target, names) if name != "id"]
        others = {"row_key": "'[5, \"A\"]'", "state": "'retried'"}
        execute(
            pair.target,
            f"INSERT INTO replicator.{log} ({','.join(columns)}) SELECT {','.join([others.get(c, c) for c in columns])}"
            f" FROM replicator.{log} JOIN {ten} b JOIN {ten} c JOIN {ten} d JOIN {ten} e WHERE flow='{pair.flow}'",
        )
    for key in ('[5, "a"]', '["5", "a"]'):
        events = [event["what"] for event in answer(pair, "explain", "--table", table, "--key", key, "--limit", "2")]
        assert [event.split()[0] for event in events] == ["insert", "update", "conflict", "update"], events
        assert "put into quarantine" in events[-1] and events[-1].endswith("held")
    done = command_here(pair, "explain", "--pair", pair.name, "--table", table, "--key", '[5, "A"]', "--json")
    assert [event["what"].split()[0] for event in json.loads(done.stdout)] == ["conflict"] * 10 + ["update"] * 10


def test_what_gave_a_row_its_value_at_each_site(pairs: Pairs, flavor: str) -> None:
    """The last writer at either site, and the decision behind it; a change that has not arrived; one in quarantine; a delete."""
    pair = pairs(flavor, flavor, mode="bidirectional", options={"conflicts": {"default": "site_priority"}})
    table = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE {table} (id INT PRIMARY KEY, v INT)", f"INSERT INTO {table} VALUES (1, 1), (2, 1)")
    pair.start()

    def settle() -> None:
        for back in (False, True, False):
            pair.settle(back=back)

    def told(key: int) -> list[tuple[str, list[str]]]:
        events = answer(pair, "explain", "--table", table, "--key", str(key))
        return [(" ".join(event["what"].split()[:4]), sorted(event["present_at"])) for event in events]

    settle()
    assert told(1) == [("insert made at east", ["east", "west"])]
    pair.stop("west")  # with the applier there, and the source of what is written there
    execute(pair.origin, f"UPDATE {table} SET v=2 WHERE id=1", f"DELETE FROM {table} WHERE id=2")
    pair.until(lambda: len(told(1)) == 2, 30, "the update in the topic")
    assert told(1) == [("insert made at east", ["west"]), ("update made at east,", ["east"])]
    execute(pair.target, f"UPDATE {table} SET v=3 WHERE id=1")
    pair.start("west")
    settle()
    first, of_east, *rest = told(1)
    assert first == ("insert made at east", []) and of_east == ("update made at east", ["east", "west"])
    assert sorted(rest) == sorted(
        [
            ("update made at west", []),
            ("conflict update_differing by update:", ["west"]),  # east's was written over west's
            ("conflict update_differing by update:", []),  # and west's was not at east
        ]
    )
    assert told(2) == [("insert made at east", []), ("delete made at east", ["east", "west"])]
    execute(pair.target, f"UPDATE {table} SET v=4 WHERE id=1")
    settle()
    assert told(1)[-1] == ("update made at west", ["east", "west"])
    assert pair.differences() == []
