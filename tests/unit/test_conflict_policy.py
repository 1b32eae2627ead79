"""The ``conflicts:`` block: what it means, which entry wins, and that every problem is found at once, in its place."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from conflict import ConflictType, Policies, PolicyError, PolicyName, Problem, parse_policies

EXAMPLE = {
    "default": {
        "insert_exists": "apply_origin",
        "update_missing": "apply_origin",
        "delete_missing": "skip_if_missing",
        "default": "halt",
    },
    "tables": {
        "shop.stock": {"update_differing": {"policy": "delta", "columns": ["quantity"]}},
        "shop.user": {"default": {"policy": "latest_timestamp", "column": "updated_at"}},
    },
}

LATEST = {"policy": "latest_timestamp"}


def look_up(policies: Policies, schema: str, table: str) -> dict[str, str]:
    """The policy of each type, as written in the conflict log."""
    return {str(c): str(p) for c, p in policies.in_use((schema, table)).items()}


def problems(raw: Any) -> tuple[Problem, ...]:
    """What is wrong with a block."""
    with pytest.raises(PolicyError) as caught:
        parse_policies(raw)
    return caught.value.problems


def test_the_example_of_the_manual() -> None:
    """Table and type, table default, pair and type, pair default: the most specific wins."""
    policies = parse_policies(EXAMPLE)
    stock = look_up(policies, "shop", "stock")
    assert stock["update_differing"] == "delta(quantity: delta; *: site_priority)"
    assert stock["insert_exists"] == "apply_origin"
    assert stock["delete_differing"] == "halt"
    user = look_up(policies, "shop", "user")
    assert user["update_differing"] == user["insert_exists"] == user["delete_missing"] == "latest_timestamp(updated_at)"
    assert user["foreign_key_missing"] == "halt", "a default that makes no sense for a type is passed over"
    assert set(look_up(parse_policies(None), "any", "table").values()) == {"halt"}


@pytest.mark.parametrize("default", ["quarantine", {"policy": "quarantine"}, {"default": "quarantine"}])
def test_a_default_for_everything(default: Any) -> None:
    """A word or one policy in place of the types stands for all of them that it makes sense for."""
    for block in ({"default": default}, {"tables": {"a.*": default}}):
        found = look_up(parse_policies(block), "a", "b")
        assert {name for name, policy in found.items() if policy == "halt"} == {"target_table_missing", "target_column_missing"}
        assert set(found.values()) == {"quarantine", "halt"}


@pytest.mark.parametrize(
    ("schema", "table", "word"),
    [
        ("shop", "order", "apply_origin"),
        ("shop", "order_line", "keep_target"),
        ("shop", "user", "quarantine"),
        ("bank", "user", "site_priority"),
        ("a.b", "c*", "halt"),
        ("Shop", "order", "site_priority"),
    ],
)
def test_the_most_specific_pattern_wins(schema: str, table: str, word: str) -> None:
    """An exact name, then more literal characters, whatever the order in the file; case matters, backticks are literal."""
    tables = {
        "*.*": "site_priority",
        "shop.*": "quarantine",
        "shop.order_*": "keep_target",
        "shop.order": "apply_origin",
        "`a.b`.`c*`": "halt",
    }
    policies = parse_policies({"tables": dict(reversed(tables.items()))})
    assert policies.policy_for(ConflictType.INSERT_EXISTS, (schema, table)).name == word


def test_a_less_specific_pattern_fills_what_the_other_leaves_open() -> None:
    """A type that the more specific entry says nothing of is looked up in the next."""
    policies = parse_policies({"tables": {"a.*": "keep_target", "a.b": {"insert_exists": "apply_origin"}}})
    found = look_up(policies, "a", "b")
    assert (found["insert_exists"], found["update_missing"]) == ("apply_origin", "keep_target")


def test_what_a_table_needs() -> None:
    """Whole images where a policy depends on them; provenance where the writer decides; counting where differences are added."""
    policies = parse_policies(
        {
            "default": {"insert_exists": "halt"},
            "tables": {
                "a.time": "latest_timestamp",
                "a.column": {"default": {"policy": "latest_timestamp", "column": "t"}},
                "a.origin": "apply_origin",
                "a.stock": {"columns": {"n": "delta"}},
                "a.missing": {"update_missing": "apply_origin"},
                "a.strict": {"delete_differing": "halt"},
                "a.recorded": {"delete_differing": "apply_origin"},
            },
        }
    )

    def needs(table: str) -> tuple[bool, bool, bool, bool]:
        name = ("a", table)
        return policies.needs_full(name), policies.needs_provenance(name), policies.by_commit_time(name), policies.counting(name)

    assert needs("time") == (True, True, True, False)
    assert needs("column") == (True, True, False, False)
    assert needs("origin") == (False, False, False, False)
    assert needs("stock") == (True, False, False, True)
    assert needs("missing") == (False, False, False, False)
    assert needs("strict") == (True, False, False, False)
    assert needs("recorded") == (True, False, False, False), "what is said of the type itself is to be seen in the log"
    assert needs("other") == (False, False, False, False)
    assert parse_policies({"mode": "observe", "default": "apply_origin"}).needs_full(("a", "b")), "a dry run shows all there is"


def test_a_table_says_how_it_is_compared() -> None:
    """The most specific pattern that says anything; else it is the pair's matter."""
    tables = {"a.*": {"detect": "key"}, "a.b": {"detect": "full", "default": "keep_target"}, "a.c": "keep_target", "b.*": {}}
    policies = parse_policies({"tables": tables})
    assert [policies.detect(("a", name)) for name in "bcd"] == ["full", "key", "key"]
    assert policies.detect(("b", "b")) is None
    assert policies.policy_for(ConflictType.INSERT_EXISTS, ("a", "b")).name is PolicyName.KEEP_TARGET
    (problem,) = problems({"tables": {"a.b": {"detect": "fully"}}})
    assert problem.path == ("tables", "a.b", "detect") and "full" in problem.remedy
    (problem,) = problems({"default": {"detect": "full"}})
    assert problem.path == ("default", "detect")


def test_policies_can_be_compared_and_pickled() -> None:
    """They are part of a frozen plan that is handed to another process."""
    policies = parse_policies(EXAMPLE)
    policies.policy_for(ConflictType.INSERT_EXISTS, ("shop", "stock"))
    assert pickle.loads(pickle.dumps(policies)) == policies == parse_policies(EXAMPLE)


def test_mode_and_clock_offset() -> None:
    """Dry run, and how far clocks may be apart."""
    assert not parse_policies({}).observe
    policies = parse_policies({"mode": "observe", "clock_offset_ms_max": 20})
    assert (policies.observe, policies.clock_offset_ms_max) == (True, 20)


def test_every_policy_has_a_use() -> None:
    """Each word parses with its options for at least one type."""
    options: dict[PolicyName, Any] = {
        PolicyName.DELTA: {"policy": "delta", "columns": ["n"], "clash": "keep_target"},
        PolicyName.GREATEST: {"policy": "greatest", "column": "n"},
        PolicyName.LEAST: {"policy": "least", "columns": "n"},
        PolicyName.MERGE_COLUMNS: {"policy": "merge_columns", "columns": {"a,b": "least", "*": "halt"}},
        PolicyName.LATEST_TIMESTAMP: {"policy": "latest_timestamp", "column": "t"},
        PolicyName.PYTHON: {"policy": "python:conflict.engine:decide", "limit_ms": 50},
    }
    for name in PolicyName:
        conflict = "update_missing" if name is PolicyName.SKIP_IF_MISSING else "update_differing"
        policies = parse_policies({"default": {conflict: options.get(name, str(name))}})
        found = policies.policy_for(ConflictType(conflict), ("a", "b"))
        assert found.name is name
        assert str(found).startswith(str(name))


@pytest.mark.parametrize(
    ("raw", "path", "what", "remedy"),
    [
        ({"defalt": {}}, ("defalt",), "unknown key 'defalt'", "did you mean 'default'?"),
        ({"mode": "observ"}, ("mode",), "not a word known here", "did you mean 'observe'?"),
        ({"mode": True}, ("mode",), "not a word known here", "use one of: apply, observe"),
        ({"clock_offset_ms_max": -1}, ("clock_offset_ms_max",), "not a whole number in range", "from 0 to"),
        ({"clock_offset_ms_max": True}, ("clock_offset_ms_max",), "not a whole number", "from 0 to"),
        ({"default": 7}, ("default",), "not a mapping", "key: value"),
        ({"default": "halte"}, ("default",), "not a policy", "did you mean 'halt'?"),
        ({"default": {"insert_exist": "halt"}}, ("default", "insert_exist"), "unknown key", "did you mean 'insert_exists'?"),
        ({"default": {"columns": {}}}, ("default", "columns"), "unknown key", "use one of"),
        ({"default": {"insert_exists": None}}, ("default", "insert_exists"), "not a policy", "use one of"),
        ({"default": {"insert_exists": {"colum": "x"}}}, ("default", "insert_exists"), "without its word", "policy: WORD"),
        ({"default": {1: "halt"}}, ("default", "1"), "a key that is not a text", "quotes"),
        (
            {"default": {"insert_exists": {"policy": "delta", "columns": ["n"]}}},
            ("default", "insert_exists"),
            "delta makes no sense for insert_exists",
            "use one of apply_origin, greatest",
        ),
        (
            {"default": {"update_differing": "skip_if_missing"}},
            ("default", "update_differing"),
            "skip_if_missing makes no sense for update_differing",
            "merge_columns",
        ),
        (
            {"default": {"foreign_key_missing": "apply_origin"}},
            ("default", "foreign_key_missing"),
            "apply_origin makes no sense for foreign_key_missing",
            "halt, quarantine, skip_if_missing",
        ),
        (
            {"default": {"update_differing": "delta"}},
            ("default", "update_differing", "columns"),
            "delta without its columns",
            "columns: [NAME, ...]",
        ),
        (
            {"default": {"update_differing": {"policy": "delta", "columns": []}}},
            ("default", "update_differing", "columns"),
            "delta without its columns",
            "columns: [NAME, ...]",
        ),
        (
            {"default": {"update_differing": {"policy": "delta", "columns": ["n"], "column": "n"}}},
            ("default", "update_differing", "column"),
            "both column and columns",
            "keep columns",
        ),
        (
            {"default": {"update_differing": {"policy": "delta", "columns": ["n"], "clash": "greatest"}}},
            ("default", "update_differing", "clash"),
            "greatest for whatever columns there are",
            "name its columns",
        ),
        (
            {"default": {"insert_exists": {"policy": "halt", "column": "t"}}},
            ("default", "insert_exists", "column"),
            "unknown key 'column'",
            "use one of: policy",
        ),
        (
            {"default": {"insert_exists": {"policy": "latest_timestamp", "column": 7}}},
            ("default", "insert_exists", "column"),
            "not a column name",
            "one column's name",
        ),
        (
            {"tables": {"a.b": {"columns": {"price, currency": {"policy": "latest_timestamp", "column": "priced_at"}}}}},
            ("tables", "a.b", "columns", "price, currency", "column"),
            "does not belong to its group",
            '"price, currency, priced_at"',
        ),
        (
            {"tables": {"a.b": {"columns": {"price, pri*": {"policy": "latest_timestamp", "column": "price"}}}}},
            ("tables", "a.b", "columns", "price, pri*", "column"),
            "does not belong to its group",
            "without globs",
        ),
        (
            {"tables": {"a.b": {"update_differing": {"policy": "greatest", "column": "n", "clash": LATEST | {"column": "t"}}}}},
            ("tables", "a.b", "update_differing", "clash", "column"),
            "does not belong to its group",
            "without globs",
        ),
        (
            {"tables": {"a.b": {"columns": {"a, ts": "site_priority", "b, TS": "site_priority"}}}},
            ("tables", "a.b", "columns", "b, TS"),
            "a column of two groups",
            "in one group",
        ),
        (
            {"tables": {"a.b": {"columns": {"n": "delta", "n, a": "site_priority"}}}},
            ("tables", "a.b", "columns", "n, a"),
            "a column of two groups",
            "torn apart",
        ),
        ({"tables": ["shop.stock"]}, ("tables",), "not a mapping", "key: value"),
        ({"tables": {"stock": "halt"}}, ("tables", "stock"), "not of the form schema.table", "backticks"),
        ({"tables": {"a.b.c": "halt"}}, ("tables", "a.b.c"), "not of the form schema.table", "backticks"),
        ({"tables": {"`a.b": "halt"}}, ("tables", "`a.b"), "not of the form schema.table", "backticks"),
        (
            {"tables": {"a.b": {"columns": {"n": "merge_columns"}}}},
            ("tables", "a.b", "columns", "n"),
            "merge_columns settles whole rows, not columns",
            "delta",
        ),
        ({"tables": {"a.b": {"columns": {"n": "detla"}}}}, ("tables", "a.b", "columns", "n"), "not a policy", "'delta'?"),
        ({"tables": {"a.b": {"columns": {"*": "delta"}}}}, ("tables", "a.b", "columns", "*"), "delta for whatever", "name its"),
        ({"tables": {"a.b": {"columns": {"n,": "delta"}}}}, ("tables", "a.b", "columns", "n,"), "empty column name", "commas"),
        (
            {"tables": {"a.b": {"columns": {"n": "delta"}, "update_differing": "halt"}}},
            ("tables", "a.b", "columns"),
            "columns beside an update_differing",
            "remove one",
        ),
        (
            {"default": {"update_differing": {"policy": "merge_columns", "columns": {"*": "halt"}, "clash": "halt"}}},
            ("default", "update_differing", "columns"),
            "both clash and a group '*'",
            "keep one",
        ),
        ({"default": "python:nowhere"}, ("default",), "not of the form python:module:function", "python:shop"),
        ({"default": "python:no_such_module:f"}, ("default",), "cannot be imported: ModuleNotFoundError", "install"),
        ({"default": "python:conflict.engine:nothing"}, ("default",), "has no function 'nothing'", "correct the name"),
        (
            {"default": {"policy": "python:conflict.engine:decide", "limit_ms": 0}},
            ("default", "limit_ms"),
            "not a whole number in range",
            "from 1 to 60000",
        ),
    ],
)
def test_a_problem_says_where_what_and_what_to_do(raw: Any, path: tuple[str, ...], what: str, remedy: str) -> None:
    """Each mistake gives exactly one problem, at its key, with a remedy that names what was probably meant."""
    (problem,) = problems(raw)
    assert problem.path == path
    assert what in problem.what
    assert remedy in problem.remedy
    assert all(part in str(problem) for part in (".".join(path), problem.what, problem.remedy))


def test_all_problems_at_once() -> None:
    """Nothing hides behind the first mistake."""
    found = problems(
        {
            "mod": "apply",
            "default": {"insert_exists": "aply_origin", "update_missing": "delta"},
            "tables": {"stock": "halt", "a.b": {"update_difering": "halt", "columns": {"n": "delt"}}},
        }
    )
    assert [p.path for p in found] == [
        ("mod",),
        ("default", "insert_exists"),
        ("default", "update_missing"),
        ("tables", "stock"),
        ("tables", "a.b", "update_difering"),
        ("tables", "a.b", "columns", "n"),
    ]


def test_a_block_that_is_no_mapping() -> None:
    """The block itself may be wrong."""
    (problem,) = problems(["halt"])
    assert (problem.path, problem.what) == ((), "not a mapping")
    assert str(problem).startswith("conflicts: ")


def test_hooks_need_not_be_loaded_to_read_a_file() -> None:
    """Where the module is not installed, the file can still be read."""
    policies = parse_policies({"default": "python:no_such_module:f"}, load_hooks=False)
    assert str(policies.policy_for(ConflictType.INSERT_EXISTS, ("a", "b"))) == "python:no_such_module:f"
