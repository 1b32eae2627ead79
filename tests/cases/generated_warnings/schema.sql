-- about: rows whose generated columns the origin computed with warnings, which strict mode would make errors
CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(65,30), b VARCHAR(20), g INT AS (LENGTH(HEX(a))) STORED, v INT AS (b + 0) VIRTUAL);
CREATE TABLE nokey (a DECIMAL(65,30), b VARCHAR(20), g INT AS (LENGTH(HEX(a))) STORED, v INT AS (b + 0) VIRTUAL, KEY (v));
