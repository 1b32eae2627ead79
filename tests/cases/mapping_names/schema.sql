-- about: a database and a table that have other names at the target, DDL included
-- pairs: mysql>mysql mariadb>mariadb
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(10));
