/* leading */ ALTER /* mid */ TABLE t /*!50000 ADD COLUMN b INT */ ;
ALTER TABLE t ADD COLUMN c VARCHAR(20) DEFAULT '; DROP TABLE t; --' COMMENT 'semi;colon';
ALTER TABLE t /*!80000 ADD COLUMN only_mysql INT, */ ADD COLUMN both_have INT /*M! COMMENT 'mariadb says' */;
INSERT INTO t (id) VALUES (1);
# hash comment
CREATE TABLE `t2` ( -- to the end of the line
  id INT PRIMARY KEY # and another
) /*!50100 PARTITION BY HASH (id) PARTITIONS 2 */;
INSERT INTO t2 VALUES (1), (2);
alter table t2 add column x int;
CrEaTe InDeX ix On t2 (x);
UPDATE t2 SET x = id;
