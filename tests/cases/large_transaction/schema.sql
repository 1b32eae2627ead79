-- about: one transaction of 60,000 row changes over two tables
CREATE TABLE n (i INT PRIMARY KEY);
INSERT INTO n VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100), n INT);
CREATE TABLE u (id INT PRIMARY KEY, n INT);
