"""Changes that are held: whole, in order, without stopping the rest; released once, without echo."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.hot_rows import shipped
from tests.harness import Pair, Pairs, command_here, execute, resume

pytestmark = pytest.mark.servers

HOLD = {"default": {"default": "quarantine"}}


def start(
    pairs: Pairs, flavor: str, conflicts: dict[str, Any], *, options: dict[str, Any] | None = None, **settings: Any
) -> Pair:
    """A running pair with a table of three rows at both sites."""
    pair = pairs(flavor, flavor, options={"conflicts": conflicts, **(options or {})}, **settings)
    execute(pair.origin, f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, v VARCHAR(20))")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1,'a'),(2,'b'),(3,'c')")
    pair.start()
    pair.settle()
    return pair


def rows(pair: Pair) -> dict[int, str]:
    """The target's table."""
    return dict(execute(pair.target, f"SELECT id, v FROM {pair.name}.t"))


def held(pair: Pair) -> list[dict[str, Any]]:
    """What is held, oldest first."""
    done = command_here(pair, "quarantine", "list", "--pair", pair.name, "--json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def decide(pair: Pair, verb: str, number: int) -> Any:
    """Retry or discard."""
    more = ["--yes"] if verb == "discard" else []
    return command_here(pair, "quarantine", verb, str(number), "--pair", pair.name, *more)


def at_once(pair: Pair, *statements: str) -> None:
    """Commit each at the origin while the applier is paused, so that all of them come in one batch."""
    assert command_here(pair, "pause", "--pair", pair.name).returncode == 0
    pair.until(lambda: all(w["state"] == "paused" for w in pair.workers("west")), 20, "the pause")
    execute(pair.origin, "SET autocommit=1", *statements)
    resume(pair)
    pair.settle()


def waiting(pair: Pair) -> list[tuple[str, str]]:
    """What is held, oldest first, as operation and key."""
    return [(one["operation"], one["key"]) for one in held(pair)]


def test_a_held_row_waits_in_order_and_others_go_on(pairs: Pairs, flavor: str) -> None:
    """Later changes of the row, also under a new key and after a restart, stay behind it; one retry brings all of them."""
    pair = start(pairs, flavor, HOLD)
    execute(pair.target, f"UPDATE {pair.name}.t SET v='mine' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='first' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET id=10, v='second' WHERE id=1", f"UPDATE {pair.name}.t SET v='z' WHERE id=3")
    pair.settle()
    assert rows(pair) == {1: "mine", 2: "b", 3: "z"}
    pair.restart("west")
    gauges = {key: value for worker in pair.workers("west") for key, value in worker["gauges"].items()}
    assert (gauges["quarantine_held"], gauges["quarantine_limit"]) == (len(held(pair)), 10_000) and held(pair)
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='third' WHERE id=10", f"DELETE FROM {pair.name}.t WHERE id=2")
    pair.settle()
    assert rows(pair) == {1: "mine", 3: "z"}
    waiting = held(pair)
    assert [(h["conflict"], h["operation"], h["key"]) for h in waiting] == [
        ("update_differing", "update", "[1]"),
        ("", "update", "[1]"),
        ("", "update", "[10]"),
    ]
    assert json.loads(waiting[0]["before"]) == {"id": 1, "v": "a"}
    assert json.loads(waiting[0]["current"]) == {"id": 1, "v": "mine"}
    assert decide(pair, "retry", waiting[1]["id"]).returncode != 0, "the first one comes first"
    again = pair.command("quarantine", "retry", str(waiting[0]["id"]), "--pair", pair.name, "--json")
    assert json.loads(again.stdout) == {"decided_again": 3, "held_again": 3}, again.stderr
    assert rows(pair)[1] == "mine", "it still differs"
    first = held(pair)[0]["id"]
    execute(pair.target, f"UPDATE {pair.name}.t SET v='a' WHERE id=1")
    done = decide(pair, "retry", first)
    assert (done.returncode, done.stdout) == (0, "decided again: 3\n"), done.stderr
    assert rows(pair) == {3: "z", 10: "third"}
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='after' WHERE id=10")
    pair.settle()
    assert held(pair) == []
    assert pair.differences() == []
    audit = execute(pair.target, f"SELECT state, audit FROM replicator.quarantine WHERE flow='{pair.flow}'")
    assert {state for state, _ in audit} == {"retried"}
    assert all("by" in text for _, text in audit)


def test_discarding_drops_the_change_and_what_is_behind_it(pairs: Pairs, flavor: str) -> None:
    """The target's row stays, and the row's next change is decided anew."""
    pair = start(pairs, flavor, HOLD)
    execute(pair.target, f"UPDATE {pair.name}.t SET v='mine' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='x' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='y' WHERE id=1")
    pair.settle()
    first, second = held(pair)
    done = decide(pair, "discard", first["id"])
    assert (done.returncode, done.stdout) == (0, "dropped: 2\n"), done.stderr
    execute(pair.target, f"UPDATE {pair.name}.t SET v='y' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='w' WHERE id=1")
    pair.settle()
    assert rows(pair)[1] == "w"
    assert decide(pair, "retry", second["id"]).returncode == 2, "it is decided already"


def test_a_retry_does_not_echo(pairs: Pairs, flavor: str) -> None:
    """What is released at the target came from the origin, and does not go back."""
    pair = start(pairs, flavor, HOLD, mode="bidirectional")
    pair.settle(back=True)
    execute(pair.target, "SET sql_log_bin=0", f"UPDATE {pair.name}.t SET v='lost' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='x' WHERE id=1")
    pair.settle()
    (one,) = held(pair)
    execute(pair.target, "SET sql_log_bin=0", f"UPDATE {pair.name}.t SET v='a' WHERE id=1")
    assert decide(pair, "retry", one["id"]).returncode == 0
    pair.settle(back=True)
    pair.settle()
    assert shipped(pair, back=True)["t"] == 0
    assert pair.differences() == []


def test_a_full_quarantine_stops_the_flow_and_loses_nothing(pairs: Pairs, flavor: str) -> None:
    """The limit is named with its remedy; after a decision the flow goes on with the very change that did not fit."""
    pair = start(pairs, flavor, {**HOLD, "quarantine": {"max_rows": 1}})
    execute(pair.target, f"UPDATE {pair.name}.t SET v='mine' WHERE id<3")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='x' WHERE id=1")
    pair.settle()
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='y' WHERE id=2")
    error = pair.wait_stopped("west", "applier")
    assert "max_rows" in error["what"]
    assert "quarantine list" in error["remedy"]
    assert [h["key"] for h in held(pair)] == ["[1]"]
    execute(pair.target, f"UPDATE {pair.name}.t SET v='a' WHERE id=1")
    assert decide(pair, "retry", held(pair)[0]["id"]).returncode == 0
    resume(pair)
    pair.settle()
    (second,) = held(pair)
    assert second["key"] == "[2]"
    assert rows(pair)[1] == "x"
    # Room that is made while the flow runs is room.
    assert decide(pair, "discard", second["id"]).returncode == 0
    execute(pair.target, f"UPDATE {pair.name}.t SET v='mine' WHERE id=3")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='z' WHERE id=3")
    pair.settle()
    assert [h["key"] for h in held(pair)] == ["[3]"]


def test_a_change_too_large_to_be_held_stops_the_flow_and_loses_nothing(pairs: Pairs, flavor: str) -> None:
    """The server's limit is named; once it is raised, `resume` holds the very change."""
    pair = pairs(flavor, flavor, options={"conflicts": HOLD, "detect": "full"})
    limit = execute(pair.target, "SELECT @@global.max_allowed_packet")[0][0]
    execute(pair.origin, f"CREATE TABLE {pair.name}.big (id INT PRIMARY KEY, b LONGBLOB)")
    execute(pair.origin, f"INSERT INTO {pair.name}.big VALUES (1, REPEAT('a', 1500000))")
    try:
        execute(pair.target, "SET GLOBAL max_allowed_packet=4194304")
        pair.start()
        pair.settle()
        execute(pair.target, f"UPDATE {pair.name}.big SET b='mine'")
        execute(pair.origin, f"UPDATE {pair.name}.big SET b=REPEAT('c', 1500000)")
        error = pair.wait_stopped("west", "applier")
        assert "bytes are to be written at once" in error["what"] and "max_allowed_packet" in error["remedy"]
        assert held(pair) == []
    finally:
        execute(pair.target, f"SET GLOBAL max_allowed_packet={limit}")
    resume(pair)
    pair.settle()
    (one,) = held(pair)
    assert json.loads(one["after"])["b"]["bytes"] == 1_500_000
    execute(pair.target, f"UPDATE {pair.name}.big SET b=REPEAT('a', 1500000)")
    assert decide(pair, "retry", one["id"]).returncode == 0
    assert pair.differences() == []


def test_a_missing_parent_is_held_until_it_is_there(pairs: Pairs, flavor: str) -> None:
    """A child whose parent the target lacks waits; the parent comes, the retry writes the child."""
    pair = start(pairs, flavor, HOLD)
    execute(pair.origin, f"CREATE TABLE {pair.name}.c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES {pair.name}.t (id))")
    pair.settle()
    execute(pair.target, f"DELETE FROM {pair.name}.t WHERE id=2")
    execute(pair.origin, f"INSERT INTO {pair.name}.c VALUES (1, 2), (2, 3)")
    pair.settle()
    assert execute(pair.target, f"SELECT id FROM {pair.name}.c") == [(2,)]
    (one,) = held(pair)
    assert one["conflict"] == "foreign_key_missing"
    execute(pair.target, f"INSERT INTO {pair.name}.t VALUES (2, 'b')")
    assert decide(pair, "retry", one["id"]).returncode == 0
    assert pair.differences() == []


def with_three_held(pairs: Pairs, flavor: str) -> Pair:
    """A pair that keeps records for two days, with a change of each of three rows in quarantine."""
    pair = start(pairs, flavor, {**HOLD, "log_days": 2})
    execute(pair.target, f"UPDATE {pair.name}.t SET v='mine'")
    for number in (1, 2, 3):
        execute(pair.origin, f"UPDATE {pair.name}.t SET v='x' WHERE id={number}")
    pair.settle()
    return pair


def test_old_records_go_and_held_changes_stay(pairs: Pairs, flavor: str) -> None:
    """Beyond ``log_days`` the conflict log and what was released are deleted; what is held never is, nor what is younger."""
    pair = with_three_held(pairs, flavor)
    first, second, _ = held(pair)
    for change in (first, second):
        assert decide(pair, "discard", change["id"]).returncode == 0
    old, flow = "time_us=time_us-3*86400000000", f"flow='{pair.flow}'"
    execute(
        pair.target,
        f"UPDATE replicator.quarantine SET {old} WHERE {flow} AND row_key<>'[2]'",
        # Kept from the decision on: as if it had been made then.
        f"UPDATE replicator.quarantine SET audit=CONCAT('discarded by x at ', time_us, ' µs') WHERE {flow} AND row_key='[1]'",
        f"UPDATE replicator.conflict_log SET {old} WHERE {flow} AND row_key<>'[2]'",
    )
    pair.restart("west")
    keys = f"SELECT row_key FROM replicator.{{}} WHERE {flow} ORDER BY row_key"
    pair.until(lambda: execute(pair.target, keys.format("conflict_log")) == [("[2]",)], 30, "old entries to go")
    pair.until(lambda: len(execute(pair.target, keys.format("quarantine"))) == 2, 30, "the released change to go")
    assert execute(pair.target, keys.format("quarantine")) == [("[2]",), ("[3]",)]
    assert [h["key"] for h in held(pair)] == ["[3]"]


def test_an_audit_written_by_hand_keeps_its_change_and_no_other(pairs: Pairs, flavor: str) -> None:
    """When it was decided is not known, so it stays; deleting the rest goes on."""
    pair = with_three_held(pairs, flavor)
    pair.stop("west")
    audits = ["'discarded by hand'", "'discarded at 12 or so'", "CONCAT('discarded by x at ', time_us, ' µs')"]
    for number, audit in enumerate(audits, 1):
        old = f"state='discarded', time_us=time_us-3*86400000000, audit={audit}"
        execute(pair.target, f"UPDATE replicator.quarantine SET {old} WHERE flow='{pair.flow}' AND row_key='[{number}]'")
    pair.start("west")
    left = f"SELECT row_key FROM replicator.quarantine WHERE flow='{pair.flow}' ORDER BY row_key"
    pair.until(lambda: len(execute(pair.target, left)) < len(audits), 30, "the released change to go")
    assert execute(pair.target, left) == [("[1]",), ("[2]",)]


BY_KEY = {"default": {"insert_exists": "quarantine", "delete_missing": "quarantine", "default": "apply_origin"}}


def test_a_change_stays_behind_one_that_is_held_in_the_same_batch(pairs: Pairs, flavor: str) -> None:
    """Though by itself it would fit: an update of what the held insert would make, an insert where the held delete would be."""
    pair = start(pairs, flavor, BY_KEY, options={"detect": "key"})
    name = f"{pair.name}.t"
    execute(pair.target, f"INSERT INTO {name} VALUES (7, 'mine')")
    at_once(pair, f"INSERT INTO {name} VALUES (7, 'x')", f"UPDATE {name} SET v='y' WHERE id=7")
    assert waiting(pair) == [("insert", "[7]"), ("update", "[7]")]
    assert rows(pair)[7] == "mine"
    execute(pair.target, f"DELETE FROM {name} WHERE id IN (1, 7)")
    assert decide(pair, "retry", held(pair)[0]["id"]).stdout == "decided again: 2\n"
    at_once(pair, f"DELETE FROM {name} WHERE id=1", f"INSERT INTO {name} VALUES (1, 'new')")
    assert waiting(pair) == [("delete", "[1]"), ("insert", "[1]")]
    assert rows(pair) == {2: "b", 3: "c", 7: "y"}
    execute(pair.target, f"INSERT INTO {name} VALUES (1, 'a')")
    assert decide(pair, "retry", held(pair)[0]["id"]).stdout == "decided again: 2\n"
    assert pair.differences() == []


def test_a_large_transaction_stays_behind_what_is_held(pairs: Pairs, flavor: str) -> None:
    """Held before, also when only the table knows it; and held by an earlier part of the transaction itself."""
    sizes = {"source": {"record_bytes": 65536}, "apply": {"batch_bytes": 1 << 20}, "detect": "key"}
    pair = start(pairs, flavor, BY_KEY, options=sizes)
    name, big = f"{pair.name}.t", f"{pair.name}.big"
    execute(pair.origin, f"CREATE TABLE {big} (id INT PRIMARY KEY AUTO_INCREMENT, b LONGTEXT)")
    pair.settle()
    execute(pair.target, f"INSERT INTO {name} VALUES (8, 'mine'), (9, 'mine')")
    execute(pair.origin, f"INSERT INTO {name} VALUES (8, 'x')")
    pair.settle()
    pair.restart("west")
    execute(
        pair.origin,
        f"UPDATE {name} SET v='z' WHERE id=8",
        f"INSERT INTO {name} VALUES (9, 'x')",
        f"INSERT INTO {big} (b) SELECT REPEAT('a', 20000) FROM {name} a, {name} b, {name} c",
        f"UPDATE {name} SET v='y' WHERE id=9",
    )
    pair.settle()
    assert waiting(pair) == [("insert", "[8]"), ("update", "[8]"), ("insert", "[9]"), ("update", "[9]")]
    assert rows(pair) == {1: "a", 2: "b", 3: "c", 8: "mine", 9: "mine"}
    execute(pair.target, f"DELETE FROM {name} WHERE id > 7")
    for at in (0, 2):
        assert decide(pair, "retry", held(pair)[0]["id"]).stdout == "decided again: 2\n", at
    assert pair.differences() == []


def test_a_held_text_is_released_in_the_targets_character_set(pairs: Pairs, flavor: str) -> None:
    """The origin's column is utf16, the target's utf8mb4: the text is the same, not the bytes."""
    pair = start(pairs, flavor, HOLD)
    table = f"{pair.name}.u"
    execute(pair.origin, f"CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf16)")
    pair.settle()
    execute(pair.target, f"ALTER TABLE {table} MODIFY v VARCHAR(20) CHARACTER SET utf8mb4")
    execute(pair.target, f"INSERT INTO {table} VALUES (1, 'mine')")
    pair.restart("west")
    execute(pair.origin, f"INSERT INTO {table} VALUES (1, 'Grüße ✓')")
    pair.settle()
    (one,) = held(pair)
    execute(pair.target, f"DELETE FROM {table}")
    done = decide(pair, "retry", one["id"])
    assert (done.returncode, done.stdout) == (0, "decided again: 1\n"), done.stderr
    assert execute(pair.target, f"SELECT v FROM {table}") == [("Grüße ✓",)]


def test_a_table_with_held_changes_is_not_taken_away(pairs: Pairs, flavor: str) -> None:
    """TRUNCATE, RENAME, DROP, DROP DATABASE stop before it, naming what is held; other tables, and altering it, are free."""
    pair = start(pairs, flavor, HOLD)
    name = pair.name
    execute(pair.origin, f"CREATE TABLE {name}.other LIKE {name}.t")
    pair.settle()
    renames = f"RENAME TABLE {name}.t TO {name}.t2, {name}.other TO {name}.t", f"DROP TABLE {name}.t"
    for number, statement in enumerate([f"TRUNCATE TABLE {name}.t", *renames, f"DROP DATABASE {name}"]):
        table, key = f"{name}.t" if number < 3 else f"{name}.t2", 7 + number
        execute(pair.target, f"INSERT INTO {table} VALUES ({key}, 'mine')")
        execute(pair.origin, f"INSERT INTO {table} VALUES ({key}, 'x')", f"ALTER TABLE {table} COMMENT 'number {number}'")
        if number == 0:
            execute(pair.origin, f"TRUNCATE TABLE {name}.other")
        pair.settle()
        (one,) = held(pair)
        execute(pair.origin, statement)
        error = pair.wait_stopped("west", "applier")
        assert f"of {table}, of which 1 earlier changes are in quarantine" in error["what"], statement
        assert f"`replicator quarantine discard {one['id']}`" in error["remedy"]
        assert execute(pair.target, f"SELECT v FROM {table} WHERE id={key}") == [("mine",)]
        if number < 3:
            assert decide(pair, "discard", one["id"]).returncode == 0
            resume(pair)
            pair.settle()
            names = f"SELECT table_name FROM information_schema.tables WHERE table_schema='{name}' ORDER BY table_name"
            assert execute(pair.target, names) == execute(pair.origin, names)


def test_a_release_that_fails_says_what_helps_and_changes_nothing(pairs: Pairs, flavor: str) -> None:
    """The remedy is the release itself, once more, or to drop the change: no flow has stopped."""
    pair = start(pairs, flavor, HOLD)
    execute(pair.target, f"INSERT INTO {pair.name}.t VALUES (7, 'mine')")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (7, 'too long')")
    pair.settle()
    (one,) = held(pair)
    execute(pair.target, f"DELETE FROM {pair.name}.t WHERE id=7", f"ALTER TABLE {pair.name}.t MODIFY v VARCHAR(3)")
    done = decide(pair, "retry", one["id"])
    assert done.returncode == 1
    assert f"`replicator quarantine retry {one['id']}` again" in done.stderr
    assert f"`replicator quarantine discard {one['id']}`" in done.stderr
    assert "replicator resume" not in done.stderr and "replicator skip" not in done.stderr
    assert held(pair) == [one] and 7 not in rows(pair)
    execute(pair.target, f"ALTER TABLE {pair.name}.t MODIFY v VARCHAR(20)")
    assert decide(pair, "retry", one["id"]).returncode == 0
    assert pair.differences() == []


def test_each_held_change_is_released_as_its_own_sites(pairs: Pairs, flavor: str) -> None:
    """Of two sites in one queue: in order, each under its name; or both held again, in order."""
    pair = start(pairs, flavor, HOLD)
    execute(pair.target, f"UPDATE {pair.name}.t SET v='mine' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='x' WHERE id=1")
    execute(pair.origin, f"UPDATE {pair.name}.t SET v='y' WHERE id=1")
    pair.settle()
    execute(pair.target, f"UPDATE replicator.quarantine SET site='north' WHERE id={held(pair)[1]['id']}")
    assert decide(pair, "retry", held(pair)[0]["id"]).stdout == "decided again: 2, of which 2 are held again\n"
    assert [(json.loads(one["after"])["v"], one["site"]) for one in held(pair)] == [("x", ""), ("y", "north")]
    committed = held(pair)[1]["commit_time_us"]
    execute(pair.target, f"UPDATE {pair.name}.t SET v='a' WHERE id=1")
    assert decide(pair, "retry", held(pair)[0]["id"]).stdout == "decided again: 2\n"
    assert rows(pair)[1] == "y" and held(pair) == []
    # For sites further on, and for whoever compares commit times there.
    mark = f"SELECT site, commit_time_us FROM replicator.checkpoint WHERE flow='{pair.flow}' AND slot=65535"
    assert execute(pair.target, mark) == [("north", committed)] and committed > 0


def test_a_number_that_two_flows_have_is_not_guessed(pairs: Pairs, flavor: str) -> None:
    """Each target counts for itself: the command asks for the flow, and changes nothing before."""
    pair = start(pairs, flavor, HOLD, mode="bidirectional")
    for server in pair.servers.values():
        execute(server, "ALTER TABLE replicator.quarantine AUTO_INCREMENT=7000000")
    for here, there, key in ((pair.origin, pair.target, 1), (pair.target, pair.origin, 2)):
        execute(there, "SET sql_log_bin=0", f"DELETE FROM {pair.name}.t WHERE id={key}")
        execute(here, f"UPDATE {pair.name}.t SET v='x' WHERE id={key}")
    pair.until(lambda: len(held(pair)) == 2, 30, "both to be held")
    (number,) = {one["id"] for one in held(pair)}
    for verb in ("discard", "retry"):
        done = decide(pair, verb, number)
        assert done.returncode == 2 and "--flow" in done.stderr and "east-west" in done.stderr and "west-east" in done.stderr
    assert len(held(pair)) == 2
    done = command_here(pair, "quarantine", "discard", str(number), "--pair", pair.name, "--flow", "west-east", "--yes")
    assert done.returncode == 0, done.stderr
    (left,) = held(pair)
    assert left["key"] == "[1]" and decide(pair, "discard", number).returncode == 0
