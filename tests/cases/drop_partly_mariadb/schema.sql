-- about: MariaDB's statements that fail and still drop something
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY);
CREATE SEQUENCE s;
CREATE TABLE doubles (id INT);
