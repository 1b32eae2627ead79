-- about: CHECK constraints, enforced and not
CREATE TABLE t (id INT PRIMARY KEY, n INT CHECK (n > 0), m INT, CONSTRAINT pos CHECK (m <> n));
