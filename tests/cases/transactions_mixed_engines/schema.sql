-- about: a transaction over InnoDB and MyISAM that rolls back keeps what MyISAM could not undo
-- pairs: mysql>mariadb mariadb>mariadb
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE m (id INT PRIMARY KEY, n INT) ENGINE=MyISAM;
