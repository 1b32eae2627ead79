-- about: rows before and after ALTERs that add, drop, move, rename and retype columns
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10), c DATETIME);
