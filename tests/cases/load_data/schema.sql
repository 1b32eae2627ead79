-- about: LOAD DATA arrives as rows
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50), n DECIMAL(10,2));
