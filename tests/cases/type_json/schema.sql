-- about: JSON documents whose text both servers keep
CREATE TABLE t (id INT PRIMARY KEY, j JSON, n INT);
