"""A configured `start` is held against what the origin has, before a stream begins with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from replicator.errors import ConfigError
from replicator.source.start import start_position

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
ANSWERS = {
    "SELECT @@global.gtid_executed": f"{A}:1-300,\n{B}:40-90",
    "SELECT @@global.gtid_purged": f"{A}:1-100,\n{B}:40-50",
    "SELECT @@global.gtid_binlog_pos": "0-1-300,5-2-90",
    "SHOW BINARY LOGS": "binlog.000007",
}


def begin(start: str, flavor: str) -> str:
    """Where a stream with that `start` begins at a server that has A:1-300 and B:40-90, or 0-1-300 and 5-2-90."""
    stream: Any = SimpleNamespace(
        start=start, place=lambda key: f"file:7 {'.'.join(key)}", origin=SimpleNamespace(name="east")
    )

    def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
        if values:
            places = {("binlog.000007", 4): "0-1-100,5-2-50", ("binlog.000008", 4711): "0-1-250,5-2-80"}
            return [(places.get(values),)]  # type: ignore[call-overload]
        return [(ANSWERS[query],)]

    return start_position(stream, flavor, ask)


@pytest.mark.parametrize(
    ("start", "flavor", "words"),
    [
        ("0-1-200", "mysql", "no GTID position of a MySQL"),
        (f"{A}:1-200", "mariadb", "no GTID position of a MariaDB"),
        (f"{A}:1-301,{B}:40-90", "mysql", f"never had {A}:301"),
        (f"{A.replace('3', '5', 1)}:1-5", "mysql", "never had 5e11"),
        (f"{A}:200,{B}:40-90", "mysql", f"without {A}:1-199, which would be sent once more"),
        (f"{A}:1-200,{B}:60-90", "mysql", f"without {B}:40-59, which"),
        (f"{A}:1-200", "mysql", f"without {B}:40-50, of which the origin has no binlogs"),
        (f"{A}:1-99,{B}:40-90", "mysql", f"without {A}:100, of which"),
        ("0-1-301,5-2-90", "mariadb", "never had 0-1-301"),
        ("0-1-200,7-1-1,5-2-60", "mariadb", "never had 7-1-1"),
        ("0-1-200", "mariadb", "without 5-2-50, of which the origin has no binlogs"),
        ("0-1-99,5-2-60", "mariadb", "without 0-1-100, of which"),
        ("binlog.000008:4711", "mysql", "only be turned into a GTID position at MariaDB"),
        ("binlog.000008:4712", "mariadb", "no binlog position binlog.000008:4712"),
    ],
)
def test_what_is_none_of_the_origins_is_refused(start: str, flavor: str, words: str) -> None:
    """With the key, its line and what to give instead."""
    with pytest.raises(ConfigError, match=words) as refused:
        begin(start, flavor)
    assert refused.value.what.startswith("start: ")
    assert refused.value.where == "file:7 start"
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("start", "flavor", "position"),
    [
        (f"{A}:1-200,{B}:40-60", "mysql", f"{A}:1-200,{B}:40-60"),
        (f"{A}:1-200:203,{B}:40-60", "mysql", f"{A}:1-200:203,{B}:40-60"),  # one that could not be shipped is left out
        ("0-1-200,5-2-60", "mariadb", "0-1-200,5-2-60"),
        ("binlog.000008:4711", "mariadb", "0-1-250,5-2-80"),
        ("latest", "mysql", f"{A}:1-300,{B}:40-90"),
        ("earliest", "mysql", f"{A}:1-100,{B}:40-50"),
        ("latest", "mariadb", "0-1-300,5-2-90"),
        ("earliest", "mariadb", "0-1-100,5-2-50"),
    ],
)
def test_what_the_origin_has_is_where_the_stream_begins(start: str, flavor: str, position: str) -> None:
    """A number that a source never had (here B:1-39) need not be in it."""
    assert begin(start, flavor) == position
