SET SESSION binlog_row_value_options = 'PARTIAL_JSON';
INSERT INTO t VALUES (1, JSON_OBJECT('a', REPEAT('x', 500), 'b', JSON_ARRAY(1, 2, 3), 'c', JSON_OBJECT('d', 1)), JSON_ARRAY(REPEAT('y', 300), 2), 'p'),
  (2, JSON_OBJECT('a', 'aaaaaaaaaa', 'n', 1), NULL, 'p'), (3, JSON_ARRAY(REPEAT('z', 300), 1, 2, 3), JSON_OBJECT('k', REPEAT('v', 300)), 'p');
UPDATE t SET j = JSON_SET(j, '$.a', 'y', '$.b[1]', 'two', '$.c.d', 2.5, '$.c.e', CAST('2024-01-01' AS DATE)) WHERE id = 1;
UPDATE t SET j = JSON_REMOVE(JSON_SET(j, '$.b[0]', NULL), '$.b[1]') WHERE id = 1;
UPDATE t SET j = JSON_REPLACE(j, '$.a', 'bbbb', '$.n', 2) WHERE id = 2;
UPDATE t SET k = JSON_SET(k, '$[0]', 'short'), j = JSON_SET(j, '$.new', JSON_ARRAY()) WHERE id = 1;
UPDATE t SET j = JSON_REMOVE(j, '$[1]', '$[1]'), k = JSON_SET(k, '$.k', CAST(1.10 AS DECIMAL(5,2)), '$."quo\\"ted"', 1) WHERE id = 3;
UPDATE t SET pad = 'q';
UPDATE t SET j = JSON_SET(j, '$[0]', JSON_OBJECT('x', NULL)) WHERE id = 3;
UPDATE t SET j = JSON_SET(j, '$.a', NULL), k = NULL WHERE id < 3;
