INSERT INTO t VALUES (1, 'm0'), (2, 'l9'), (3, 'k5'), (4, NULL);
UPDATE t SET e = 'l8' WHERE id = 1;
DELETE FROM t WHERE e = 'k5';
