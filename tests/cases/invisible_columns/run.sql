INSERT INTO t VALUES (1, 1, 1);
INSERT INTO t (id, a, hidden, b) VALUES (2, 2, 'seen', 2), (3, 3, NULL, 3);
UPDATE t SET hidden = 'changed' WHERE id = 1;
DELETE FROM t WHERE hidden = 'seen';
