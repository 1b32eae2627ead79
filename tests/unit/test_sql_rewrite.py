"""Statements rewritten for the target mean there what they meant at the origin, or the rewriting is refused."""

from __future__ import annotations

import pytest
from sql_describe import describe
from test_sql_classify import ALTERS, OTHERS, TABLES, TOOLS, pairs

from replicator.errors import DdlError
from replicator.sql.classify import Statement, classify
from replicator.sql.rewrite import (
    disable_event,
    drop_if_exists,
    expand_comments,
    guard_trigger,
    has_start_transaction,
    is_guarded,
    rename_objects,
    strip_start_transaction,
    without_definer,
)


def read(text: str, flavor: str = "mysql", **options: bool) -> Statement:
    """Classify with the default schema `d`."""
    found = classify(text, default_schema="d", flavor=flavor, **options)
    assert found.cls != "unknown", found.reason
    return found


def mapping(schema: str, table: str) -> tuple[str, str]:
    """Database d becomes x; in it, t becomes t2."""
    return ("x" if schema == "d" else schema, "t2" if (schema, table) == ("d", "t") else table)


def to_x(schema: str) -> str:
    """Database d becomes x."""
    return "x" if schema == "d" else schema


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CREATE TABLE t(a INT)", "CREATE TABLE `x`.`t2`(a INT)"),
        ("DROP TABLE t,s.u/* c */", "DROP TABLE `x`.`t2`,`s`.`u` /* c */"),
        ("truncate`t`", "truncate `x`.`t2`"),
        ("RENAME TABLE d.t TO `d`.`_t_old`, _t_new TO t", "RENAME TABLE `x`.`t2` TO `x`.`_t_old`, `x`.`_t_new` TO `x`.`t2`"),
        ("CREATE TABLE u LIKE t", "CREATE TABLE `x`.`u` LIKE `x`.`t2`"),
        (
            "ALTER TABLE u ADD FOREIGN KEY (t) REFERENCES t(id), RENAME TO s.v",
            "ALTER TABLE `x`.`u` ADD FOREIGN KEY (t) REFERENCES `x`.`t2`(id), RENAME TO `s`.`v`",
        ),
        ("ALTER TABLE t COMMENT 'd.t'", "ALTER TABLE `x`.`t2` COMMENT 'd.t'"),
        ("ALTER TABLE p EXCHANGE PARTITION a WITH TABLE t", "ALTER TABLE `x`.`p` EXCHANGE PARTITION a WITH TABLE `x`.`t2`"),
        ("CREATE INDEX i ON t(a)", "CREATE INDEX i ON `x`.`t2`(a)"),
        ("CREATE VIEW v AS SELECT a FROM u", "CREATE VIEW `x`.`v` AS SELECT a FROM `x`.`u`"),
        (
            "CREATE VIEW v AS SELECT t.a FROM t, u WHERE t.a = u.a",
            "CREATE VIEW `x`.`v` AS SELECT t.a FROM `x`.`t2` AS `t`, `x`.`u` WHERE t.a = u.a",
        ),
        ("CREATE VIEW v AS SELECT q.a FROM t q", "CREATE VIEW `x`.`v` AS SELECT q.a FROM `x`.`t2` q"),
        ("CREATE VIEW v AS SELECT q.a FROM t AS q", "CREATE VIEW `x`.`v` AS SELECT q.a FROM `x`.`t2` AS q"),
        ("CREATE DATABASE d CHARSET latin1", "CREATE DATABASE `x` CHARSET latin1"),
        ("DROP DATABASE IF EXISTS `d`", "DROP DATABASE IF EXISTS `x`"),
        ("ALTER SCHEMA d COLLATE utf8mb4_bin", "ALTER SCHEMA `x` COLLATE utf8mb4_bin"),
        ("CREATE DATABASE s", "CREATE DATABASE s"),
    ],
)
def test_every_name_is_mapped(before: str, after: str) -> None:
    """All references get their schema and the target's names; strings and comments stay."""
    assert rename_objects(read(before), mapping, to_x).decode() == after
    again = read(after)
    assert again.cls == read(before).cls


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (a INT, CHECK (t.a > 0))",
        "CREATE VIEW v AS SELECT d.t.a FROM t",
        "CREATE VIEW v AS SELECT d.f(a) FROM u",
        "CREATE VIEW v AS SELECT a FROM t PARTITION (p)",
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW INSERT INTO u VALUES (1)",
        "CREATE PROCEDURE p() SELECT * FROM t",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        "ALTER DATABASE CHARACTER SET latin1",
    ],
)
def test_what_cannot_be_mapped_for_certain_is_refused(text: str) -> None:
    """A name in an expression or a body would keep meaning the old table."""
    with pytest.raises(DdlError):
        rename_objects(read(text), mapping, to_x)


def test_bodies_pass_where_nothing_is_mapped() -> None:
    """A trigger of a database that keeps its names stays byte for byte."""
    text = "CREATE TRIGGER s.tr BEFORE INSERT ON s.t FOR EACH ROW INSERT INTO s.u VALUES (1)"
    assert rename_objects(read(text), mapping, to_x) == text.encode()


def test_versioned_comments_become_what_the_origin_did_with_them() -> None:
    """What MySQL ran is plain text for MariaDB too; what it skipped is gone; plain comments stay."""
    text = "CREATE TABLE t (a INT /*!80023 INVISIBLE */, b INT /*! , c INT */ /*!90000 , d INT */ /* e */)"
    found = classify(text, default_schema="d", flavor="mysql", version=80031)
    plain = " ".join(expand_comments(found).decode().split())
    assert plain == "CREATE TABLE t (a INT INVISIBLE , b INT , c INT /* e */)"


def test_start_transaction_is_taken_off() -> None:
    """MySQL's logged CREATE TABLE … SELECT; a column of that name is left."""
    found = read("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB START TRANSACTION")
    assert has_start_transaction(found)
    assert strip_start_transaction(found) == b"CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB"
    other = read("CREATE TABLE t (start INT, transaction INT) COMMENT 'START TRANSACTION'")
    assert not has_start_transaction(other)


@pytest.mark.parametrize("definer", ["`a b`@`%`", "root@localhost", "CURRENT_USER", "CURRENT_USER()", "'u'@'10.0.0.1'", "r"])
def test_the_definer_is_taken_off(definer: str) -> None:
    """All ways to write an account."""
    found = read(f"CREATE DEFINER = {definer} TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @d = 1")
    assert without_definer(found) == b"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @d = 1"


HEAD = "CREATE DEFINER=`r`@`h` TRIGGER tr BEFORE INSERT ON t FOR EACH ROW FOLLOWS z "
BODIES = [
    "SET NEW.a = 1",
    "INSERT INTO u VALUES (';')",
    "BEGIN SET @a = 1; IF NEW.a THEN SET @b = 1; ELSE SET @b = 2; END IF; END",
    "lbl: BEGIN LOOP LEAVE lbl; END LOOP; END lbl",
    "IF NEW.a > 0 THEN SET NEW.b = 1; END IF",
    "SET NEW.a = CASE WHEN 1 THEN IF(1, 2, 3) ELSE 4 END",
    "CASE NEW.a WHEN 1 THEN SET @a = 1; ELSE BEGIN END; END CASE",
    "BEGIN DECLARE CONTINUE HANDLER FOR 1146 begin end; DELETE IGNORE FROM u WHERE u.`end` <=> OLD.`end` AND u.end = 1; END",
    "BEGIN WHILE 1 DO REPEAT SET @a = 1; UNTIL 1 END REPEAT; END WHILE; END -- done",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_guarded_trigger_is_seen_as_guarded(body: str) -> None:
    """The head stays, the body stands in one IF, and guarding twice changes nothing."""
    assert not is_guarded(body.encode())
    guarded = guard_trigger(read(HEAD + body))
    assert guarded.startswith(HEAD.encode() + b"IF @replicator_applying IS NULL THEN ")
    found = read(guarded.decode())
    assert is_guarded(guarded[found.body :])
    assert guard_trigger(found) == guarded


def test_guards_of_triggers_in_versioned_comments() -> None:
    """As mysqldump writes them."""
    text = "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a=1 */"
    guarded = guard_trigger(read(text))
    assert is_guarded(guarded[read(guarded.decode()).body :])


@pytest.mark.parametrize(
    "body",
    [
        "IF @replicator_applying IS NULL THEN SET @a = 1; ELSE SET @b = 1; END IF",
        "IF @replicator_applying IS NULL THEN SET @a = 1; ELSEIF 1 THEN SET @b = 1; END IF",
        "IF @replicator_applying IS NOT NULL THEN SET @a = 1; END IF",
        "IF @replicator_applying IS NULL OR 1 THEN SET @a = 1; END IF",
        "IF (@replicator_applying IS NULL) OR 1 THEN SET @a = 1; END IF",
        "BEGIN IF @replicator_applying IS NULL THEN SET @a = 1; END IF; SET @b = 1; END",
        "BEGIN SET @b = 1; IF @replicator_applying IS NULL THEN SET @a = 1; END IF; END",
        "BEGIN IF @replicator_applying IS NULL THEN SET @a = 1; END IF; IF 1 THEN SET @b = 1; END IF; END",
        "/* IF @replicator_applying IS NULL THEN */ SET @a = 1 /* END IF */",
        "IF '@replicator_applying IS NULL' THEN SET @a = 1; END IF",
        "IF @replicator_applying IS NULL THEN SET @a = 'x",
        "IF @replicator_applying_not IS NULL THEN SET @a = 1; END IF",
        "",
    ],
)
def test_what_runs_while_applying_is_not_guarded(body: str) -> None:
    """Near misses of the guard."""
    assert not is_guarded(body.encode())


def test_a_guard_by_hand_may_stand_in_begin_and_end() -> None:
    """White space, case and a block around it do not matter."""
    assert is_guarded(b"BEGIN\n if @replicator_applying is null then\n INSERT INTO u VALUES (1); end if ; END")
    assert is_guarded(b'IF @`replicator_applying` IS NULL THEN SET @a = "x"; END IF') is False


def test_only_triggers_are_guarded() -> None:
    """A procedure has no guard."""
    with pytest.raises(DdlError):
        guard_trigger(read("CREATE PROCEDURE p() SELECT 1"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO CALL p()", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO CALL p()"),
        (
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE COMMENT 'DO' DO SET @a = 1",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE COMMENT 'DO' DO SET @a = 1",
        ),
        (
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY COMMENT 'x' DO BEGIN END",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'x' DO BEGIN END",
        ),
        (
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO BEGIN END",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO BEGIN END",
        ),
        ("ALTER EVENT e ENABLE", "ALTER EVENT e DISABLE"),
        ("ALTER EVENT e RENAME TO f", "ALTER EVENT e RENAME TO f"),
        ("ALTER EVENT e ENABLE DO SET @enable = 1", "ALTER EVENT e DISABLE DO SET @enable = 1"),
    ],
)
def test_events_come_disabled(before: str, after: str) -> None:
    """An event runs at one site only, and no ALTER turns it on."""
    assert " ".join(disable_event(read(before)).decode().split()) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DROP TRIGGER tr", "DROP TRIGGER IF EXISTS tr"),
        ("DROP TRIGGER/**/`d`.tr", "DROP TRIGGER/**/ IF EXISTS `d`.tr"),
        ("DROP TRIGGER IF EXISTS tr", "DROP TRIGGER IF EXISTS tr"),
        ("DROP TABLE t", "DROP TABLE t"),
    ],
)
def test_dropped_triggers_may_be_missing(before: str, after: str) -> None:
    """DROP TRIGGER names no table, so it comes also for tables that the flow does not carry."""
    assert drop_if_exists(read(before)).decode() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DROP TABLE `a`,`b` /* generated by server */", "DROP TABLE IF EXISTS `a`,`b` /* generated by server */"),
        ("DROP SEQUENCE a, x.b", "DROP SEQUENCE IF EXISTS a, x.b"),
        ("DROP TABLE IF EXISTS a, b", "DROP TABLE IF EXISTS a, b"),
        ("DROP TABLE a", "DROP TABLE a"),
        ("DROP VIEW a, b", "DROP VIEW a, b"),
    ],
)
def test_mariadb_names_tables_that_were_not_there(before: str, after: str) -> None:
    """It logs a DROP of several that failed for some without an error; a MySQL, only those that it dropped."""
    assert drop_if_exists(read(before, "mariadb")).decode() == after
    if "SEQUENCE" not in before:
        assert drop_if_exists(read(before)).decode() == before


@pytest.mark.parametrize("statement", [statement for statement, _ in pairs(TABLES + ALTERS + OTHERS + TOOLS)])
def test_qualified_names_mean_the_same(statement: str) -> None:
    """Mapped to what they are anyway, names are only qualified: the statement stays what it is, without a default schema too."""
    before = read(statement)
    after = classify(rename_objects(before, lambda s, t: (s, t)), default_schema="d", flavor="mysql")
    assert describe(after) == describe(before)
    if before.tables and before.object is None:
        assert describe(classify(after.text, default_schema="elsewhere", flavor="mysql")) == describe(before)
    assert rename_objects(after, lambda s, t: (s, t)) == after.text
