-- about: rollbacks, savepoints and empty transactions
CREATE TABLE t (id INT PRIMARY KEY, n INT);
