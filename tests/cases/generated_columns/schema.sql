-- about: generated columns, virtual and stored, also indexed, are computed at the target and not written
CREATE TABLE t (
  id INT PRIMARY KEY, a INT, b INT, v INT GENERATED ALWAYS AS (a + b) VIRTUAL, s INT GENERATED ALWAYS AS (a * b) STORED, name VARCHAR(20),
  up VARCHAR(20) GENERATED ALWAYS AS (UPPER(name)) STORED, KEY (v), UNIQUE KEY (s)
);
CREATE TABLE first (v INT AS (id * 2) VIRTUAL, id INT, c VARCHAR(10), PRIMARY KEY (id));
CREATE TABLE nokey (a INT, s INT AS (a + 1) STORED, v INT AS (a + 2) VIRTUAL);
