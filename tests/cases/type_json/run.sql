INSERT INTO t VALUES (1, '{"a": 1}', 1), (2, '[]', 1), (3, '{}', 1), (4, 'null', 1), (5, NULL, 1), (6, '"text \\" \\\\ \\u0000 é 😀"', 1), (7, 'true', 1), (8, '-0.5', 1),
  (9, '18446744073709551615', 1), (10, '-9223372036854775808', 1), (11, '1e100', 1), (12, '[1, [2, [3, {"x": [null, true, false]}]]]', 1),
  (13, '{"": "empty", "k''ey": "it''s"}', 1), (14, '"2024-01-01"', 1), (15, '123.456', 1);
INSERT INTO t SELECT 100, CONCAT('[', REPEAT('{"key": "value", "n": 1234567}, ', 20000), '0]'), 1;
INSERT INTO t SELECT 101, CONCAT(REPEAT('[', 30), REPEAT(']', 30)), 1;
UPDATE t SET n = 2;
UPDATE t SET j = JSON_SET(j, '$.b', 'new') WHERE id = 1;
DELETE FROM t WHERE id = 12;
