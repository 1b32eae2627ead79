-- about: JSON from one flavor to the other keeps its value
-- pairs: mysql>mariadb mariadb>mysql
-- structure: off
CREATE TABLE t (id INT PRIMARY KEY, j JSON);
