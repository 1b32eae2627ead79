SET SESSION check_constraint_checks = 0;
INSERT INTO t VALUES (1, -1, 1), (2, 2, 2);
INSERT INTO keyless VALUES (-1), (1);
UPDATE t SET n = -n;
ALTER TABLE t ADD CONSTRAINT small CHECK (m < 2);
SET SESSION check_constraint_checks = 1;
-- error: 4025
INSERT INTO t VALUES (3, -3, 1);
UPDATE t SET n = 3, m = 1 WHERE id = 2;
-- session: both
BEGIN;
INSERT INTO t VALUES (4, 4, 1);
SET SESSION check_constraint_checks = 0, foreign_key_checks = 0;
INSERT INTO t VALUES (5, -5, 5);
UPDATE t SET n = -4 WHERE id = 4;
COMMIT;
SET SESSION check_constraint_checks = 1;
-- error: 4025
ALTER TABLE t ADD CONSTRAINT never CHECK (m > 9);
