-- about: tables without any key: equal rows count, NULLs too
CREATE TABLE t (a INT, b VARCHAR(10), c DATETIME(3), d BLOB);
CREATE TABLE one (a INT);
