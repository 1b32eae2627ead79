CALL fill();
UPDATE t1 JOIN t2 JOIN t3 SET t1.n = 1, t2.n = 2, t3.n = 3 WHERE t1.id = 1 AND t2.id = 2 AND t3.id = 3;
DELETE t4, t5 FROM t4 JOIN t5 WHERE t4.id < 50;
DROP PROCEDURE fill;
DROP PROCEDURE make;
