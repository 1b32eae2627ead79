-- about: rollbacks, savepoints and empty transactions
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE m (id INT PRIMARY KEY, n INT) ENGINE=MyISAM;
