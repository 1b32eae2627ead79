SET sql_mode = '';
INSERT INTO t VALUES (1, 'a', 'x', 'a,c', '', 'é', 'é', 'ア', 'it''s'), (2, '', 'y', '', 'one', 'ß', '中', 'ア,中', 'a"b'),
  (3, NULL, 'x', NULL, NULL, NULL, NULL, NULL, NULL), (4, 'ü', 'x', 'ü', ',one', 'é', '中', '', 'c\\d'), (5, 3, 2, 15, 3, 1, 1, 3, 4);
INSERT IGNORE INTO t VALUES (6, 'invalid', 'invalid', 'a,invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid'), (7, 0, 0, 0, 0, 0, 0, 0, 0);
UPDATE t SET e = 'b', s = 'b,ü' WHERE id = 6;
UPDATE IGNORE t SET e = 'no such' WHERE id = 1;
DELETE FROM t WHERE e = 3 AND id = 5;
INSERT INTO big VALUES (1, 0), (2, 18446744073709551615), (3, '64'), (4, '01,33'), (5, NULL);
UPDATE big SET s = s ^ 1 WHERE id = 2;
INSERT INTO k VALUES ('z', 'p', 1), ('y', '', 2), ('x', 'p,q', 3);
INSERT IGNORE INTO k VALUES ('bad', '', 4);
UPDATE k SET n = n + 1;
DELETE FROM k WHERE e = 'y';
