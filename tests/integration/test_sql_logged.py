"""What servers really log for DDL is classified rightly: they rewrite some statements, and split others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pymysql.constants import CLIENT, COMMAND
from sql_describe import describe

from dev import DatabaseServer
from replicator.sql.classify import Statement, classify
from replicator.sql.tokens import BLANK, Syntax, tokenize

pytestmark = pytest.mark.servers

# ruff: noqa: E501  a statement and what is said of it stand in one line where they can
# fmt: off

QUERY_EVENT = 2

# flavor ("" for both) | statement | classes and names as `describe` writes them, one for each logged statement
CASES: list[tuple[str, str, list[str]]] = [
    ("", "CREATE TABLE t1 (id INT PRIMARY KEY, a INT, b VARCHAR(20))", ["create d.t1:target"]),
    ("mysql", "CREATE TABLE IF NOT EXISTS t1 (id INT)", ["create d.t1:target IF"]),
    ("mariadb", "CREATE TABLE IF NOT EXISTS t1 (id INT)", []),
    ("", "CREATE TABLE ctas AS SELECT * FROM t1", ["create d.ctas:target"]),
    ("", "CREATE TABLE like1 LIKE e.other", ["create d.like1:target e.other:like"]),
    ("", "CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk1 FOREIGN KEY (p) REFERENCES t1 (id))",
     ["create d.child:target d.t1:references"]),
    ("", "ALTER TABLE child ADD COLUMN q INT, ADD CONSTRAINT fk2 FOREIGN KEY (q) REFERENCES e.other (id)",
     ["alter d.child:target e.other:references"]),
    ("", "CREATE TEMPORARY TABLE tmp1 (id INT)", []),
    ("", "DROP TEMPORARY TABLE tmp1", []),
    ("", "CREATE TEMPORARY TABLE like1 (id INT)", []),
    ("", "DROP TABLE like1 /* the temporary one */", []),
    ("", "DROP TABLE IF EXISTS like1, e.nothing", ["drop d.like1:target e.nothing:target IF"]),
    ("", "ALTER TABLE t1 ADD INDEX (a), ADD c INT NULL FIRST", ["alter d.t1:target"]),
    ("", "CREATE INDEX ix ON t1 (b(4)) COMMENT 'on; x'", ["index d.t1:target"]),
    ("", "DROP INDEX ix ON t1", ["index d.t1:target"]),
    ("", "ALTER TABLE t1 CONVERT TO CHARACTER SET utf8mb4", ["alter d.t1:target"]),
    ("", "ALTER TABLE t1 RENAME TO e.t1, ALGORITHM=INPLACE", ["rename d.t1:target e.t1:new_name"]),
    ("", "RENAME TABLE e.t1 TO t1, e.other TO `e`.`o'ther`", ["rename e.t1:target d.t1:new_name e.other:target e.o'ther:new_name"]),
    ("", "RENAME TABLE e.`o'ther` TO e.other", ["rename e.o'ther:target e.other:new_name"]),
    ("", "TRUNCATE e . other2", ["truncate e.other2:target"]),
    ("", "CREATE TABLE p1 (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10),"
     " PARTITION b VALUES LESS THAN (20))", ["create d.p1:target"]),
    ("", "CREATE TABLE p2 (id INT PRIMARY KEY)", ["create d.p2:target"]),
    ("", "ALTER TABLE p1 EXCHANGE PARTITION a WITH TABLE p2", ["partition d.p1:target d.p2:target"]),
    ("", "ALTER TABLE p1 ADD PARTITION (PARTITION c VALUES LESS THAN (30))", ["partition d.p1:target"]),
    ("", "ALTER TABLE p1 TRUNCATE PARTITION c", ["partition+truncate d.p1:target"]),
    ("", "ALTER TABLE p1 DROP PARTITION c", ["partition+drop d.p1:target"]),
    ("", "ALTER TABLE p1 REORGANIZE PARTITION a INTO (PARTITION a1 VALUES LESS THAN (5), PARTITION a2 VALUES LESS THAN (10))",
     ["partition d.p1:target"]),
    ("", "ALTER TABLE p1 REMOVE PARTITIONING", ["partition d.p1:target"]),
    ("", "CREATE VIEW v1 (x) AS SELECT t.a FROM t1 t JOIN e.other USING (id)", ["view d.v1:target d.t1:source e.other:source"]),
    ("", "CREATE OR REPLACE VIEW v1 AS SELECT 1", ["view d.v1:target"]),
    ("", "ALTER VIEW v1 AS SELECT * FROM `t1`", ["view d.v1:target d.t1:source"]),
    ("", "DROP VIEW IF EXISTS v1, e.v2", ["view d.v1:target e.v2:target IF"]),
    ("", "CREATE TRIGGER tr1 BEFORE INSERT ON t1 FOR EACH ROW BEGIN SET NEW.a = 1; SET NEW.c = 2; END",
     ["trigger d.t1:target object d.tr1"]),
    ("", "DROP TRIGGER tr1", ["trigger object d.tr1"]),
    ("", "CREATE PROCEDURE e.pr() BEGIN SELECT 1; DROP TABLE t1; END", ["routine object e.pr"]),
    ("", "DROP PROCEDURE e.pr", ["routine object e.pr"]),
    ("", "CREATE FUNCTION fn(a INT) RETURNS INT DETERMINISTIC RETURN a + 1", ["routine object d.fn"]),
    ("", "DROP FUNCTION fn", ["routine object d.fn"]),
    ("", "CREATE EVENT ev ON SCHEDULE EVERY 1 HOUR DO DELETE FROM t1", ["event object d.ev"]),
    ("", "ALTER EVENT ev DISABLE", ["event object d.ev"]),
    ("", "DROP EVENT ev", ["event object d.ev"]),
    ("", "CREATE DATABASE `x.y` CHARACTER SET utf8mb4", ["database schemas x.y"]),
    ("", "ALTER DATABASE `x.y` CHARACTER SET latin1", ["database schemas x.y"]),
    ("", "DROP DATABASE `x.y`", ["database+drop schemas x.y"]),
    ("", "CREATE USER u1@localhost IDENTIFIED BY 'pa;ss'", ["user"]),
    ("", "GRANT SELECT ON d.* TO u1@localhost", ["user"]),
    ("mariadb", "SET PASSWORD FOR u1@localhost = PASSWORD('x')", ["user"]),
    ("mysql", "SET PASSWORD FOR u1@localhost = 'x'", ["user"]),
    ("", "ALTER USER u1@localhost IDENTIFIED BY 'x'", ["user"]),
    ("", "DROP USER u1@localhost", ["user"]),
    ("", "ANALYZE TABLE t1", ["admin d.t1:target"]),
    ("", "OPTIMIZE TABLE t1, e.other", ["admin d.t1:target e.other:target"]),
    ("", "FLUSH TABLES t1", ["admin"]),
    ("", "/* lead */ ALTER /*!50001 TABLE */ t1 -- a comment\n ADD /*!99999 UNKNOWN */ COLUMN z1 INT # end",
     ["alter d.t1:target"]),
    ("mysql", "ALTER TABLE t1 ADD COLUMN z2 INT /*!80023 INVISIBLE */", ["alter d.t1:target"]),
    ("mariadb", "ALTER TABLE t1 ADD COLUMN z2 INT /*!80023 INVISIBLE */ /*M!100300 INVISIBLE */", ["alter d.t1:target"]),
    ("", "CREATE TABLE `sel``ect😀` (`from` INT PRIMARY KEY)".replace("😀", "ü"), ["create d.sel`ectü:target"]),
    ("", "DROP TABLE `sel``ectü`", ["drop d.sel`ectü:target"]),
    ("", "create table " + "n" * 64 + " (a int)", ["create d." + "n" * 64 + ":target"]),
    ("", "ALTER TABLE t1 ENGINE=InnoDB ROW_FORMAT=DYNAMIC, COMMENT='x, RENAME TO y'", ["alter d.t1:target"]),
    ("", "ALTER TABLE t1 DROP COLUMN z2, RENAME INDEX a TO a2", ["alter d.t1:target DESTROYS"]),
    ("", "ALTER TABLE t1 ORDER BY a, b DESC", ["alter d.t1:target"]),
    ("", "CREATE TABLE m1 (a INT) ENGINE=MyISAM", ["create d.m1:target"]),
    ("", "CREATE TABLE m2 (a INT) ENGINE=MERGE UNION=(m1) INSERT_METHOD=LAST", ["create d.m2:target d.m1:source"]),
    ("mysql", "DROP TABLES m2, m1, e.other2", ["drop d.m2:target", "drop d.m1:target", "drop e.other2:target"]),
    ("mariadb", "DROP TABLES m2, m1, e.other2", ["drop d.m2:target d.m1:target e.other2:target"]),
    ("mariadb", "CREATE SEQUENCE s1 START WITH 5", ["sequence d.s1:target KEEPS"]),
    ("mariadb", "ALTER SEQUENCE IF EXISTS s1 RESTART 7", ["sequence d.s1:target KEEPS IF"]),
    ("mariadb", "DROP SEQUENCE s1", ["sequence+drop d.s1:target"]),
    ("mariadb", "CREATE OR REPLACE TABLE p2 (id INT)", ["create+drop d.p2:target"]),
    ("mariadb", "SET STATEMENT lock_wait_timeout=5, sort_buffer_size=(1024*1024) FOR ALTER ONLINE TABLE t1 WAIT 3 ADD n1 INT",
     ["alter d.t1:target"]),
    ("mariadb", "TRUNCATE TABLE child NOWAIT", ["truncate d.child:target"]),
    ("mariadb", "ALTER TABLE t1 ADD SYSTEM VERSIONING", ["alter d.t1:target"]),
    ("mariadb", "DROP TABLE IF EXISTS p2 WAIT 1", ["drop d.p2:target IF"]),
    ("mariadb", "CREATE OR REPLACE TRIGGER tr2 AFTER DELETE ON t1 FOR EACH ROW SET @x = 1", ["trigger d.t1:target object d.tr2"]),
    ("mysql", "CREATE SPATIAL REFERENCE SYSTEM 990001 NAME 'x' DEFINITION 'GEOGCS[\"x\",DATUM[\"x\",SPHEROID[\"x\",6378137,298.2]],"
     "PRIMEM[\"G\",0],UNIT[\"d\",0.017],AXIS[\"Lat\",NORTH],AXIS[\"Lon\",EAST]]'", ["server"]),
    ("mysql", "CREATE ROLE r1", ["user"]),
    ("mysql", "ALTER TABLE t1 ADD CHECK (a > 0), ALTER COLUMN a SET DEFAULT (1 + 1)", ["alter d.t1:target"]),
    ("mysql", "CREATE TABLE jt AS SELECT j.x FROM t1, JSON_TABLE('[1]', '$[*]' COLUMNS (x INT PATH '$')) j", ["create d.jt:target"]),
]


# fmt: on


class Session:
    """Runs statements at a server and tells what it logged for each."""

    def __init__(self, server: DatabaseServer, connection: Any = None) -> None:
        self.flavor = server.flavor
        self.connection = connection or server.connect(autocommit=True)
        self.cursor = self.connection.cursor()
        self._data = server.dir / "data"

    def run(self, statement: str) -> None:
        """Run what pymysql can encode; results of further statements are read too."""
        self.cursor.execute(statement)
        while self.cursor.nextset():
            pass

    def send(self, statement: bytes) -> None:
        """Run these bytes, whatever the session's character set is."""
        self.connection._execute_command(COMMAND.COM_QUERY, statement)
        self.connection._affected_rows = self.connection._read_query_result()

    def position(self) -> tuple[str, int]:
        """File and offset of the binlog's end."""
        self.cursor.execute("SHOW BINLOG STATUS" if self.flavor == "mariadb" else "SHOW MASTER STATUS")
        file, offset = self.cursor.fetchone()[:2]
        return file, offset

    def logged(self, statement: str, **reading: Any) -> list[Statement]:
        """Run it; returns the statements logged for it, BEGIN and COMMIT left out, classified."""
        position = self.position()
        self.run(statement)
        return [classify(text, default_schema=schema, flavor=self.flavor, **reading) for schema, text in self.raw(position)]

    def raw(self, position: tuple[str, int]) -> list[tuple[str, bytes]]:
        """Default schema and statement of all QUERY events behind the position, read from the file itself."""
        file, at = position
        binlog = (self._data / file).read_bytes()
        found = []
        while at < len(binlog):
            size = int.from_bytes(binlog[at + 9 : at + 13], "little")
            event, at = binlog[at : at + size], at + size
            if event[4] != QUERY_EVENT:
                continue
            schema_at = 19 + 13 + int.from_bytes(event[30:32], "little")
            schema_end = schema_at + event[27]
            text = event[schema_end + 1 : -4]  # a checksum follows
            if text not in (b"BEGIN", b"COMMIT"):
                found.append((event[schema_at:schema_end].decode(), text))
        return found


@pytest.fixture
def session(server: DatabaseServer) -> Iterator[Session]:
    """A session in a fresh database `d`, with a neighbour `e`."""
    session = Session(server)
    for schema in ("d", "e"):
        session.run(f"DROP DATABASE IF EXISTS {schema}")
        session.run(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
    session.run("CREATE TABLE e.other (id INT PRIMARY KEY)")
    session.run("CREATE TABLE e.other2 (id INT PRIMARY KEY)")
    session.run("USE d")
    yield session
    for schema in ("d", "e"):
        session.run(f"DROP DATABASE IF EXISTS {schema}")
    session.connection.close()


def test_every_logged_statement_is_classified(session: Session) -> None:
    """Class, tables and roles of what the server wrote to its binlog, for a long list of DDL."""
    wrong = []
    for flavor, statement, expected in CASES:
        if flavor in ("", session.flavor):
            got = [describe(found) for found in session.logged(statement)]
            if got != expected:
                wrong.append(f"{statement}\n  expected {expected}\n  logged   {got}")
    assert not wrong, "\n".join(wrong)


def test_several_statements_at_once_are_logged_one_by_one(server: DatabaseServer, session: Session) -> None:
    """A client may send many; the binlog has each on its own, split where the server splits."""
    with server.connect(autocommit=True, database="d", client_flag=CLIENT.MULTI_STATEMENTS) as connection:
        other = Session(server, connection)
        got = other.logged("CREATE TABLE a (x CHAR(9) DEFAULT ';'); ALTER TABLE a ADD y INT; DROP TABLE a")
    assert [describe(found) for found in got] == ["create d.a:target", "alter d.a:target", "drop d.a:target"]


@pytest.mark.parametrize(
    ("charset", "name"), [("latin1", "tä"), ("gbk", "誠縗"), ("big5", "功許"), ("sjis", "表ソ"), ("utf8mb4", "tü誠")]
)
def test_names_in_the_clients_character_set(session: Session, charset: str, name: str) -> None:
    """The binlog holds the statement as the client sent it, also what the server writes anew."""
    session.run(f"SET NAMES {charset}")
    codec = {"latin1": "cp1252", "sjis": "shift_jis", "utf8mb4": "utf-8"}.get(charset, charset)
    position = session.position()
    for text in (f"CREATE TABLE `{name}` (a INT COMMENT '{name}')", f"ALTER TABLE {name} ADD b INT", f"DROP TABLE `{name}`"):
        session.send(text.encode(codec))
    session.run("SET NAMES utf8mb4")
    statements = session.raw(position)
    got = [classify(text, default_schema=schema, flavor=session.flavor, charset=charset) for schema, text in statements]
    assert [describe(found) for found in got] == [f"create d.{name}:target", f"alter d.{name}:target", f"drop d.{name}:target"]


def test_quotes_as_names_and_backslashes_as_themselves(session: Session) -> None:
    """The session's SQL mode decides how the binlog's text is to be read."""
    session.run("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
    options: dict[str, Any] = {"sql_mode_ansi_quotes": True, "no_backslash_escapes": True}
    create = session.logged('CREATE TABLE "a""b" ("x" INT COMMENT \'\\\')', **options)
    drop = session.logged('DROP TABLE "a""b"', **options)
    assert [describe(found) for found in create + drop] == ['create d.a"b:target', 'drop d.a"b:target']


def test_alter_database_without_a_name_means_the_events_schema(session: Session) -> None:
    """The name stands nowhere in the text; the event carries it."""
    position = session.position()
    session.run("ALTER DATABASE CHARACTER SET = latin1")
    ((schema, text),) = session.raw(position)
    assert describe(classify(text, default_schema=schema, flavor=session.flavor)) == "database schemas d"


EXPRESSIONS = [
    "1 /*!40101 + 10 */ /*!50700 + 100 */ /*!50699 + 1000 */ /*!99999 + 10000 */",
    "1 /*!50000+*/ /*!500001 */ + 1",
    "1 /*!50000+*/ /*!100001 */ + 1",
    "1 /*M!50701 + 10 */ /*M!100500 + 100 */ /*M! + 1000 */ /*M!999999 + 10000 */",
    "1 /*! + 10 */ /*!+100*/ /*!50000+1000 */",
    "1 /*!40101 /* inner */ + 10 */ /*!99999 /* inner */ + 100 */ + 1000",
    "'a\\'b /* '",
    "'a''b'",
    '"a""b\\"c"',
    "1 --1",
    "1 --\t1\n+ 2",
    "1 #1\n+ 2",
    "1 -- x\n + 2",
    "5--1",
    "x'41'",
    "0x41",
    "X'4142'",
    "b'1000001'",
    "N'x'",
    "'/*' /*'*/ '*/'",
    "1.5e1",
    "1e1",
    ".5",
    "1./*x*/+ 1",
    "'-- x'",
    "'#'",
    "1/**/+/***/2",
    "\n1\r\t+\x0b2\x0c",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_comments_and_quotes_as_the_servers_own_lexer_sees_them(session: Session, expression: str) -> None:
    """Without what we take for comments, and with versioned ones expanded, the server reads the same value."""
    if session.flavor == "mysql" and "M!" in expression:
        expression += "/* MySQL takes M! for a plain comment */"
    session.run("SELECT VERSION()")
    numbers = [int(part) for part in re.findall(r"\d+", session.cursor.fetchone()[0])[:3]]
    text = f"SELECT {expression}"
    syntax = Syntax(session.flavor, version=numbers[0] * 10_000 + numbers[1] * 100 + numbers[2])
    plain = b"".join(b" " if token.kind in BLANK else token.text for token in tokenize(text.encode(), syntax))
    session.send(text.encode())
    expected = session.connection._result.rows
    session.send(plain)
    assert session.connection._result.rows == expected
