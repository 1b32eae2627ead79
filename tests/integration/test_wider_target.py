"""A target with more digits than the origin: rows are found, and told from others, by what they hold."""

from __future__ import annotations

import decimal
from typing import Any

import pytest

from tests.harness import Pair, Pairs, execute

pytestmark = pytest.mark.servers

ORIGIN = (
    "price DECIMAL(10,2) NOT NULL, moment DATETIME(1) NOT NULL, stamp TIMESTAMP NULL, clock TIME, day DATE, number INT UNSIGNED,"
    " total DECIMAL(8,2) UNSIGNED, whole DECIMAL(9,0), v VARCHAR(20)"
)
TARGET = (
    "price DECIMAL(20,6) NOT NULL, moment DATETIME(6) NOT NULL, stamp TIMESTAMP(3) NULL, clock TIME(6), day DATETIME(2),"
    " number DECIMAL(14,3), total DECIMAL(30,5) UNSIGNED ZEROFILL, whole DECIMAL(65,30), v VARCHAR(40)"
)
SAME = (
    "SELECT CAST(price AS DECIMAL(20,6)), CAST(moment AS DATETIME(6)), CAST(stamp AS DATETIME(6)), CAST(clock AS TIME(6)),"
    " CAST(day AS DATETIME), CAST(number AS DECIMAL(14,3)), CAST(total AS DECIMAL(30,5)), CAST(whole AS DECIMAL(65,30)), v"
    " FROM {} ORDER BY v, price"
)


def start(pairs: Pairs, flavor: str, keys: dict[str, str], **settings: Any) -> Pair:
    """A running pair with a table for each of ``keys``, wider at the target."""
    pair = pairs(flavor, flavor, options=settings)
    for table, key in keys.items():
        execute(pair.origin, f"CREATE TABLE IF NOT EXISTS {pair.name}.{table} ({ORIGIN}{key})")
        execute(pair.target, f"CREATE TABLE {pair.name}.{table} ({TARGET}{key})")
    pair.start()
    for table in keys:
        rows = ",".join([row(n) for n in range(1, 9)])
        execute(pair.origin, "SET time_zone='+00:00'", f"INSERT INTO {pair.name}.{table} VALUES {rows}")
    pair.settle()
    return pair


def row(n: int) -> str:
    """A row with a little of everything; the eighth has what may be NULL so."""
    if n == 8:
        return "(-8.10, '2024-01-08 00:00:00', NULL, NULL, NULL, NULL, NULL, NULL, 'row 8')"
    return (
        f"({n}.50, '2024-01-0{n} 10:00:00.{n}', '2024-02-0{n} 01:02:03', '-1{n}:00:00', '2024-03-0{n}', 400000000{n},"
        f" {n}.05, -{n}000, 'row {n}')"
    )


def conflicts(pair: Pair) -> list[Any]:
    """What the target's log has, oldest first."""
    log = f"SELECT conflict, decision FROM replicator.conflict_log WHERE table_name LIKE '{pair.name}.%' ORDER BY id"
    return execute(pair.target, log)


def same(pair: Pair, table: str) -> int:
    """How many rows both have, which must be equal."""
    origin, target = (execute(server, SAME.format(f"{pair.name}.{table}")) for server in (pair.origin, pair.target))
    assert origin == target
    return len(target)


KEYS = {"keyed": ", PRIMARY KEY (price, moment)", "daily": ", PRIMARY KEY (price), UNIQUE KEY (day), UNIQUE KEY (number)"}


@pytest.mark.parametrize("detect", ["key", "full"])
def test_rows_are_found_and_nothing_is_a_conflict(pairs: Pairs, flavor: str, detect: str) -> None:
    """With keys and without; inserted, changed, moved and deleted."""
    pair = start(pairs, flavor, {**KEYS, "keyless": ""}, detect=detect)
    for table in (*KEYS, "keyless"):
        name = f"{pair.name}.{table}"
        execute(
            pair.origin,
            "SET autocommit=1",
            f"INSERT INTO {name} VALUES " + row(8).replace("-8.10", "-9.90").replace("row 8", "row 9"),
            f"UPDATE {name} SET total=total+0.01, whole=7 WHERE v='row 1'",
            f"UPDATE {name} SET price=77.70, moment='2025-01-01 00:00:00.5' WHERE v='row 2'",
            f"UPDATE {name} SET number=5, day='1999-01-01' WHERE v='row 8'",
            f"DELETE FROM {name} WHERE v IN ('row 3', 'row 9')",
        )
    execute(pair.origin, f"INSERT INTO {pair.name}.keyless SELECT * FROM {pair.name}.keyless WHERE v='row 4'")
    execute(pair.origin, f"DELETE FROM {pair.name}.keyless WHERE v='row 4' LIMIT 1")
    pair.settle()
    assert [same(pair, table) for table in (*KEYS, "keyless")] == [7, 7, 7]
    assert conflicts(pair) == []


@pytest.mark.parametrize("detect", ["key", "full"])
def test_beside_a_conflict_the_other_rows_are_found(pairs: Pairs, flavor: str, detect: str) -> None:
    """What is settled at once with it is deleted and changed as planned."""
    pair = start(pairs, flavor, KEYS, detect=detect, conflicts={"default": "keep_target"})
    for table in KEYS:
        name = f"{pair.name}.{table}"
        execute(pair.target, f"DELETE FROM {name} WHERE v='row 1'")
        execute(
            pair.origin,
            f"DELETE FROM {name} WHERE v IN ('row 1', 'row 2')",
            f"UPDATE {name} SET whole=7 WHERE v='row 3'",
            f"UPDATE {name} SET number=5, day='1999-01-01' WHERE v='row 8'",
        )
    pair.settle()
    assert [same(pair, table) for table in KEYS] == [6, 6]
    assert [conflict for conflict, _ in conflicts(pair)] == ["delete_missing", "delete_missing"]


def test_a_difference_beyond_the_origins_digits_is_one(pairs: Pairs, flavor: str) -> None:
    """Where whole rows are compared."""
    pair = start(pairs, flavor, {"keyed": KEYS["keyed"]}, detect="full", conflicts={"default": "keep_target"})
    name = f"{pair.name}.keyed"
    changes = ["total=total+0.00001", "clock=clock-INTERVAL 1 MICROSECOND", "day=day+INTERVAL 1 SECOND", "number=number+0.5"]
    execute(pair.target, *[f"UPDATE {name} SET {change} WHERE v='row {n}'" for n, change in enumerate(changes, 1)])
    execute(pair.origin, f"UPDATE {name} SET v='new' WHERE v <= 'row 5'")
    pair.settle()
    assert [conflict for conflict, _ in conflicts(pair)] == ["update_differing"] * 4
    assert execute(pair.target, f"SELECT price FROM {name} WHERE v='new'") == [(decimal.Decimal("5.5"),)]
