INSERT INTO t (id, u, i4, i6) VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '192.168.0.1', '2001:db8::ff00:42:8329'), (2, NULL, NULL, NULL),
  (3, '00000000-0000-0000-0000-000000000000', '0.0.0.0', '::'), (4, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '255.255.255.255', '::ffff:1.2.3.4'),
  (5, '277c5c0a-0d1a-2027-5c5c-275c00000000', '39.92.34.0', '275c:2220:a0d:1a00::');
UPDATE t SET u = UUID(), i4 = '10.0.0.1' WHERE id = 3;
DELETE FROM t WHERE i6 = '::ffff:1.2.3.4';
INSERT INTO k VALUES ('123e4567-e89b-12d3-a456-426655440000', '::1', 1), ('123e4567-e89b-12d3-a456-426655440000', '::2', 2), ('223e4567-e89b-72d3-a456-426655440000', '::1', 3);
UPDATE k SET n = n + 1 WHERE i = '::1';
DELETE FROM k WHERE n = 4;
INSERT INTO k4 VALUES ('1.2.3.4', 1), ('39.92.0.0', 2);
UPDATE k4 SET i = '1.2.3.5' WHERE n = 1;
