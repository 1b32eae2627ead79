INSERT INTO t (a, n) VALUES (1, 1), (2, 2), (3, 3);
UPDATE t SET n = n + 1;
UPDATE t SET a = 4 WHERE a = 1;
DELETE FROM t WHERE a = 2;
