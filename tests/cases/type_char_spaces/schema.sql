-- about: trailing and leading spaces, and longest values, of CHAR and VARCHAR
CREATE TABLE t (id INT PRIMARY KEY, c CHAR(10), v VARCHAR(10), l VARCHAR(16000), b CHAR(4) CHARACTER SET latin1 COLLATE latin1_bin);
CREATE TABLE k (v VARCHAR(10) COLLATE utf8mb4_bin PRIMARY KEY, n INT);
