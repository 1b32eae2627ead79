-- about: CONVERT TO CHARACTER SET, also of what is longer afterwards, and new defaults
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), t TEXT) CHARACTER SET latin1;
