-- about: MariaDB's compressed rows and query events
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000), n INT);
