"""A target whose columns are of another type, which print the origin's values differently: no change fits less for that."""

from __future__ import annotations

from typing import Any

import pytest

from dev import DatabaseServer
from tests.harness import Pair, Pairs, execute

pytestmark = pytest.mark.servers

DOCUMENTS = (
    '{"b": 1, "a": [1.50, 2e3, "x"], "long": null}',
    '{"b":1,"b":2,"aa":{"z":[],"y":{}}}',
    '  [1,2 , 3,true,\t"caf\\u00e9 \\ud83d\\ude00 \\/ \\"q\\""]',
    '"\\u00e9"',
    "-0",
    "-0.0",
    "18446744073709551615",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551616",
    "[0.12345678901234567, 1.7976931348623157e308, 5e-324, 123456789012345678.5, 1e2, 1E-7, 100000000000000000000, 3.0]",
    "[9007199254740993, 0.1, 2.5e-3, 1e15, 1e16, 123456.789e3]",
    "null",
)


def quoted(text: str) -> str:
    """A literal of a text."""
    return "_utf8mb4 x'" + text.encode().hex() + "'"


def conflicts(pair: Pair) -> list[Any]:
    """What the target's log has, oldest first."""
    log = f"SELECT conflict, decision, table_name FROM replicator.conflict_log WHERE table_name LIKE '{pair.name}.%' ORDER BY id"
    return execute(pair.target, log)


def printed(server: DatabaseServer, query: str) -> list[Any]:
    """Rows of texts."""
    return execute(server, query)


@pytest.mark.parametrize("key", [", PRIMARY KEY (id)", ""])
def test_json_of_mariadb_fits_what_mysql_made_of_it(pairs: Pairs, key: str) -> None:
    """With other spaces, key order, escapes and numbers: changed, moved, deleted, and nothing is a conflict."""
    pair = pairs("mariadb", "mysql", options={"detect": "full"})
    name = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE IF NOT EXISTS {name} (id INT NOT NULL, n INT, j JSON, t TEXT CHARACTER SET latin1{key})")
    execute(pair.target, f"CREATE TABLE {name} (id INT NOT NULL, n INT, j JSON, t JSON{key})")
    rows = ",".join([f"({i}, 0, {quoted(text)}, '[\"\xe9\",  1]')" for i, text in enumerate(DOCUMENTS)])
    pair.start()
    execute(pair.origin, f"INSERT INTO {name} VALUES {rows}, (99, 0, NULL, NULL)")
    pair.settle()
    execute(
        pair.origin,
        "SET autocommit=1",
        f"UPDATE {name} SET n=1",
        f"UPDATE {name} SET n=2, j=JSON_SET(j, '$.new', 1.50) WHERE id=0",
        f"DELETE FROM {name} WHERE id IN (1, 2)",
        f"UPDATE {name} SET id=id+1000 WHERE id > 9",
    )
    pair.settle()
    assert conflicts(pair) == []
    ids = f"SELECT id, n FROM {name} ORDER BY id"
    assert execute(pair.origin, ids) == execute(pair.target, ids)
    # The very numbers: the server's own parser would round the first one.
    first, fourth = execute(pair.target, f"SELECT j->'$[0]', j->'$[3]' FROM {name} WHERE id=1010")[0]
    assert (float(first), float(fourth)) == (0.12345678901234567, 123456789012345678.5)
    assert execute(pair.target, f"SELECT DISTINCT JSON_UNQUOTE(t->'$[0]') FROM {name} WHERE t IS NOT NULL") == [("\xe9",)]


def test_a_document_that_differs_is_a_conflict(pairs: Pairs) -> None:
    """Whatever it looks like."""
    pair = pairs("mariadb", "mysql", options={"detect": "full", "conflicts": {"default": "keep_target"}})
    name = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE IF NOT EXISTS {name} (id INT PRIMARY KEY, n INT, j JSON)")
    execute(pair.target, f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT, j JSON)")
    pair.start()
    execute(pair.origin, f"INSERT INTO {name} VALUES (1, 0, '{{\"b\":1,  \"a\":2}}'), (2, 0, '[1]'), (3, 0, '[1]')")
    pair.settle()
    execute(pair.target, f'UPDATE {name} SET j=\'{{"a":2,"b":3}}\' WHERE id=1', f"UPDATE {name} SET j='[ 1 ]' WHERE id=2")
    execute(pair.origin, f"UPDATE {name} SET n=1")
    pair.settle()
    assert [(conflict, decision) for conflict, decision, _ in conflicts(pair)] == [("update_differing", "keep")]
    assert execute(pair.target, f"SELECT id, n FROM {name} ORDER BY id") == [(1, 0), (2, 1), (3, 1)]


def test_json_of_mysql_fits_what_mariadb_wrote_otherwise(pairs: Pairs) -> None:
    """A text at a MariaDB target says the same in other words: no conflict; other words for another thing are one."""
    pair = pairs("mysql", "mariadb", options={"detect": "full", "conflicts": {"default": "keep_target"}})
    name = f"{pair.name}.t"
    for server in (pair.origin, pair.target):
        execute(server, f"CREATE TABLE IF NOT EXISTS {name} (id INT PRIMARY KEY, n INT, j JSON)")
    pair.start()
    execute(pair.origin, f"INSERT INTO {name} VALUES (1, 0, '{{\"b\":1,\"a\":[2.50]}}'), (2, 0, '[1]')")
    pair.settle()
    execute(pair.target, f'UPDATE {name} SET j=\'{{"b":1,"a":[25e-1]}}\' WHERE id=1', f"UPDATE {name} SET j='[1.0]' WHERE id=2")
    execute(pair.origin, f"UPDATE {name} SET n=1")
    pair.settle()
    assert [conflict for conflict, _, _ in conflicts(pair)] == ["update_differing"]
    assert execute(pair.target, f"SELECT id, n FROM {name} ORDER BY id") == [(1, 1), (2, 0)]


NUMBERS = (
    "a INT, b INT, c INT, d SMALLINT, e INT, f BIGINT UNSIGNED, g DECIMAL(8,2), h DECIMAL(8,2), i INT, j INT UNSIGNED, k YEAR"
)
OTHERS = (
    "a INT ZEROFILL, b DOUBLE, c VARCHAR(20), d FLOAT, e TEXT, f VARCHAR(30), g DECIMAL(8,2) ZEROFILL, h VARCHAR(20), i CHAR(12),"
    " j BIT(32), k INT"
)


@pytest.mark.parametrize("key", [", PRIMARY KEY (id)", ""])
def test_numbers_in_columns_of_another_type(pairs: Pairs, flavor: str, key: str) -> None:
    """Filled with zeros, as floating point numbers, as texts, as bits."""
    pair = pairs(flavor, flavor, options={"detect": "full"})
    name = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE IF NOT EXISTS {name} (id INT NOT NULL, n INT, {NUMBERS}{key})")
    execute(pair.target, f"CREATE TABLE {name} (id BIGINT ZEROFILL NOT NULL, n INT, {OTHERS}{key})")
    pair.start()
    execute(
        pair.origin,
        f"INSERT INTO {name} VALUES (1, 0, 5, -5, 5, 32767, -7, 18446744073709551615, 1.50, -1.50, -3, 4294967295, 2024)",
        f"INSERT INTO {name} VALUES (2, 0, 0, 2147483647, 0, -1, 0, 0, 0, 0, 0, 0, 0), (3, 0, {', '.join(['NULL'] * 11)})",
    )
    pair.settle()
    execute(pair.origin, f"UPDATE {name} SET n=n+1", f"UPDATE {name} SET id=id+10, n=n+1", f"DELETE FROM {name} WHERE id=13")
    pair.settle()
    assert conflicts(pair) == []
    assert execute(pair.target, f"SELECT CAST(id AS SIGNED), n FROM {name} ORDER BY id") == [(11, 2), (12, 2)]


def test_what_only_the_other_type_holds_is_a_conflict(pairs: Pairs, flavor: str) -> None:
    """A fraction where the origin has whole numbers, a word where it has a number: no value of the origin's."""
    pair = pairs(flavor, flavor, options={"detect": "full", "conflicts": {"default": "keep_target"}})
    name = f"{pair.name}.t"
    execute(pair.origin, f"CREATE TABLE IF NOT EXISTS {name} (id INT PRIMARY KEY, n INT, b INT, c INT)")
    execute(pair.target, f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT, b DOUBLE, c VARCHAR(20))")
    pair.start()
    execute(pair.origin, f"INSERT INTO {name} VALUES (1, 0, 5, 5), (2, 0, 5, 5), (3, 0, 5, 5)")
    pair.settle()
    execute(pair.target, f"UPDATE {name} SET b=5.5 WHERE id=1", f"UPDATE {name} SET c='five' WHERE id=2")
    execute(pair.origin, f"UPDATE {name} SET n=1")
    pair.settle()
    assert [conflict for conflict, _, _ in conflicts(pair)] == ["update_differing"] * 2
    assert execute(pair.target, f"SELECT id, n FROM {name} ORDER BY id") == [(1, 0), (2, 0), (3, 1)]
