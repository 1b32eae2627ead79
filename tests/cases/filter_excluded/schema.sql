-- about: excluded tables stay away, DDL on them too
-- pairs: mysql>mysql mariadb>mariadb
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE tmp_1 (id INT PRIMARY KEY);
CREATE TABLE `tmp.dot` (id INT PRIMARY KEY);
