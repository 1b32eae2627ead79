-- about: without a key, rows that are equal by collation and not by bytes are not confused
CREATE TABLE t (a VARCHAR(10), n INT);
