-- about: composite, prefix, descending and long keys
CREATE TABLE c (a INT, b VARCHAR(50), c DATE, d DECIMAL(5,2), n INT, PRIMARY KEY (b, a, d, c));
CREATE TABLE p (t TEXT NOT NULL, b BLOB NOT NULL, n INT, PRIMARY KEY (t(5), b(3)));
CREATE TABLE d (a INT, b INT, n INT, PRIMARY KEY (a DESC, b ASC), KEY (n DESC));
CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(100), UNIQUE KEY (v(3)));
