-- about: minus zero, which MySQL keeps and MariaDB never stores
-- pairs: mysql>mysql mariadb>mariadb mariadb>mysql
CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE, n INT);
CREATE TABLE nokey (f FLOAT, d DOUBLE);
