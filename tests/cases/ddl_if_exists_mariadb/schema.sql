-- about: IF EXISTS inside ALTER TABLE and DROP INDEX, which MySQL does not know: a flow from MariaDB to MySQL stops there
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY, n INT);
