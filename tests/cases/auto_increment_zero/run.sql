SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
INSERT INTO t VALUES (0, 1), (-5, 2), (10, 3);
UPDATE t SET n = 4 WHERE id = 0;
UPDATE t SET id = 0 WHERE id = -5 AND n = 99;
INSERT INTO t (n) VALUES (5);
UPDATE t SET id = -1 WHERE id = 10;
UPDATE t SET id = 7 WHERE id = 0;
UPDATE t SET id = 0 WHERE id = 7;
