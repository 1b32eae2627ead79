INSERT INTO t VALUES (1, REPEAT('é', 5000), REPEAT('a', 2000), REPEAT(x'00', 60000), REPEAT('😀', 10000), REPEAT(x'00FF', 250), 1), (2, '', '', '', '', '', 1),
  (3, NULL, NULL, NULL, NULL, NULL, 1), (4, 'short', 'short', 'short', 'short', 'short', 1), (5, REPEAT('x', 99), REPEAT('x', 100), REPEAT('x', 101), REPEAT('x', 256), REPEAT('x', 200), 1);
UPDATE t SET n = 2;
UPDATE t SET t = CONCAT(t, '!'), v = NULL WHERE id <> 3;
DELETE FROM t WHERE id = 2;
-- These are longer than their columns, but MariaDB takes them where they need no conversion.
INSERT INTO short VALUES (8, _utf8mb4'abcdefgh', _utf16 X'0061006200630064006500660067'), (9, _utf8mb4'ééé', NULL);
UPDATE short SET s = _utf8mb4'abcdefghij' WHERE id = 9;
