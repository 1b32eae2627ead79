"""Every type of conflict under the main policies, on real servers: what the row becomes, and what the record says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Pair, Pairs, command_here, execute, resume

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def hooks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the daemons and commands that the tests start."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


HOOKS = "python:tests.integration.live_hooks"
TABLES: dict[str, Any] = {
    "apply_origin": "apply_origin",
    "keep_target": "keep_target",
    "site_priority": "site_priority",
    "newer_here": {"default": {"policy": "latest_timestamp", "column": "n"}},
    "older_here": {"default": {"policy": "latest_timestamp", "column": "n"}},
    "quarantine": "quarantine",
    "delta": {"default": "keep_target", "update_differing": {"policy": "delta", "columns": ["n"]}},
    "greatest": {"default": "keep_target", "update_differing": {"policy": "greatest", "columns": ["n"]}},
    "merge_columns": {"default": "keep_target", "update_differing": "merge_columns"},
    "hook": {"default": "keep_target", "update_differing": f"{HOOKS}:longer"},
}
TYPES = ("insert_exists", "update_missing", "update_differing", "delete_missing", "delete_differing", "multiple_unique_conflicts")
# Rows by id: 1 is missing here, 2 differs, 3 is missing here, 4 differs, 5 holds what 6 wants, 20 is inserted at both.
ORIGIN = {2: ("east", 70), 1: ("east", 70), 5: ("a", 50), 6: ("a", 70), 20: ("east", 70)}
HERE = {2: ("w", 60), 4: ("w", 60), 5: ("a", 60), 6: ("a", 50), 20: ("w", 60)}
EXPECTED: dict[str, dict[int, tuple[str, int]]] = {
    "apply_origin": {1: ("east", 70), 2: ("east", 70), 6: ("a", 70), 20: ("east", 70)},
    "site_priority": {1: ("east", 70), 2: ("east", 70), 6: ("a", 70), 20: ("east", 70)},
    "keep_target": HERE,
    "quarantine": HERE,
    "newer_here": {1: ("east", 70), 2: ("w", 99), 4: ("w", 99), 5: ("a", 99), 20: ("w", 99)},
    "older_here": {1: ("east", 70), 2: ("east", 70), 4: ("w", 60), 6: ("a", 70), 20: ("east", 70)},
    "delta": {**HERE, 2: ("east", 80)},
    "greatest": {**HERE, 2: ("east", 70)},
    "merge_columns": {**HERE, 2: ("east", 70)},
    "hook": {**HERE, 2: ("east", 60)},
}


def start(pairs: Pairs, flavor: str, conflicts: dict[str, Any], tables: list[str], **settings: Any) -> Pair:
    """A running pair whose tables hold the same rows at both sites."""
    pair = pairs(flavor, flavor, options={"conflicts": conflicts, **settings})
    for table in tables:
        columns = "id INT PRIMARY KEY, a VARCHAR(20) NOT NULL, n INT NOT NULL, u INT NULL, UNIQUE KEY (u)"
        execute(pair.origin, f"CREATE TABLE {pair.name}.{table} ({columns})")
        execute(pair.origin, f"INSERT INTO {pair.name}.{table} VALUES " + ",".join(f"({i},'a',50,{i})" for i in range(1, 7)))
    pair.start()
    pair.settle()
    return pair


def make_conflicts(pair: Pair, table: str, here: int = 60) -> None:
    """One of each type, each in a transaction of its own at the origin."""
    name = f"{pair.name}.{table}"
    execute(
        pair.target,
        f"DELETE FROM {name} WHERE id IN (1, 3)",
        f"UPDATE {name} SET a='w', n={here} WHERE id IN (2, 4)",
        f"UPDATE {name} SET u=100, n={here} WHERE id=5",
        f"INSERT INTO {name} VALUES (20, 'w', {here}, 20)",
    )
    execute(
        pair.origin,
        "SET autocommit=1",
        f"INSERT INTO {name} VALUES (20, 'east', 70, 20)",
        f"UPDATE {name} SET a='east', n=70 WHERE id=1",
        f"UPDATE {name} SET a='east', n=70 WHERE id=2",
        f"DELETE FROM {name} WHERE id=3",
        f"DELETE FROM {name} WHERE id=4",
        f"UPDATE {name} SET u=100, n=70 WHERE id=6",
    )


def recorded(pair: Pair, table: str) -> list[dict[str, Any]]:
    """The conflict log of a table, oldest first, as the command tells it."""
    done = pair.command("conflicts", "list", "--pair", pair.name, "--table", f"{pair.name}.{table}", "--json")
    assert done.returncode == 0, done.stderr
    return list(reversed(json.loads(done.stdout)))


def test_every_type_under_every_policy(pairs: Pairs, flavor: str) -> None:
    """The rows are as the policy says, and each conflict is recorded once with its type, policy and images."""
    conflicts = {"tables": {f"*.{name}": policy for name, policy in TABLES.items()}}
    pair = start(pairs, flavor, conflicts, list(TABLES), detect="full")
    for table in TABLES:
        make_conflicts(pair, table, here={"newer_here": 99, "older_here": 60}.get(table, 60))
    pair.settle()
    for table in TABLES:
        rows = {i: (a, n) for i, a, n in execute(pair.target, f"SELECT id, a, n FROM {pair.name}.{table} WHERE id<>1000")}
        assert rows == EXPECTED[table], table
        log = recorded(pair, table)
        assert sorted(entry["conflict"] for entry in log) == sorted(TYPES), table
        by_type = {entry["conflict"]: entry for entry in log}
        assert json.loads(by_type["update_differing"]["before_image"])["a"] == "a"
        assert json.loads(by_type["update_differing"]["after_image"])["a"] == "east"
        assert json.loads(by_type["update_differing"]["current_row"])["a"] == "w"
        assert all(entry["gtid"] and entry["site"] == "east" for entry in log)
    shown = pair.command("explain", "--pair", pair.name, "--table", f"{pair.name}.delta", "--key", "2", "--json")
    events = json.loads(shown.stdout)
    assert any("update_differing" in event["what"] for event in events), shown.stdout
    code, metrics = pair.get("west", "/metrics")
    assert code == 200
    assert 'type="update_differing"' in metrics


def test_an_unconfigured_conflict_halts_with_everything_in_place(pairs: Pairs, flavor: str) -> None:
    """Nothing is overwritten, the conflict is recorded once however often it is tried, and a mended row goes on."""
    pair = start(pairs, flavor, {}, ["t"], detect="full")
    execute(pair.target, f"UPDATE {pair.name}.t SET a='w' WHERE id=2")
    execute(pair.origin, f"UPDATE {pair.name}.t SET a='east' WHERE id=2")
    error = pair.wait_stopped("west", "applier")
    assert "update_differing" in error["what"]
    assert "resume" in error["remedy"]
    counted = rf'replicator_conflicts_total{{.*pair="{pair.name}",policy="halt",.*type="update_differing"}} 1.0'
    assert re.search(counted, pair.get("west", "/metrics")[1])
    resume(pair)
    pair.restart("west", ready=False)
    pair.wait_stopped("west", "applier")
    assert execute(pair.target, f"SELECT a FROM {pair.name}.t WHERE id=2") == [("w",)]
    assert [entry["decision"] for entry in recorded(pair, "t")] == ["halt"]
    execute(pair.target, f"UPDATE {pair.name}.t SET a='a' WHERE id=2")
    resume(pair)
    pair.settle()
    assert pair.differences() == []


def test_observe_records_and_writes_nothing(pairs: Pairs, flavor: str) -> None:
    """Also where the decision would be to halt."""
    pair = start(pairs, flavor, {"mode": "observe", "default": {"update_differing": "apply_origin"}}, ["t"], detect="full")
    make_conflicts(pair, "t")
    pair.settle()
    rows = {i: (a, n) for i, a, n in execute(pair.target, f"SELECT id, a, n FROM {pair.name}.t")}
    assert rows == HERE
    decisions = {entry["conflict"]: entry["decision"] for entry in recorded(pair, "t")}
    assert decisions["update_differing"] == "would be update"
    assert decisions["delete_missing"] == "would be halt"


def test_observe_goes_on_where_what_it_left_out_is_in_the_way(pairs: Pairs, flavor: str) -> None:
    """A parent whose child stayed, and a unique key that cannot be looked up: each is recorded, once, and the flow goes on."""
    pair = start(pairs, flavor, {"mode": "observe"}, ["t"], detect="full")
    name = pair.name
    execute(
        pair.origin,
        f"CREATE TABLE {name}.p (id INT PRIMARY KEY)",
        f"CREATE TABLE {name}.c (id INT PRIMARY KEY, p INT NOT NULL, v INT, FOREIGN KEY (p) REFERENCES {name}.p (id))",
        f"CREATE TABLE {name}.o (id INT PRIMARY KEY, a VARCHAR(20), UNIQUE KEY (a(3)))",
        f"INSERT INTO {name}.p VALUES (1), (2)",
        f"INSERT INTO {name}.c VALUES (1, 1, 0), (2, 2, 0)",
        f"INSERT INTO {name}.o VALUES (1, 'abc'), (2, 'xyz')",
    )
    pair.settle()
    execute(pair.target, f"UPDATE {name}.c SET v=9 WHERE id=1", f"UPDATE {name}.o SET a='def' WHERE id=1")
    execute(pair.origin, f"DELETE FROM {name}.c WHERE id=1", f"DELETE FROM {name}.p WHERE id=1")
    execute(pair.origin, f"UPDATE {name}.o SET a='defg' WHERE id=2", f"UPDATE {name}.t SET a='on' WHERE id=1")
    pair.settle()
    assert execute(pair.target, f"SELECT a FROM {name}.t WHERE id=1") == [("on",)]
    assert execute(pair.target, f"SELECT id FROM {name}.p ORDER BY id") == [(1,), (2,)]
    assert execute(pair.target, f"SELECT a FROM {name}.o ORDER BY id") == [("def",), ("xyz",)]
    found = [(e["conflict"], e["decision"]) for table in ("c", "p", "o") for e in recorded(pair, table)]
    assert found == [
        ("delete_differing", "would be halt"),
        ("foreign_key_missing", "would be halt"),
        ("multiple_unique_conflicts", "would be halt"),
    ]


def test_observe_leaves_out_what_has_no_place(pairs: Pairs, flavor: str) -> None:
    """A table or column that the target lacks: each change is recorded, none is written, not even in part; others go on."""
    pair = start(pairs, flavor, {"mode": "observe"}, ["t"], detect="full")
    name = pair.name
    execute(pair.origin, f"CREATE TABLE {name}.less (id INT PRIMARY KEY, x INT)")
    execute(pair.origin, f"CREATE TABLE {name}.gone (id INT PRIMARY KEY)")
    pair.settle()
    execute(pair.target, f"ALTER TABLE {name}.less DROP COLUMN x", f"DROP TABLE {name}.gone")
    execute(
        pair.origin,
        f"INSERT INTO {name}.less VALUES (1, 1)",
        f"INSERT INTO {name}.gone VALUES (1)",
        f"UPDATE {name}.t SET a='on' WHERE id=1",
    )
    pair.settle()
    assert execute(pair.target, f"SELECT a FROM {name}.t WHERE id=1") == [("on",)]
    assert execute(pair.target, f"SELECT * FROM {name}.less") == []
    found = [(e["conflict"], e["decision"]) for table in ("less", "gone") for e in recorded(pair, table)]
    assert found == [("target_column_missing", "would be halt"), ("target_table_missing", "would be halt")]


def test_a_parent_whose_children_stay_is_a_conflict_of_its_own(pairs: Pairs, flavor: str) -> None:
    """One site deletes it, the other gives it a child: the delete waits in quarantine, others go on, a retry finds it free."""
    pair = start(pairs, flavor, {"default": {"foreign_key_missing": "quarantine"}}, ["t"], detect="full")
    name = pair.name
    execute(
        pair.origin,
        f"CREATE TABLE {name}.p (id INT PRIMARY KEY, v INT)",
        f"CREATE TABLE {name}.c (id INT PRIMARY KEY, p INT NOT NULL, FOREIGN KEY (p) REFERENCES {name}.p (id))",
        f"INSERT INTO {name}.p VALUES (1, 0), (2, 0)",
    )
    pair.settle()
    execute(pair.target, f"INSERT INTO {name}.c VALUES (7, 1)")
    execute(pair.origin, f"DELETE FROM {name}.p WHERE id=1", f"UPDATE {name}.p SET v=1 WHERE id=2")
    pair.settle()
    assert execute(pair.target, f"SELECT id, v FROM {name}.p ORDER BY id") == [(1, 0), (2, 1)]
    (entry,) = recorded(pair, "p")
    assert (entry["conflict"], entry["decision"]) == ("foreign_key_missing", "quarantine")
    ((current,),) = execute(pair.target, f"SELECT current_row FROM replicator.quarantine WHERE flow='{pair.flow}'")
    assert json.loads(current) == json.loads(entry["current_row"]) == {"id": 1, "v": 0}
    execute(pair.target, f"DELETE FROM {name}.c")
    ((number,),) = execute(pair.target, f"SELECT id FROM replicator.quarantine WHERE flow='{pair.flow}'")
    done = command_here(pair, "quarantine", "retry", "--pair", pair.name, str(number))
    assert done.returncode == 0, done.stderr
    pair.until(lambda: execute(pair.target, f"SELECT id FROM {name}.p") == [(2,)], 30, "the delete to be written")
    assert pair.differences() == []


def test_a_hook_that_fails_puts_the_change_aside(pairs: Pairs, flavor: str) -> None:
    """One that raises, hangs, or answers what nobody can write: quarantine with the reason, no values in it; the flow goes on."""
    tables = {
        "raise_error": "RuntimeError",
        "hang": "ms",
        "nonsense": "column",
        "misfit": "column n cannot hold",
        "too_long": "cannot be written: the target takes a row only without strict mode",
    }
    policies = {f"*.{name}": {"update_differing": {"policy": f"{HOOKS}:{name}", "limit_ms": 300}} for name in tables}
    pair = start(pairs, flavor, {"tables": policies}, list(tables), detect="full")
    for table in tables:
        execute(pair.target, f"UPDATE {pair.name}.{table} SET a='w' WHERE id=2")
        execute(pair.origin, f"UPDATE {pair.name}.{table} SET a='east' WHERE id=2")
    pair.settle()
    listed = pair.command("quarantine", "list", "--pair", pair.name, "--json")
    held = {entry["table"].split(".")[1]: entry["reason"] for entry in json.loads(listed.stdout)}
    assert held.keys() == tables.keys()
    for table, words in tables.items():
        assert words in held[table]
        assert "secret" not in held[table]
        assert execute(pair.target, f"SELECT a FROM {pair.name}.{table} WHERE id=2") == [("w",)]


def test_what_is_no_conflict_takes_no_closer_look(pairs: Pairs, flavor: str) -> None:
    """Swapped unique values, a rotation of 1,000 primary keys, parents and children in one batch: all on the fast path."""
    pair = start(pairs, flavor, {}, ["t"], detect="full")
    name = pair.name
    execute(pair.origin, f"CREATE TABLE {name}.r (id INT PRIMARY KEY, v INT)")
    execute(
        pair.origin,
        f"INSERT INTO {name}.r SELECT a.id*216+b.id*36+c.id*6+d.id, 0 FROM {name}.t a, {name}.t b, {name}.t c, {name}.t d",
    )
    execute(pair.origin, f"CREATE TABLE {name}.p (id INT PRIMARY KEY)")
    execute(pair.origin, f"CREATE TABLE {name}.c (id INT PRIMARY KEY, p INT NOT NULL, FOREIGN KEY (p) REFERENCES {name}.p (id))")
    pair.settle()
    count = execute(pair.origin, f"SELECT COUNT(*) FROM {name}.r")[0][0]
    assert count > 1000
    execute(
        pair.origin,
        f"UPDATE {name}.t SET u=NULL WHERE id=1",
        f"UPDATE {name}.t SET u=1 WHERE id=2",
        f"UPDATE {name}.t SET u=2 WHERE id=1",
    )
    execute(
        pair.origin,  # the last becomes the first, each other one the next
        f"UPDATE {name}.r SET id=0 ORDER BY id DESC LIMIT 1",
        f"UPDATE {name}.r SET id=id+1 ORDER BY id DESC",
    )
    execute(
        pair.origin,
        *[f"INSERT INTO {name}.p VALUES ({i})" for i in range(20)],
        f"INSERT INTO {name}.c SELECT id, id FROM {name}.p",
    )
    execute(pair.origin, f"DELETE FROM {name}.c WHERE id<10", f"DELETE FROM {name}.p WHERE id<10")
    pair.settle()
    assert pair.differences() == []
    (applier,) = [w for w in pair.workers("west") if w["role"] == "applier"]
    assert applier["counters"].get("fallbacks", 0) == 0
    assert applier["counters"]["statement_rows"] > 20 * applier["counters"]["statements"], "row by row from the beginning"
    assert execute(pair.target, f"SELECT COUNT(*) FROM replicator.conflict_log WHERE flow='{pair.flow}'") == [(0,)]


@pytest.mark.parametrize("detect", ["full", "key"])
def test_what_only_comes_and_goes_meets_its_conflict(pairs: Pairs, flavor: str, detect: str) -> None:
    """Merging hides nothing: a row or unique value that is gone again in the end needs room at the target all the same."""
    pair = start(pairs, flavor, {"default": "apply_origin"}, ["t"], detect=detect)
    name = f"{pair.name}.t"
    passing = (
        f"INSERT INTO {name} VALUES (7, 'new', 0, 70), (8, 'new', 0, NULL)",
        f"UPDATE {name} SET u=71 WHERE id=7",
        f"DELETE FROM {name} WHERE id IN (7, 8)",
        f"UPDATE {name} SET u=72 WHERE id=1",
        f"UPDATE {name} SET u=1 WHERE id=1",
        f"UPDATE {name} SET u=NULL WHERE id=2",
        f"UPDATE {name} SET u=2 WHERE id=3",
        f"UPDATE {name} SET u=3 WHERE id=3",
        f"UPDATE {name} SET u=2 WHERE id=2",
    )
    execute(pair.origin, *passing)
    pair.settle()
    (applier,) = [w for w in pair.workers("west") if w["role"] == "applier"]
    assert applier["counters"].get("fallbacks", 0) == 0
    execute(pair.target, f"INSERT INTO {name} VALUES (8, 'w', 60, 80), (20, 'w', 60, 70), (21, 'w', 60, 71), (22, 'w', 60, 72)")
    execute(pair.origin, *passing)
    pair.settle()
    assert pair.differences() == []
    found = [(entry["conflict"], json.loads(entry["row_key"])) for entry in recorded(pair, "t")]
    assert sorted(found) == [
        ("insert_exists", [8]),
        *[("multiple_unique_conflicts", [key]) for key in (1, 7, 7)],
    ]


def test_many_conflicts_are_settled_at_once(pairs: Pairs, flavor: str) -> None:
    """A backlog in which every other change conflicts needs no look at single rows, also where changes follow one another."""
    conflicts = {"default": {"default": "apply_origin", "update_differing": {"policy": "delta", "columns": ["n"]}}}
    pair = start(pairs, flavor, conflicts, ["t"], detect="full")
    name = f"{pair.name}.t"
    execute(pair.origin, f"INSERT INTO {name} SELECT a.id*100+b.id*10+c.id, 'x', 0, NULL FROM {name} a, {name} b, {name} c")
    pair.settle()
    (ids,) = zip(*execute(pair.origin, f"SELECT id FROM {name} WHERE id>100"), strict=True)
    assert pair.command("pause", "--pair", pair.name).returncode == 0
    pair.until(lambda: all(w["state"] == "paused" for w in pair.workers("west")), 20, "the pause")
    execute(pair.target, f"UPDATE {name} SET n=1000, a='w' WHERE id>100 AND id%2", f"DELETE FROM {name} WHERE id IN (1, 2)")
    execute(pair.target, f"UPDATE {name} SET u=70 WHERE id=3")
    updates = [f"UPDATE {name} SET n=n+{by}, u={i} WHERE id={i}" for i in ids for by in (1, 5)]
    others = "INSERT INTO {} VALUES (7, 'new', 0, 70)", "UPDATE {} SET u=71, a='z' WHERE id=7", "DELETE FROM {} WHERE id=2"
    more = [statement.format(name) for statement in (*others, "UPDATE {} SET a='back' WHERE id=1")]
    execute(pair.origin, "SET autocommit=1", *updates, *more)
    before = execute(pair.target, "SELECT COUNT(*) FROM replicator.conflict_log")[0][0]
    resume(pair)
    pair.settle()
    assert dict(execute(pair.target, f"SELECT id, n FROM {name} WHERE id>100")) == {i: 6 + 1000 * (i % 2) for i in ids}
    assert execute(pair.target, f"SELECT id, a, u FROM {name} WHERE id<8 ORDER BY id") == (
        execute(pair.origin, f"SELECT id, a, u FROM {name} WHERE id IN (1,4,5,6,7) ORDER BY id")
    )
    after = execute(pair.target, "SELECT COUNT(*) FROM replicator.conflict_log")[0][0]
    assert after - before == 2 * sum(i % 2 for i in ids) + 3
    (applier,) = [w for w in pair.workers("west") if w["role"] == "applier"]
    assert applier["counters"].get("fallbacks", 0) > 0
    assert applier["counters"].get("fallbacks_by_row", 0) == 0


def test_a_halt_before_what_is_missing_is_recorded(pairs: Pairs, flavor: str) -> None:
    """Once, however often it is met; with the first change that has no place."""
    pair = start(pairs, flavor, {"default": {"default": "halt"}}, ["gone", "narrow"])
    name = pair.name
    execute(pair.target, f"RENAME TABLE {name}.gone TO {name}.kept")
    execute(pair.origin, f"UPDATE {name}.gone SET a='x' WHERE id=2")
    for restarted in (False, True):
        if restarted:
            pair.restart("west", ready=False)
        error = pair.wait_stopped("west", "applier")
        assert "target_table_missing" in error["what"]
        (entry,) = recorded(pair, "gone")
        assert (entry["conflict"], entry["decision"], entry["row_key"]) == ("target_table_missing", "halt", "[2]")
        assert json.loads(entry["after_image"])["a"] == "x"
    execute(pair.target, f"RENAME TABLE {name}.kept TO {name}.gone", f"ALTER TABLE {name}.narrow DROP COLUMN n")
    resume(pair)
    pair.settle()
    execute(pair.origin, f"UPDATE {name}.narrow SET n=7 WHERE id=3")
    error = pair.wait_stopped("west", "applier")
    assert "target_column_missing" in error["what"]
    (entry,) = recorded(pair, "narrow")
    assert (entry["conflict"], entry["decision"], entry["row_key"]) == ("target_column_missing", "halt", "[3]")
    assert 'type="target_column_missing"' in pair.get("west", "/metrics")[1]
    assert execute(pair.target, f"SELECT a FROM {name}.gone WHERE id=2") == [("x",)]


def test_a_dry_run_sees_differing_rows(pairs: Pairs, flavor: str) -> None:
    """Though nothing is said of them: it is to show what there is, and to write nothing over it. So is a policy for the type."""
    for conflicts in ({"mode": "observe"}, {"default": {"update_differing": "apply_origin", "default": "halt"}}):
        pair = start(pairs, flavor, conflicts, ["t"])
        execute(pair.target, f"UPDATE {pair.name}.t SET a='here' WHERE id=1")
        execute(pair.origin, f"UPDATE {pair.name}.t SET a='there' WHERE id=1")
        pair.settle()
        (entry,) = recorded(pair, "t")
        dry = "mode" in conflicts
        assert (entry["conflict"], entry["decision"]) == ("update_differing", "would be halt" if dry else "update")
        assert execute(pair.target, f"SELECT a FROM {pair.name}.t WHERE id=1") == [("here" if dry else "there",)]
        pair.stop()


def test_what_has_no_place_is_left_out_and_recorded_whole(pairs: Pairs, flavor: str) -> None:
    """A missing table, a missing column: each change is recorded with all of its values, until the target has them."""
    lenient = {"target_table_missing": "skip_if_missing", "target_column_missing": "skip_if_missing"}
    pair = start(pairs, flavor, {"default": lenient}, ["gone", "narrow", "t"])
    name = pair.name
    execute(pair.target, f"DROP TABLE {name}.gone", f"ALTER TABLE {name}.narrow DROP COLUMN n")
    pair.restart("west")
    execute(
        pair.origin,
        f"UPDATE {name}.gone SET a='x' WHERE id=1",
        f"DELETE FROM {name}.gone WHERE id=2",
        f"UPDATE {name}.narrow SET a='x', n=7 WHERE id=1",
        f"UPDATE {name}.t SET a='x' WHERE id=1",
    )
    pair.settle()
    assert execute(pair.target, f"SELECT a FROM {name}.narrow WHERE id=1") == [("x",)]
    assert execute(pair.target, f"SELECT a FROM {name}.t WHERE id=1") == [("x",)]
    first, second = recorded(pair, "gone")
    assert [(e["conflict"], e["decision"], e["row_key"]) for e in (first, second)] == [
        ("target_table_missing", "skip", "[1]"),
        ("target_table_missing", "skip", "[2]"),
    ]
    assert json.loads(first["after_image"]) == {"id": 1, "a": "x", "n": 50, "u": 1}
    (narrow,) = recorded(pair, "narrow")
    assert (narrow["conflict"], json.loads(narrow["after_image"])["n"]) == ("target_column_missing", 7)
    assert 'type="target_table_missing"' in pair.get("west", "/metrics")[1]
    # A conflict beside it in the same batch leaves neither out twice nor unrecorded.
    execute(pair.target, f"UPDATE {name}.t SET u=3 WHERE id=3", f"DELETE FROM {name}.t WHERE id=4")
    execute(pair.origin, f"UPDATE {name}.gone SET a='y' WHERE id=1", f"DELETE FROM {name}.t WHERE id=4")
    error = pair.wait_stopped("west", "applier")
    assert "delete_missing" in error["what"]
    assert len(recorded(pair, "gone")) == 2, "what was rolled back is not recorded"
    execute(pair.target, f"INSERT INTO {name}.t SELECT 4, 'a', 50, 4")
    resume(pair)
    pair.settle()
    assert len(recorded(pair, "gone")) == 3
    # The table comes back: within seconds its changes are written again, without a restart.
    columns = "id INT PRIMARY KEY, a VARCHAR(20) NOT NULL, n INT NOT NULL, u INT NULL, UNIQUE KEY (u)"
    execute(pair.target, f"CREATE TABLE {name}.gone ({columns})")
    for number in range(100, 200):
        execute(pair.origin, f"INSERT INTO {name}.gone VALUES ({number}, 'z', 0, NULL)")
        pair.settle()
        if execute(pair.target, f"SELECT COUNT(*) FROM {name}.gone")[0][0]:
            break
    written = execute(pair.target, f"SELECT COUNT(*) FROM {name}.gone")[0][0]
    assert written == 1
    assert len(recorded(pair, "gone")) + written == 3 + number - 99


def test_rows_too_large_for_the_log(pairs: Pairs, flavor: str) -> None:
    """Their size and hash are recorded, and the decision is carried out whole."""
    pair = pairs(flavor, flavor, options={"conflicts": {"default": {"default": "apply_origin"}}, "detect": "full"})
    execute(pair.origin, f"CREATE TABLE {pair.name}.big (id INT PRIMARY KEY, b LONGBLOB)")
    execute(pair.origin, f"INSERT INTO {pair.name}.big VALUES (1, 'x')")
    pair.start()
    pair.settle()
    execute(pair.target, f"UPDATE {pair.name}.big SET b=REPEAT('w', 3000000)")
    execute(pair.origin, f"UPDATE {pair.name}.big SET b=REPEAT('e', 3000000)")
    pair.settle()
    assert pair.differences() == []
    (entry,) = recorded(pair, "big")
    assert json.loads(entry["after_image"])["b"]["bytes"] == 3_000_000
    assert len(json.loads(entry["current_row"])["b"]["sha256"]) == 64


MERGES: dict[str, Any] = {
    "merge_columns": "merge_columns",
    "delta": {"policy": "delta", "columns": ["n"]},
    "greatest": {"policy": "greatest", "columns": ["n"]},
    "hook": f"{HOOKS}:longer",
}
TYPED = "JSON_OBJECT('amount', CAST({} AS DECIMAL(5,2)), 'day', CAST('2024-01-02' AS DATE))"


def test_a_merge_leaves_what_it_did_not_touch(pairs: Pairs, flavor: str) -> None:
    """A document's numbers and dates stay what they are, of both sides, and no column is set anew by the server."""
    policies = {f"*.{name}": {"default": "keep_target", "update_differing": policy} for name, policy in MERGES.items()}
    pair = pairs(flavor, flavor, options={"conflicts": {"tables": policies}, "detect": "full"})
    columns = "id INT PRIMARY KEY, a VARCHAR(20), n INT, doc JSON, stamp TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP"
    for table in MERGES:
        rows = ",".join([f"({i}, 'a', 50, {TYPED.format('1.10')}, '2001-01-01 00:00:00')" for i in (1, 2)])
        execute(
            pair.origin, f"CREATE TABLE {pair.name}.{table} ({columns})", f"INSERT INTO {pair.name}.{table} VALUES {rows}"
        )
    pair.start()
    pair.settle()
    for table in MERGES:
        name = f"{pair.name}.{table}"
        execute(pair.target, f"UPDATE {name} SET a='longer', stamp=stamp")
        execute(
            pair.origin,
            f"UPDATE {name} SET n=60, stamp=stamp WHERE id=1",
            f"UPDATE {name} SET n=60, doc={TYPED.format('2.50')}, stamp=stamp WHERE id=2",
        )
    pair.settle()
    for table in MERGES:
        name = f"{pair.name}.{table}"
        documents = "SELECT id, n, CAST(doc AS CHAR), YEAR(stamp), JSON_TYPE(JSON_EXTRACT(doc, '$.amount')),"
        documents += f" JSON_TYPE(JSON_EXTRACT(doc, '$.day')) FROM {name} ORDER BY id"
        at_origin, at_target = execute(pair.origin, documents), execute(pair.target, documents)
        assert len(recorded(pair, table)) == 2
        if table == "hook":  # which leaves all but one column as the target has it
            at_origin, at_target = ([row[3:] for row in rows] for rows in (at_origin, at_target))
        assert at_target == at_origin, table
        assert {a for (a,) in execute(pair.target, f"SELECT a FROM {name}")} == {"longer"}, table
