INSERT INTO t (v, n) VALUES (REPEAT('a', 3000), 1), (REPEAT('b', 3000), 2), (REPEAT('c', 3000), 3), (REPEAT('d', 3000), 4), (REPEAT('e', 3000), 5);
INSERT INTO t (v, n) SELECT v, n + 10 FROM t;
INSERT INTO t (v, n) SELECT v, n + 100 FROM t;
UPDATE t SET v = CONCAT(REVERSE(LEFT(v, 2999)), 'z'), n = -n;
DELETE FROM t WHERE id % 3 = 0;
