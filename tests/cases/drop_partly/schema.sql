-- about: a DROP TABLE that names tables which are not there, too: the others are gone
CREATE TABLE stays (id INT PRIMARY KEY);
CREATE TABLE t1 (id INT PRIMARY KEY);
CREATE TABLE t2 (id INT PRIMARY KEY);
