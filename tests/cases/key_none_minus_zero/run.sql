INSERT INTO t VALUES (-0.0e0, 1, 1), (1, -0.0e0, 2), (0, 0, 3), (-0.0e0, -0.0e0, 4);
UPDATE t SET n = n + 10;
UPDATE t SET f = 2, d = 2 WHERE n > 12;
UPDATE t SET f = f + 1, d = d + 1;
