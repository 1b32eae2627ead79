INSERT INTO t VALUES (1, 'a  ', 'a  ', REPEAT('€', 16000), 'a '), (2, '  a', '  a', '', ' a'), (3, ' ', ' ', ' ', ' '), (4, '', '', '', ''),
  (5, 'tab\t', 'tab\t', REPEAT(' ', 300), '\t');
SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH';
INSERT INTO t SELECT id + 10, c, LEFT(v, 10), l, b FROM t;
UPDATE t SET v = CONCAT(TRIM(v), ' ') WHERE id = 1;
SET sql_mode = DEFAULT;
INSERT INTO k VALUES ('a', 1), ('b ', 2), ('', 3);
UPDATE k SET v = 'a ' WHERE v = 'a';
UPDATE k SET v = 'B' WHERE v = 'b ';
DELETE FROM k WHERE n = 3;
