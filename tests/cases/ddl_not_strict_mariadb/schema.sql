-- about: tables that InnoDB refuses in its strict mode; at a MySQL, the applier would need SESSION_VARIABLES_ADMIN for it
-- servers: mariadb
SET SESSION innodb_strict_mode = OFF;
CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(100)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC KEY_BLOCK_SIZE=4;
