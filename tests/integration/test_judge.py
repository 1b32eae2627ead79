"""The judge of equality finds one differing byte, and nothing where there is nothing; tests rest on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev import DatabaseServer
from dev.judge import checksum, compare
from tests.harness import Farm, execute

pytestmark = pytest.mark.servers

TABLE = (
    "CREATE TABLE judged.t (id INT PRIMARY KEY, f FLOAT, d DOUBLE, e ENUM('','a'), s VARCHAR(20) COLLATE utf8mb4_general_ci, "
    "b VARBINARY(10), j JSON, n DECIMAL(10,4), KEY (n))"
)
ROWS = "INSERT INTO judged.t SELECT i, i / 3e0, i / 7e0, 1 + i % 2, CONCAT('v', i), x'0001', '{\"a\": 1}', i / 8 FROM judged.n"


@pytest.fixture
def two(farm: Farm, flavor: str) -> Iterator[tuple[DatabaseServer, DatabaseServer]]:
    """Two servers of one flavor with the same table of 2,000 rows."""
    both = (farm.database(flavor, "east"), farm.database(flavor, "west"))
    for server in both:
        execute(
            server,
            "DROP DATABASE IF EXISTS judged",
            "CREATE DATABASE judged",
            "CREATE TABLE judged.n (i INT)",
            "INSERT INTO judged.n VALUES " + ",".join(f"({i})" for i in range(2000)),
            TABLE,
            ROWS,
        )
    yield both
    for server in both:
        execute(server, "DROP DATABASE judged")


def test_equal_tables_have_no_differences(two: tuple[DatabaseServer, DatabaseServer]) -> None:
    """The order of rows does not matter."""
    a, b = two
    execute(b, "DELETE FROM judged.n WHERE i < 1000", "INSERT INTO judged.n SELECT i - 1000 FROM judged.n")
    assert compare(a, b, ["judged.*"]) == []
    assert checksum(a, ["judged.*"]) == checksum(b, ["judged.*"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE judged.t SET f = f + 1e-4 WHERE id = 5", "row id=5: f:"),
        ("UPDATE judged.t SET d = 1e-300 WHERE id = 0", "row id=0: d:"),
        ("UPDATE judged.t SET s = 'V7' WHERE id = 7", "row id=7: s: a=7637 b=5637 (from byte 0)"),
        ("UPDATE judged.t SET s = 'v7 ' WHERE id = 7", "row id=7: s:"),
        ("UPDATE judged.t SET b = x'000100' WHERE id = 9", "row id=9: b: a=0001 b=000100 (length 2 against 3)"),
        ("UPDATE judged.t SET b = NULL WHERE id = 9", "row id=9: b: a=0001 b=NULL"),
        ("UPDATE IGNORE judged.t SET e = 'x' WHERE id = 10", "row id=10: e:"),
        ("UPDATE judged.t SET j = NULL WHERE id = 1", "row id=1: j:"),
        ("DELETE FROM judged.t WHERE id = 3", "row only on a: id=3,"),
        ("INSERT INTO judged.t (id) VALUES (5000)", "row only on b: id=5000,"),
        ("INSERT INTO judged.n VALUES (1)", "row only on b: i=1"),
        ("UPDATE judged.n SET i = 1 WHERE i = 2", "row only on a: i=2"),
        ("DROP TABLE judged.n", "judged.n: only on a"),
        ("CREATE TABLE judged.x (i INT)", "judged.x: only on b"),
        ("ALTER TABLE judged.t DROP KEY n", "index only on a"),
        ("ALTER TABLE judged.t MODIFY n DECIMAL(11,4)", "column n:"),
        ("ALTER TABLE judged.t ADD z INT", "columns differ: only on a: [], only on b: ['z']"),
    ],
)
def test_a_difference_is_named(two: tuple[DatabaseServer, DatabaseServer], change: str, named: str) -> None:
    """Each change at one side only, however small, is found, and says where."""
    a, b = two
    execute(b, "SET SESSION sql_mode = ''", change)
    found = compare(a, b, ["judged.*"])
    assert any(named in line for line in found), found
