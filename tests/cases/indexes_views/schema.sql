-- about: indexes and views come, change and go
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(100), c TEXT);
