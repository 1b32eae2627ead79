-- about: partial JSON updates with many diffs in one row
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY, j JSON, k JSON, pad VARCHAR(200));
