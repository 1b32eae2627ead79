-- about: tagged GTIDs of MySQL 8.3 and later
-- servers: mysql97
CREATE TABLE t (id INT PRIMARY KEY, n INT);
