INSERT INTO t VALUES (1, 1, 2), (2, 5, NULL);
-- only: mysql
-- error: 3819
INSERT INTO t VALUES (3, -1, 1);
-- only: mariadb
-- error: 4025
INSERT INTO t VALUES (3, -1, 1);
ALTER TABLE t DROP CONSTRAINT pos;
UPDATE t SET m = n;
ALTER TABLE t ADD CONSTRAINT c2 CHECK (id < 100);
