-- about: transactions of several source UUIDs, with gaps, in one binlog
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY, n INT);
