-- about: instant ADD and DROP COLUMN, many in a row
CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT);
