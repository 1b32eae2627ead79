SET gtid_next = 'AUTOMATIC:blue';
INSERT INTO t VALUES (1, 1);
SET gtid_next = 'AUTOMATIC:green_2';
CREATE TABLE tagged (id INT PRIMARY KEY);
SET gtid_next = AUTOMATIC;
UPDATE t SET n = 2;
INSERT INTO tagged VALUES (1);
