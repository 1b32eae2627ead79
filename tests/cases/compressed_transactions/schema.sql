-- about: transactions that a session chose to compress
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000));
