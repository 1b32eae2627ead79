-- about: keys that are equal by collation: case, accents and padding of keys change
CREATE TABLE t (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n INT);
CREATE TABLE u (id INT PRIMARY KEY, k VARCHAR(20) COLLATE utf8mb4_unicode_ci, UNIQUE KEY (k));
CREATE TABLE l (k CHAR(10) CHARACTER SET latin1 COLLATE latin1_german2_ci PRIMARY KEY, n INT);
