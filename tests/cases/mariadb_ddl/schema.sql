-- about: DDL that only MariaDB has: OR REPLACE, IF [NOT] EXISTS for columns and indexes, period columns
-- servers: mariadb
CREATE TABLE src (id INT PRIMARY KEY, v VARCHAR(10));
INSERT INTO src VALUES (1, 'a'), (2, 'b');
