"""Properties of the configuration: no input but a ConfigError, and no table in two streams that were found disjoint."""

from __future__ import annotations

import contextlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replicator.config import Pair, load_config
from replicator.config_flows import _glob_covers, check_streams, filters_meet, stream_filters
from replicator.errors import ConfigError
from replicator.filter import TableFilter

names = st.text("ab", min_size=1, max_size=3)
globs = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]"]), min_size=1, max_size=3).map("".join)
patterns = st.builds("{}.{}".format, globs, globs)
some = st.lists(patterns, min_size=1, max_size=2).map(tuple)
filters = st.builds(TableFilter, some, st.lists(patterns, max_size=2).map(tuple))


@given(filters, filters, names, names)
def test_filters_that_share_a_table_meet(a: TableFilter, b: TableFilter, schema: str, table: str) -> None:
    """The check may warn of an overlap that is none; it never misses one."""
    if a.wants(schema, table) and b.wants(schema, table):
        assert filters_meet(a, b)


@given(globs, globs, names)
def test_a_glob_that_covers_matches_all_of_the_other(big: str, small: str, name: str) -> None:
    """Whatever the smaller one matches."""
    if _glob_covers(big, small) and fnmatchcase(name, small):
        assert fnmatchcase(name, big)


@given(filters, st.dictionaries(st.sampled_from(["x", "y", "z"]), filters, max_size=3), names, names)
def test_accepted_streams_partition_the_pairs_tables(
    whole: TableFilter, parts: dict[str, TableFilter], schema: str, table: str
) -> None:
    """Each table of the pair is in exactly one stream, and no other table is in any."""
    pair = Pair.model_validate(
        {
            "name": "p",
            "origin": "a",
            "target": "b",
            "tables": {"include": whole.include, "exclude": whole.exclude},
            "streams": {name: {"include": part.include, "exclude": part.exclude} for name, part in parts.items()},
        }
    )
    if not list(check_streams((), pair)):
        carried = [name for name, part in stream_filters(pair).items() if part.wants(schema, table)]
        assert len(carried) == whole.wants(schema, table)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
words = "sites pairs http database kafka name origin target tables include a mode streams conflicts mapping"
keys = st.sampled_from(words.split())
trees = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)), max_leaves=15
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=trees)
def test_any_tree_loads_or_is_a_config_error(tmp_path: Path, tree: Any) -> None:
    """And each complaint names the file and a line that it has."""
    text = yaml.safe_dump({"sites": {"a": {"database": {}}}, **tree} if isinstance(tree, dict) else tree)
    path = tmp_path / "x.yaml"
    try:
        load_config(path, text=text)
    except ConfigError as error:
        for line in error.what.splitlines():
            number = int(line.removeprefix(f"{path}:").split(":")[0])
            assert 1 <= number <= text.count("\n") + 1


@settings(deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"\n \t#%@`,?<~0.é\x00"), max_size=40))
def test_any_text_loads_or_is_a_config_error(text: str) -> None:
    """No YAML, however broken, comes out as another exception."""
    with contextlib.suppress(ConfigError):
        load_config(Path("x.yaml"), text=text)
