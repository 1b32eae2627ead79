-- about: several statements in one query
CREATE TABLE t (id INT PRIMARY KEY, n INT);
