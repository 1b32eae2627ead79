INSERT INTO t () VALUES (), (), ();
UPDATE t SET n = n + 1 WHERE id = 1;
UPDATE t SET up = '2020-01-01' WHERE id = 2;
DELETE FROM t WHERE id = 3;
INSERT INTO t (n) VALUES (5);
