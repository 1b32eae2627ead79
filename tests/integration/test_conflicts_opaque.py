"""Rows in the way by a unique key whose rows values do not find: over a prefix, an expression, a hash, a generated column."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.harness import Pair, Pairs, execute, until_next_second
from tests.integration.test_both_ways import settle
from tests.integration.test_conflict_commands import answer

pytestmark = pytest.mark.servers

FOLDS, EXACT = [f"CHARACTER SET utf8mb4 COLLATE utf8mb4_{name}" for name in ("general_ci", "bin")]
TABLES: dict[str, tuple[str, str, str]] = {
    "prefix": (f"a VARCHAR(40) {FOLDS}, b INT, UNIQUE (a(3))", "{}New-x", "{}nEW-y"),
    "bytes": ("a BLOB, b INT, UNIQUE (a(3), b)", "{}new-x", "{}new-y"),
    "virtual": (f"a VARCHAR(40) {EXACT}, b INT, g VARCHAR(40) {EXACT} AS (LOWER(a)) VIRTUAL, UNIQUE (g)", "{}New", "{}nEW"),
    "stored": (f"a VARCHAR(40) {EXACT}, b INT, g VARCHAR(40) {EXACT} AS (LOWER(a)) STORED, UNIQUE (b, g)", "{}New", "{}nEW"),
    "here": (f"a VARCHAR(40) {EXACT}, b INT", "{}New", "{}nEW"),
    "mysql": (f"a VARCHAR(40) {EXACT}, b INT, UNIQUE ((CONCAT(LOWER(a), '\\'x\\\\')), b)", "{}New", "{}nEW"),
    "mariadb": (f"a TEXT {FOLDS}, b INT, UNIQUE (a)", "{}New", "{}nEW"),
}
"""Columns and keys, and two values that are one to the key. The key of ``here`` only the target has."""
ONLY_HERE = f"ADD COLUMN g VARCHAR(40) {EXACT} AS (LOWER(a)) VIRTUAL, ADD UNIQUE (g)"
POLICIES = ("apply_origin", "keep_target", "quarantine")


def start(pairs: Pairs, flavor: str, tables: dict[str, str], conflicts: dict[str, Any]) -> Pair:
    """A running pair with these tables, by name their columns and keys, of two rows."""
    pair = pairs(flavor, flavor, options={"conflicts": conflicts, "detect": "full"})
    for name, columns in tables.items():
        execute(
            pair.origin,
            f"CREATE TABLE {pair.name}.{name} ({columns})",
            f"INSERT INTO {pair.name}.{name} (id, a, b) VALUES (1, 'first', 1), (2, 'second', 2)",
        )
    pair.start()
    pair.settle()
    return pair


def rows(pair: Pair, name: str) -> dict[int, str]:
    """The target's table."""
    return dict(execute(pair.target, f"SELECT id, CAST(a AS CHAR) FROM {pair.name}.{name}"))


def test_policies_settle_what_no_value_finds(pairs: Pairs, flavor: str) -> None:
    """An insert and an update meet rows of another identity; children of rows that stay do too; what is held can be released."""
    kinds = {kind: spec for kind, spec in TABLES.items() if kind not in ("mysql", "mariadb") or kind == flavor}
    made = {f"{kind}_{policy}": (kind, policy) for kind, policy in itertools.product(kinds, POLICIES)}
    conflicts = {"tables": {f"*.*_{policy}": {"multiple_unique_conflicts": policy} for policy in POLICIES}}
    pair = start(pairs, flavor, {name: f"id INT PRIMARY KEY, {kinds[kind][0]}" for name, (kind, _) in made.items()}, conflicts)
    for name, (kind, _) in made.items():
        parent = f"{pair.name}.{name}"
        if kind == "here":  # known once the statements below have run
            execute(pair.target, f"ALTER TABLE {parent} {ONLY_HERE}")
        columns = f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {parent} (id) ON DELETE CASCADE"
        execute(pair.origin, f"CREATE TABLE {parent}_child ({columns})")
    pair.settle()
    for name, (kind, _) in made.items():
        table, (_, here, there) = f"{pair.name}.{name}", kinds[kind]
        two = f"(50, '{here.format(8)}', 8), (51, '{here.format(9)}', 9)"
        execute(pair.target, f"INSERT INTO {table} (id, a, b) VALUES {two}", f"INSERT INTO {table}_child VALUES (1, 50)")
        execute(
            pair.origin,
            "SET autocommit=1",
            f"INSERT INTO {table} (id, a, b) VALUES (60, '{there.format(8)}', 8)",
            f"UPDATE {table} SET a='{there.format(9)}', b=9 WHERE id=2",
        )
    pair.settle()
    held = {change["id"]: change["table"].partition(".")[2] for change in answer(pair, "quarantine", "list")}
    for name, (kind, policy) in made.items():
        _, here, there = kinds[kind]
        written = {1: "first", 2: there.format(9), 60: there.format(8)}
        kept = {1: "first", 2: "second", 50: here.format(8), 51: here.format(9)}
        assert rows(pair, name) == (written if policy == "apply_origin" else kept), name
        assert len(execute(pair.target, f"SELECT 1 FROM {pair.name}.{name}_child")) == (policy != "apply_origin"), name
        log = answer(pair, "conflicts", "list", "--table", f"{pair.name}.{name}")
        assert [(one["conflict"], one["policy"]) for one in log] == [("multiple_unique_conflicts", policy)] * 2, name
        if policy != "quarantine":
            continue
        first, second = [number for number, table in held.items() if table == name]
        assert answer(pair, "quarantine", "retry", str(first)) == {"decided_again": 1, "held_again": 1}, name
        execute(pair.target, f"DELETE FROM {pair.name}.{name} WHERE id IN (50, 51)")
        again = [one["id"] for one in answer(pair, "quarantine", "list") if one["table"] == f"{pair.name}.{name}"]
        assert len(again) == 2 and second in again
        for number in again:
            assert answer(pair, "quarantine", "retry", str(number)) == {"decided_again": 1, "held_again": 0}, name
        assert rows(pair, name) == written, name


@pytest.mark.parametrize("flavor", ["mysql", "mariadb", "mysql97"])
def test_all_rows_in_the_way_go(pairs: Pairs, flavor: str) -> None:
    """One by each key, one by two of them, and none that is only nearly alike; the key may be text, of several columns, moved."""
    columns = (
        "id VARCHAR(9), d DECIMAL(5,2), n BIGINT UNSIGNED, a VARCHAR(40), b INT UNIQUE, c VARBINARY(40), PRIMARY KEY (id, d, n), "
        "UNIQUE (a(3)), UNIQUE (c(2))"
    )
    pair = start(pairs, flavor, {}, {"default": {"multiple_unique_conflicts": "apply_origin"}})
    name = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE {name} ({columns})", f"INSERT INTO {name} VALUES ('k', 1.5, 1, 'aaa', 1, 'cc')")
    pair.settle()
    most = 2**64 - 1
    execute(
        pair.target,
        f"INSERT INTO {name} VALUES ('p', 1.25, {most}, 'new-p', 2, 'p1'), ('q', -0.5, 7, 'q', 9, 'q1'),"
        " ('Q', 0, 7, 'Q2', 3, 'n\\n'), ('r', 1, 1, 'nex', 4, 'N1')",
    )
    execute(pair.origin, f"UPDATE {name} SET id='m', a='new', b=9, c='n\\n\\0' WHERE id='k'")
    pair.settle()
    assert sorted(execute(pair.target, f"SELECT id, a FROM {name}")) == [("m", "new"), ("r", "nex")]
    assert len(answer(pair, "conflicts", "list")) == 1
    execute(pair.target, f"INSERT INTO {name} VALUES ('s', 1, 1, 's', 5, 'xx')")
    execute(pair.origin, f"UPDATE {name} SET c='xxx'")
    pair.settle()
    assert sorted(execute(pair.target, f"SELECT id, a FROM {name}")) == [("m", "new"), ("r", "nex")]


def test_it_halts_as_a_conflict(pairs: Pairs, flavor: str) -> None:
    """Where nothing is configured; and where the table's rows have no key, the flow stops at what stands in the way."""
    pair = start(pairs, flavor, {"t": "id INT PRIMARY KEY, a VARCHAR(40), b INT, UNIQUE (a(3))"}, {})
    execute(pair.target, f"INSERT INTO {pair.name}.t VALUES (50, 'new-x', 5)")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (60, 'new-y', 6)")
    error = pair.wait_stopped("west", "applier")
    assert error["what"].startswith("multiple_unique_conflicts: stopped: no policy is configured"), error
    assert [one["decision"] for one in answer(pair, "conflicts", "list")] == ["halt"]
    assert rows(pair, "t") == {1: "first", 2: "second", 50: "new-x"}
    bare = start(pairs, flavor, {"t": "id INT, a VARCHAR(40), b INT, UNIQUE (a(3))"}, {"default": "apply_origin"})
    execute(bare.target, f"INSERT INTO {bare.name}.t VALUES (50, 'new-x', 5)")
    execute(bare.origin, f"INSERT INTO {bare.name}.t VALUES (60, 'new-y', 6)")
    assert "another row of the target holds a unique key of the change" in bare.wait_stopped("west", "applier")["what"]


def test_the_later_of_two_rows_stays_at_both_sites(pairs: Pairs, flavor: str) -> None:
    """By commit time: who wrote the row in the way is known, though nobody remembers who had its prefix."""
    conflicts = {"clock_offset_ms_max": 60_000, "default": "latest_timestamp"}
    pair = pairs(flavor, flavor, mode="bidirectional", options={"conflicts": conflicts})
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, a VARCHAR(40), UNIQUE (a(3)))")
    pair.start()
    settle(pair)
    pair.stop()
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1, 'xxx-east'), (2, 'yyy-east')")
    until_next_second(pair.origin)
    execute(pair.target, f"INSERT INTO {pair.name}.t VALUES (50, 'xxx-west'), (51, 'yyy-west')")
    pair.start()
    settle(pair)
    assert pair.differences() == []
    assert execute(pair.target, f"SELECT id FROM {pair.name}.t ORDER BY id") == [(50,), (51,)]
