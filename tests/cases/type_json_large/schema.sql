-- about: a JSON document of 16 MiB
-- servers: mysql
-- slow: moves 40 MB
CREATE TABLE t (id INT PRIMARY KEY, j JSON);
