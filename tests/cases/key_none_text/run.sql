INSERT INTO t VALUES ('a', 1), ('A', 1), ('a ', 1), ('ä', 1), ('ss', 2), ('ß', 2);
DELETE FROM t WHERE BINARY a = 'A';
UPDATE t SET n = 5 WHERE BINARY a = 'a ';
DELETE FROM t WHERE BINARY a = BINARY 'ß';
