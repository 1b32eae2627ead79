-- about: MySQL 9's VECTOR
-- servers: mysql97
CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(4), w VECTOR(2048));
