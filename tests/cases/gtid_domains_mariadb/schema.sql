-- about: transactions of several GTID domains and server ids in one binlog
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY, n INT);
