-- about: minus zero in a table without a key, where the target may hold it as zero
CREATE TABLE t (f FLOAT, d DOUBLE, n INT);
CREATE TABLE odd (e ENUM('a'), d DOUBLE, n INT);
