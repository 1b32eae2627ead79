-- about: values of several unique keys move between rows, in one transaction and over several
CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(10) NOT NULL, UNIQUE KEY (a), UNIQUE KEY (b));
