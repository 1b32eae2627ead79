-- about: MariaDB's SEQUENCE objects, used as a default
-- servers: mariadb
-- structure: off
CREATE SEQUENCE s START WITH 100 INCREMENT BY 10;
CREATE TABLE t (id INT PRIMARY KEY DEFAULT (NEXT VALUE FOR s), n INT);
