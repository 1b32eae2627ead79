START TRANSACTION;
INSERT INTO t SELECT a.i * 10000 + b.i * 1000 + c.i * 100 + d.i * 10 + e.i, REPEAT('v', 80), e.i FROM n a, n b, n c, n d, n e WHERE a.i < 3;
INSERT INTO u SELECT id, n FROM t WHERE id % 3 = 0;
UPDATE t SET n = n + 1 WHERE id % 2 = 0;
DELETE FROM t WHERE id % 7 = 0;
COMMIT;
