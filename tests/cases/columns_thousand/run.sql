INSERT INTO t (id, c0, c1, c998) VALUES (1, 1, 'a', 2), (2, NULL, NULL, NULL);
UPDATE t SET c500 = 77, c997 = 'zz', c998 = 3 WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t (id, c7) VALUES (4, '2024-01-01');
