-- about: invisible columns are data like others
CREATE TABLE t (id INT PRIMARY KEY, a INT, hidden VARCHAR(10) INVISIBLE DEFAULT 'h', b INT);
