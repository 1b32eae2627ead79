"""What `replicator check` says about conflicts before there are any."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicator.cli.main import main
from tests.harness import Pair, Pairs, execute

pytestmark = pytest.mark.servers


def findings(pair: Pair, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """By level."""
    main(["check", "-c", str(pair.config()), "--json"])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return {level: [f"{f['what']} => {f['remedy']}" for f in found if f["level"] == level] for level in ("error", "warning")}


def warnings(pair: Pair, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What somebody should know."""
    return findings(pair, capsys)["warning"]


def table(pair: Pair, name: str = "t") -> None:
    """At both sites, with numbers that the server gives."""
    for server in pair.servers.values():
        execute(server, f"CREATE TABLE `{pair.schemas[0]}`.{name} (id INT PRIMARY KEY AUTO_INCREMENT, n INT NOT NULL)")


def test_equal_auto_increment_offsets_are_found(pairs: Pairs, flavor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sites that count alike give the same numbers; with offsets of their own they don't."""
    pair = pairs(flavor, flavor, mode="bidirectional")
    table(pair)
    assert [w for w in warnings(pair, capsys) if f"same AUTO_INCREMENT numbers in {pair.name}.t" in w]
    try:
        for offset, server in enumerate(pair.servers.values(), 1):
            execute(server, "SET GLOBAL auto_increment_increment=2", f"SET GLOBAL auto_increment_offset={offset}")
        assert not [w for w in warnings(pair, capsys) if "AUTO_INCREMENT" in w]
        execute(pair.target, "SET GLOBAL auto_increment_offset=1")
        assert [w for w in warnings(pair, capsys) if "auto_increment_offset=1 at east, 2 at west" in w]
    finally:
        for server in pair.servers.values():
            execute(server, "SET GLOBAL auto_increment_increment=1", "SET GLOBAL auto_increment_offset=1")


def test_cascades_of_tables_that_both_sites_write_are_found(
    pairs: Pairs, flavor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The servers log nothing of what a foreign key does; one way that is no matter, it does the same at the target."""
    for mode in ("bidirectional", "one_way"):
        pair = pairs(flavor, flavor, mode=mode)
        table(pair)
        for server in pair.servers.values():
            reference = f"FOREIGN KEY (p) REFERENCES {pair.name}.t (id) ON DELETE SET NULL"
            execute(server, f"CREATE TABLE {pair.name}.child (id INT PRIMARY KEY, p INT, {reference})")
        found = [w for w in warnings(pair, capsys) if f"change rows of {pair.name}.child by themselves" in w]
        assert bool(found) == (mode == "bidirectional")


def test_what_detection_by_key_does_not_see_is_said(pairs: Pairs, flavor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By default for a one-way pair; a policy for differing rows compares them, unless `detect: key` keeps it quiet."""
    quiet = pairs(flavor, flavor)
    table(quiet)
    assert [w for w in warnings(quiet, capsys) if f"only keys are compared in {quiet.name}.t" in w and "detect: full" in w]
    policy = {"tables": {"*.t": {"update_differing": "keep_target"}}}
    compared = pairs(flavor, flavor, options={"conflicts": policy})
    table(compared)
    assert not [w for w in warnings(compared, capsys) if "only keys" in w or "detect" in w]
    never = pairs(flavor, flavor, options={"conflicts": policy, "detect": "key"})
    table(never)
    assert [w for w in warnings(never, capsys) if "will never be asked" in w]
    of_table = pairs(flavor, flavor, options={"conflicts": {"tables": {"*.t": {"detect": "full"}}}})
    table(of_table)
    assert not [w for w in warnings(of_table, capsys) if "only keys" in w or "detect" in w]
    meant = pairs(flavor, flavor, options={"detect": "key"})
    table(meant)
    assert not [w for w in warnings(meant, capsys) if "detect" in w]


def test_a_policy_that_does_not_fit_stops_the_flow_before_the_table(pairs: Pairs, flavor: str) -> None:
    """The error names file and line, as `check` does; with another policy the flow goes on where it was, and nothing is lost."""
    policies: dict[str, Any] = {"*.t": {"update_differing": {"policy": "delta", "columns": ["a"]}}}
    options = {"conflicts": {"tables": policies}}
    pair = pairs(flavor, flavor, options=options)
    for name in ("t", "u"):
        execute(pair.origin, f"CREATE TABLE {pair.name}.{name} (id INT PRIMARY KEY, a VARCHAR(20) NOT NULL)")
    pair.start()
    execute(pair.origin, f"INSERT INTO {pair.name}.u VALUES (1, 'x')")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1, 'x')", f"INSERT INTO {pair.name}.u VALUES (2, 'x')")
    error = pair.wait_stopped("west", "applier")
    assert error["kind"] == "ConfigError"
    told = f"conflicts.tables.*.t.update_differing.columns: delta needs an integer or DECIMAL column, and {pair.name}.t.a is text"
    assert told in error["what"]
    checked = pair.command("check", "--json", site="west").stdout
    assert [f for f in json.loads(checked)["findings"] if f["what"] == error["what"].partition("; ")[0]], checked
    assert execute(pair.target, f"SELECT id FROM {pair.name}.u") == [(1,)]
    policies["*.t"] = {"update_differing": "merge_columns"}
    pair.reload("west")
    pair.settle()
    assert pair.differences() == []


def test_a_policy_for_a_missing_table_is_said(pairs: Pairs, flavor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that no table has is most often mistyped: an error that names its line. A pattern may be for later."""
    policies = {"*.t": "keep_target", "shop.usr": "keep_target", "*.log_*": "keep_target", "*.u": "keep_target"}
    for streams in ({}, {"second": {"include": ["*.u"]}}):
        pair = pairs(flavor, flavor, options={"conflicts": {"tables": policies}, "streams": streams})
        table(pair)
        table(pair, "u")
        said = findings(pair, capsys)
        (told,) = [f for f in said["error"] if "conflicts.tables." in f]
        number = next(i for i, line in enumerate(pair.config().read_text().splitlines(), 1) if "shop.usr" in line)
        assert told.startswith(f"{pair.config()}:{number}: conflicts.tables.shop.usr: east has no such table")
        (told,) = [f for f in said["warning"] if "conflicts.tables." in f]
        assert "conflicts.tables.*.log_*: no table of east" in told


@pytest.mark.parametrize("mode", ["bidirectional", "one_way"])
def test_policies_by_which_sites_differ_afterwards_are_found(
    pairs: Pairs, flavor: str, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each site takes the other's version, or each keeps its own; where one site writes that is what is wanted."""
    conflicts = {"default": {"update_differing": "apply_origin", "insert_exists": "site_priority", "default": "keep_target"}}
    pair = pairs(flavor, flavor, mode=mode, options={"conflicts": conflicts})
    table(pair)
    found = [w for w in warnings(pair, capsys) if "the sites differ" in w and f"{pair.name}.t" in w]
    assert any(w.startswith("update_differing: apply_origin in both directions") for w in found) == (mode == "bidirectional")
    assert any(w.startswith("delete_differing: keep_target") for w in found) == (mode == "bidirectional")
    assert not any(w.startswith("insert_exists") for w in found)
