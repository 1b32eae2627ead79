-- about: a row of 64 MiB and one of 20 MB of bytes that must be escaped
-- pairs: mysql>mysql mariadb>mariadb
-- slow: moves 170 MB
CREATE TABLE t (id INT PRIMARY KEY, l LONGBLOB);
