"""After a crash the fingerprint tells on real servers whether a statement ran; blindly re-run ones fail or do no harm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from dev import DatabaseServer
from replicator.sql.classify import Statement, classify
from replicator.sql.fingerprint import Fingerprint
from replicator.sql.rerun import Verdict, decide, fingerprint, fingerprint_queries, idempotent_errors
from replicator.sql.rewrite import guard_trigger, is_guarded

pytestmark = pytest.mark.servers

RAN, AGAIN, UNCLEAR = Verdict.RAN, Verdict.AGAIN, Verdict.UNCLEAR

SETUP = [
    "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT NOT NULL DEFAULT 0, c VARCHAR(20), KEY k (a))",
    "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE `a-b` (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE vacant (id INT PRIMARY KEY, v INT)",
    "INSERT INTO a VALUES (1, 1)",
    "INSERT INTO b VALUES (2, 2)",
    "CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id)"
    " (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
    "CREATE TABLE h (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 3",
    "CREATE TABLE child (id INT PRIMARY KEY, t_id INT, CONSTRAINT f0 FOREIGN KEY (t_id) REFERENCES t (id))",
    "CREATE VIEW v AS SELECT 1 AS x",
    "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
    "CREATE PROCEDURE pr() SELECT 1",
    "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO SET @a = 1",
]

# flavor ("" for both) | statement | the verdict after it ran
CASES: list[tuple[str, str, Verdict]] = [
    ("", "CREATE TABLE n (a INT)", RAN),
    ("", "CREATE TABLE n LIKE t", RAN),
    ("", "CREATE TABLE IF NOT EXISTS t (a INT)", AGAIN),
    ("", "DROP TABLE a, b", RAN),
    ("", "DROP TABLE IF EXISTS a, nothing", RAN),
    ("", "TRUNCATE TABLE a", RAN),
    ("", "TRUNCATE TABLE `a-b`", RAN),
    ("", "RENAME TABLE a TO n", RAN),
    ("", "RENAME TABLE a TO _a_del, b TO a", RAN),
    ("", "RENAME TABLE a TO tmp, b TO a, tmp TO b", RAN),
    ("", "RENAME TABLE a TO tmp, `a-b` TO a, tmp TO `a-b`", RAN),
    ("", "ALTER TABLE a RENAME TO n", RAN),
    ("", "ALTER TABLE t ADD COLUMN x INT FIRST, ADD COLUMN y INT AFTER a", RAN),
    ("", "ALTER TABLE t DROP COLUMN c", RAN),
    ("", "ALTER TABLE t DROP COLUMN c, ADD COLUMN c VARCHAR(20)", AGAIN),
    ("", "ALTER TABLE t MODIFY a BIGINT NOT NULL DEFAULT 5", RAN),
    ("", "ALTER TABLE t MODIFY a INT", AGAIN),
    ("", "ALTER TABLE t CHANGE a b INT, CHANGE b a INT", RAN),
    ("", "ALTER TABLE t RENAME COLUMN a TO z", RAN),
    ("", "ALTER TABLE t RENAME INDEX k TO l", RAN),
    ("", "ALTER TABLE t ADD INDEX (b)", RAN),
    ("", "ALTER TABLE t ADD INDEX named (b, c(5))", RAN),
    ("", "ALTER TABLE t DROP INDEX k", RAN),
    ("", "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, b)", RAN),
    ("", "ALTER TABLE vacant ADD FOREIGN KEY (v) REFERENCES t (id)", RAN),
    ("", "ALTER TABLE vacant ADD CONSTRAINT f FOREIGN KEY (v) REFERENCES t (id) ON DELETE CASCADE", RAN),
    ("", "ALTER TABLE child DROP FOREIGN KEY f0", RAN),
    ("", "ALTER TABLE a ADD CONSTRAINT ck CHECK (v > 0)", RAN),
    ("", "ALTER TABLE a ADD CHECK (v > 0)", RAN),
    ("", "ALTER TABLE t CONVERT TO CHARACTER SET latin1", RAN),
    ("", "ALTER TABLE t COMMENT 'x'", RAN),
    ("", "ALTER TABLE t ENGINE=InnoDB", AGAIN),
    ("", "ALTER TABLE t AUTO_INCREMENT = 50", AGAIN),
    ("", "ALTER TABLE t ALTER a SET DEFAULT 7", RAN),
    ("mysql", "ALTER TABLE t ALTER INDEX k INVISIBLE", RAN),
    ("mysql", "ALTER TABLE t ADD INDEX e ((a + b))", RAN),
    ("mysql", "ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0) NOT ENFORCED", RAN),
    ("mysql", "ALTER TABLE t MODIFY a INT INVISIBLE", RAN),
    ("mariadb", "ALTER TABLE t MODIFY a INT INVISIBLE", RAN),
    ("mariadb", "ALTER TABLE t ALTER INDEX k IGNORED", RAN),
    ("mariadb", "ALTER TABLE t ADD SYSTEM VERSIONING", RAN),
    ("mariadb", "ALTER TABLE sv DROP SYSTEM VERSIONING", RAN),
    ("", "CREATE INDEX i ON t (b)", RAN),
    ("", "DROP INDEX k ON t", RAN),
    ("", "ALTER TABLE p ADD PARTITION (PARTITION p2 VALUES LESS THAN (30))", RAN),
    ("", "ALTER TABLE p DROP PARTITION p0", RAN),
    ("", "ALTER TABLE p TRUNCATE PARTITION p0", RAN),
    ("", "ALTER TABLE p REORGANIZE PARTITION p0 INTO (PARTITION a VALUES LESS THAN (5), PARTITION b VALUES LESS THAN (10))",
     RAN),
    ("", "ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE a", RAN),
    ("", "ALTER TABLE p REMOVE PARTITIONING", RAN),
    ("", "ALTER TABLE h COALESCE PARTITION 1", RAN),
    ("", "ALTER TABLE h ADD PARTITION PARTITIONS 1", RAN),
    ("", "ALTER TABLE a PARTITION BY KEY () PARTITIONS 2", RAN),
    ("mariadb", "ALTER TABLE p CONVERT PARTITION p0 TO TABLE n", RAN),
    ("", "CREATE VIEW n AS SELECT 1", RAN),
    ("", "CREATE OR REPLACE VIEW v AS SELECT 2 AS y", RAN),
    ("", "ALTER VIEW v AS SELECT 3 AS z", RAN),
    ("", "DROP VIEW v", RAN),
    ("", "CREATE TRIGGER n BEFORE INSERT ON a FOR EACH ROW SET NEW.v = 1", RAN),
    ("", "DROP TRIGGER tr", RAN),
    ("", "CREATE PROCEDURE n() SELECT 1", RAN),
    ("", "DROP PROCEDURE pr", RAN),
    ("", "CREATE FUNCTION n() RETURNS INT DETERMINISTIC RETURN 1", RAN),
    ("", "CREATE EVENT n ON SCHEDULE EVERY 1 DAY DO SET @a = 1", RAN),
    ("", "DROP EVENT ev", RAN),
    ("", "CREATE DATABASE n", RAN),
    ("", "ALTER DATABASE d CHARACTER SET latin1", AGAIN),
    ("", "DROP DATABASE d", RAN),
    ("mariadb", "CREATE SEQUENCE n", RAN),
    ("mariadb", "CREATE OR REPLACE TABLE a (x INT)", RAN),
]  # fmt: skip


class Target:
    """A server, with a session in a fresh database `d`."""

    def __init__(self, server: DatabaseServer) -> None:
        self.flavor = server.flavor
        self.connection = server.connect(autocommit=True)
        self.cursor = self.connection.cursor()

    def run(self, *statements: str | bytes) -> list[Any]:
        """Run them; returns the last one's rows."""
        for statement in statements:
            self.cursor.execute(statement)
        return list(self.cursor.fetchall())

    def error(self, statement: str) -> int | None:
        """Run it; returns the server's error, None if there is none."""
        try:
            self.run(statement)
        except pymysql.MySQLError as error:
            return int(error.args[0])
        return None

    def fresh(self) -> None:
        """The database `d` as SETUP makes it, and no database `n`."""
        self.run("DROP DATABASE IF EXISTS n", "DROP DATABASE IF EXISTS d", "CREATE DATABASE d CHARACTER SET utf8mb4")
        self.run("USE d", *SETUP)
        if self.flavor == "mariadb":
            self.run("CREATE TABLE sv (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")

    def classify(self, statement: str) -> Statement:
        return classify(statement, default_schema="d", flavor=self.flavor)

    def fingerprint(self, statement: Statement) -> str:
        queries = fingerprint_queries(statement, self.flavor)
        return fingerprint(queries, [self.run(query.sql.decode()) for query in queries])


@pytest.fixture
def target(server: DatabaseServer) -> Iterator[Target]:
    """A server whose log_bin_trust_function_creators lets routines be made."""
    target = Target(server)
    target.run("SET GLOBAL log_bin_trust_function_creators = 1")
    yield target
    target.run("DROP DATABASE IF EXISTS n", "DROP DATABASE IF EXISTS d")
    target.connection.close()


@pytest.mark.parametrize(("flavor", "text", "verdict"), CASES)
def test_the_fingerprint_tells_whether_it_ran(target: Target, flavor: str, text: str, verdict: Verdict) -> None:
    """Not run: run again. Run: RAN, or AGAIN where a second run changes nothing more."""
    if flavor not in ("", target.flavor):
        pytest.skip(f"only at {flavor}")
    target.fresh()
    statement = target.classify(text)
    before = target.fingerprint(statement)
    assert decide(statement, before, target.fingerprint(statement)).verdict is AGAIN
    target.run(text)
    now = target.fingerprint(statement)
    decision = decide(statement, before, now)
    assert decision.verdict is verdict, decision.reason
    if decision.verdict is AGAIN:
        assert target.error(text) in (None, *decision.accept)
        assert decide(statement, now, target.fingerprint(statement)).verdict is AGAIN


@pytest.mark.parametrize(("flavor", "text"), [(flavor, text) for flavor, text, _ in CASES])
def test_a_blind_second_run_fails_or_does_no_harm(target: Target, flavor: str, text: str) -> None:
    """Without a fingerprint: an error that says so, or nothing more changes, or it is known to be unclear."""
    if flavor not in ("", target.flavor):
        pytest.skip(f"only at {flavor}")
    target.fresh()
    statement = target.classify(text)
    target.run(text)
    now = target.fingerprint(statement)
    decision = decide(statement, None, now)
    if decision.verdict is UNCLEAR:
        return
    assert decision.accept == idempotent_errors(statement)
    assert target.error(text) in (None, *decision.accept)
    # What a second run may change are InnoDB's numbers, and the times at which routines were made.
    if statement.object is None:
        assert Fingerprint(now).structures() == Fingerprint(target.fingerprint(statement)).structures()


def test_a_half_dropped_list_is_finished(target: Target) -> None:
    """Servers may crash between two tables of one DROP: the second run drops the rest, and the missing one is no error."""
    target.fresh()
    statement = target.classify("DROP TABLE a, b")
    before = target.fingerprint(statement)
    target.run("DROP TABLE a")
    decision = decide(statement, before, target.fingerprint(statement))
    assert decision.verdict is AGAIN
    assert 1051 in decision.accept


def test_half_a_rename_is_unclear(target: Target) -> None:
    """Neither the old nor the new names: a person must look."""
    target.fresh()
    statement = target.classify("RENAME TABLE a TO x, b TO y")
    before = target.fingerprint(statement)
    target.run("RENAME TABLE a TO x")
    assert decide(statement, before, target.fingerprint(statement)).verdict is UNCLEAR


@pytest.mark.parametrize("text", ["RENAME TABLE m1 TO tmp, m2 TO m1, tmp TO m2", "RENAME TABLE ä TO tmp, ö TO ä, tmp TO ö"])
def test_swaps_that_nothing_shows_are_unclear(target: Target, text: str) -> None:
    """MyISAM has no numbers of its own; names outside of ASCII are not looked up: the applier halts and says so."""
    target.fresh()
    target.run("CREATE TABLE m1 (a INT) ENGINE=MyISAM", "CREATE TABLE m2 (a INT) ENGINE=MyISAM")
    target.run("CREATE TABLE ä (a INT)", "CREATE TABLE ö (a INT)")
    statement = target.classify(text)
    before = target.fingerprint(statement)
    assert decide(statement, before, before).verdict is UNCLEAR
    target.run(text)
    assert decide(statement, before, target.fingerprint(statement)).verdict is UNCLEAR


def test_the_fingerprint_does_not_depend_on_the_session(target: Target, server: DatabaseServer) -> None:
    """It is taken by one process before, and by another after a crash."""
    target.fresh()
    statement = target.classify("ALTER TABLE `a-b` ADD x INT COMMENT 'ü'")
    settings = "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+05:00'"
    with server.connect(charset="latin1", init_command=settings) as other:
        cursor = other.cursor()
        queries = fingerprint_queries(statement, server.flavor)
        answers = []
        for query in queries:
            cursor.execute(query.sql.decode())
            answers.append(list(cursor.fetchall()))
    assert fingerprint(queries, answers) == target.fingerprint(statement)


@pytest.mark.parametrize(
    "body",
    [
        "SET NEW.b = 9",
        "BEGIN DECLARE x INT DEFAULT 9; IF x > 5 THEN SET NEW.b = x; ELSE SET NEW.b = 0; END IF; END -- the end",
        "SET NEW.b = CASE WHEN 1 THEN IF(1, 9, 3) ELSE 4 END",
    ],
)
def test_guarded_triggers_do_nothing_while_applying(target: Target, body: str) -> None:
    """The guarded trigger acts for others and not in the applier's sessions, and the server shows it as guarded."""
    target.fresh()
    target.run("DROP TRIGGER tr")
    text = f"CREATE DEFINER=`root`@`localhost` TRIGGER tr BEFORE INSERT ON t FOR EACH ROW {body}"
    guarded = guard_trigger(target.classify(text))
    target.run(guarded, "INSERT INTO t (id) VALUES (1)", "SET @replicator_applying = 1", "INSERT INTO t (id) VALUES (2)")
    target.run("SET @replicator_applying = NULL")
    assert target.run("SELECT b FROM t ORDER BY id") == [(9,), (0,)]
    ((shown,),) = target.run("SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_NAME = 'tr'")
    assert is_guarded(shown.encode())
