INSERT INTO t VALUES
  (1, x'0001', x'0001', REPEAT(x'00', 300), x'00', ''), (2, x'010000000000', x'0100', x'', x'20', ''),
  (3, 'a  ', 'a  ', 'a  ', ' ', NULL), (4, x'202020', x'202020', x'FFFE', x'FF', ''), (5, '', '', '', '', ''),
  (6, NULL, NULL, NULL, NULL, NULL), (7, x'000000000000', x'000000000000', REPEAT(x'00FF', 150), x'5C', ''), (8, x'27225C0A0D1A', x'27225C0A0D1A', x'00', x'27', '');
UPDATE t SET v = CONCAT(LEFT(v, 5), x'00') WHERE id < 6;
DELETE FROM t WHERE b = x'616161000000' OR id = 4;
INSERT INTO k VALUES (x'00', x'', 1), (x'00', x'00', 2), (x'00000001', x'20', 3), (' ', ' ', 4);
UPDATE k SET n = n + 10 WHERE v = x'00';
DELETE FROM k WHERE v = x'20' AND b = x'00000001';
UPDATE k SET v = x'0000' WHERE v = x'00';
