-- about: floating point numbers to the last bit, denormals, and fixed decimals
CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE, f2 FLOAT(7,4), d2 DOUBLE(12,3), fu FLOAT UNSIGNED, du DOUBLE UNSIGNED);
CREATE TABLE nokey (f FLOAT, d DOUBLE);
