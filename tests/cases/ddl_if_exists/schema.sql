-- about: DDL that may not find what it names
CREATE TABLE t (id INT PRIMARY KEY, n INT);
