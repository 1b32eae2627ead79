-- about: a JSON document of 16 MiB
-- pairs: mysql>mysql mysql97>mysql97
-- servers: mysql
-- slow: moves 40 MB
CREATE TABLE t (id INT PRIMARY KEY, j JSON);
