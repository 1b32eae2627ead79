SET SESSION gtid_domain_id = 7;
INSERT INTO t VALUES (1, 1);
SET SESSION gtid_domain_id = 8;
INSERT INTO t VALUES (2, 2);
SET SESSION server_id = 4444;
UPDATE t SET n = n + 1;
-- session: other
INSERT INTO t VALUES (3, 3);
SET SESSION gtid_domain_id = 7;
CREATE TABLE in_domain_7 (id INT PRIMARY KEY);
INSERT INTO in_domain_7 VALUES (1);
DELETE FROM t WHERE id = 1;
