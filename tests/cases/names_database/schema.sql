-- about: databases with strange names, and DDL that names another database than the default one
CREATE DATABASE `$DB_2` CHARACTER SET latin1;
CREATE TABLE `$DB_2`.t (id INT PRIMARY KEY, v VARCHAR(10));
