-- about: statements over no rows, rows of NULLs only, updates that change nothing
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10), c INT, d INT, e INT, f INT, g INT, h INT);
CREATE TABLE n (a INT, b INT, c INT, d INT, e INT, f INT, g INT, h INT, i INT);
