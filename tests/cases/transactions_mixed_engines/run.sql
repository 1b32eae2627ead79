-- only: mariadb
SET SESSION binlog_direct_non_transactional_updates = 0;
-- only: mysql
SET SESSION gtid_next = AUTOMATIC;
-- only: mariadb
START TRANSACTION;
-- only: mariadb
INSERT INTO t VALUES (1, 1);
-- only: mariadb
SAVEPOINT a;
-- only: mariadb
INSERT INTO m VALUES (1, 1);
-- only: mariadb
UPDATE t SET n = 2 WHERE id = 1;
-- only: mariadb
ROLLBACK TO a;
-- only: mariadb
COMMIT;
-- only: mariadb
START TRANSACTION;
-- only: mariadb
INSERT INTO t VALUES (2, 2);
-- only: mariadb
INSERT INTO m VALUES (2, 2);
-- only: mariadb
ROLLBACK;
INSERT INTO m VALUES (3, 3);
START TRANSACTION;
INSERT INTO t VALUES (3, 3);
COMMIT;
