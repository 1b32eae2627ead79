-- about: a stored generated column as primary key
-- servers: mysql
CREATE TABLE t (a INT, k INT AS (a * 10) STORED, n INT, PRIMARY KEY (k));
