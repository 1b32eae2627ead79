-- about: unique keys that MariaDB keeps as the hash of a hidden column
-- servers: mariadb
CREATE TABLE longer (id INT PRIMARY KEY, t TEXT UNIQUE, n INT);
CREATE TABLE alone (t LONGBLOB NOT NULL, n INT, UNIQUE (t));
CREATE TABLE hashed (c INT, UNIQUE (c) USING HASH);
CREATE TABLE versioned (c INT, n INT, UNIQUE (c) USING HASH) WITH SYSTEM VERSIONING;
