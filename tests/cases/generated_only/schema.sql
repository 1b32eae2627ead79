-- about: a table that has generated columns only
CREATE TABLE t (g VARCHAR(20) AS ('same'), s INT AS (7) STORED);
