INSERT INTO t VALUES (1, 'Abc', '{"tags": [1, 2]}'), (2, 'Def', '{"tags": []}'), (3, NULL, NULL);
UPDATE t SET name = 'ABC' WHERE id = 1;
UPDATE t SET j = '{"tags": [3]}' WHERE id = 2;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (4, 'dEF', NULL);
