"""Rows are read by their table as it was when they were written, never as it is now: also by daemons that were down meanwhile."""

from __future__ import annotations

import pytest

from tests.harness import Pair, Pairs, execute, script

pytestmark = pytest.mark.servers

CREATE = (
    "CREATE TABLE t (id INT PRIMARY KEY, a INT UNSIGNED, b VARCHAR(20) CHARACTER SET latin1, c ENUM('x','y'), d DECIMAL(10,2))",
    "CREATE TABLE nokey (a SMALLINT, b CHAR(10) CHARACTER SET gbk)",
    "CREATE TABLE gone (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE fresh (id INT PRIMARY KEY, v INT)",
    "INSERT INTO t VALUES (1, 1, 'a', 'x', 1.5), (2, 4000000000, 'é', 'y', -2.25), (3, NULL, NULL, NULL, NULL)",
    "INSERT INTO nokey VALUES (1, '中'), (1, '中'), (2, NULL)",
    "INSERT INTO gone VALUES (1, 1)",
    "INSERT INTO fresh VALUES (1, 1)",
)

STEPS = (
    "INSERT INTO t VALUES (4, 7, 'before', 'x', 3)",
    "ALTER TABLE t ADD COLUMN first_one BIGINT NOT NULL DEFAULT 5 FIRST",
    "INSERT INTO t VALUES (-1, 5, 8, 'added', 'y', 4)",
    "UPDATE t SET first_one = id WHERE id < 3",
    "ALTER TABLE t DROP COLUMN a",
    "INSERT INTO t VALUES (6, 6, 'dropped', 'x', 5)",
    "DELETE FROM t WHERE id = 3",
    "ALTER TABLE t MODIFY d DOUBLE, MODIFY c ENUM('y','x','z') CHARACTER SET utf8mb4",
    "INSERT INTO t VALUES (7, 7, 'retyped', 'z', 1.25e10)",
    "UPDATE t SET d = d + 1, c = 'x'",
    "ALTER TABLE t RENAME COLUMN b TO bb",
    "UPDATE t SET bb = CONCAT(bb, '!')",
    "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
    "UPDATE t SET bb = '😀' WHERE id = 2",
    "ALTER TABLE t ADD COLUMN g INT AS (id * 2) STORED AFTER id, ADD UNIQUE KEY (g)",
    "INSERT INTO t (first_one, id, bb, c, d) VALUES (8, 8, 'generated', 'y', 0)",
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, first_one)",
    "UPDATE t SET first_one = first_one + 1",
    "RENAME TABLE t TO renamed",
    "UPDATE renamed SET d = NULL WHERE id = 1",
    "CREATE TABLE t (id INT PRIMARY KEY, another BLOB)",
    "INSERT INTO t VALUES (1, x'00ff'), (2, NULL)",
    "ALTER TABLE nokey MODIFY b TEXT CHARACTER SET utf16, ADD COLUMN c TIMESTAMP(3) NULL",
    "UPDATE nokey SET b = '语' WHERE a = 1 LIMIT 1",
    "ALTER TABLE nokey ADD COLUMN k INT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST",
    "UPDATE nokey SET c = '2024-01-02 03:04:05.678' WHERE k = 2",
    "UPDATE gone SET v = 2",
    "DROP TABLE gone",
    "INSERT INTO fresh VALUES (2, 2)",
    "DROP TABLE fresh",
    "CREATE TABLE fresh (v VARCHAR(5), id BIGINT UNSIGNED, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 2",
    "INSERT INTO fresh VALUES ('v', 18446744073709551615)",
    "TRUNCATE TABLE fresh",
    "INSERT INTO fresh VALUES ('w', 9)",
)
"""Each kind of ALTER with rows before and behind it."""


def start(pairs: Pairs, flavor: str) -> Pair:
    """A pair whose tables arrived."""
    pair = pairs(flavor, flavor).start()
    script(pair.origin, pair.name, CREATE)
    pair.settle()
    return pair


def test_altered_while_both_daemons_were_down(pairs: Pairs, flavor: str) -> None:
    """Neither side saw one of the tables in between: all arrives as it was."""
    pair = start(pairs, flavor)
    pair.stop()
    script(pair.origin, pair.name, STEPS)
    pair.start()
    pair.settle()
    assert pair.differences() == []
    assert execute(pair.target, f"SELECT COUNT(*) FROM {pair.name}.renamed")[0][0] == 7


def test_daemons_start_anew_between_the_statements(pairs: Pairs, flavor: str) -> None:
    """The source reads half of it and is stopped, the applier reads what was shipped after both were started again."""
    pair = start(pairs, flavor)
    pair.stop("west")
    script(pair.origin, pair.name, STEPS[: len(STEPS) // 2])
    pair.command("wait", "--pair", pair.name, "--timeout", "1")
    pair.stop("east")
    script(pair.origin, pair.name, STEPS[len(STEPS) // 2 :])
    pair.start()
    pair.settle()
    assert pair.differences() == []
