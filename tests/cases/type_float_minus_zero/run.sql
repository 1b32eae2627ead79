INSERT INTO t VALUES (1, -0.0e0, -0.0e0, 1), (2, 0, 0, 1), (3, 1, 1, 1);
UPDATE t SET n = 2;
UPDATE t SET d = -d, f = -f WHERE id = 2;
DELETE FROM t WHERE id = 1;
INSERT INTO nokey VALUES (-0.0e0, -0.0e0), (0, 0), (-0.0e0, 0);
UPDATE nokey SET f = 5 WHERE ATAN2(d, -1) < 0;
DELETE FROM nokey WHERE f = 0 LIMIT 1;
