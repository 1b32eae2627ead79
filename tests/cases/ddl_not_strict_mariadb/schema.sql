-- about: table options that MariaDB refuses, but not from a session that is not strict about them
-- servers: mariadb
SET SESSION innodb_strict_mode = OFF;
CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(100)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC KEY_BLOCK_SIZE=4;
