-- about: CREATE OR REPLACE TABLE, which MySQL does not know: a flow from MariaDB to MySQL stops there
-- servers: mariadb
CREATE TABLE src (id INT PRIMARY KEY, v VARCHAR(10));
CREATE TABLE copy1 AS SELECT * FROM src;
