-- about: temporary tables stay at the origin
CREATE TABLE t (id INT PRIMARY KEY, n INT);
