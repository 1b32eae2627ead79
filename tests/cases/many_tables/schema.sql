-- about: one transaction over forty tables, and one statement over several
CREATE TABLE base (id INT PRIMARY KEY, n INT);
DELIMITER //
CREATE PROCEDURE make() BEGIN
  DECLARE i INT DEFAULT 0;
  WHILE i < 40 DO
    SET @s = CONCAT('CREATE TABLE t', i, ' (id INT PRIMARY KEY, n INT, v', i, ' VARCHAR(', 10 + i, '))');
    PREPARE p FROM @s;
    EXECUTE p;
    SET i = i + 1;
  END WHILE;
END//
CREATE PROCEDURE fill() BEGIN
  DECLARE i INT DEFAULT 0;
  START TRANSACTION;
  WHILE i < 200 DO
    SET @s = CONCAT('INSERT INTO t', i % 40, ' VALUES (', i, ', ', i, ', ''v'')');
    PREPARE p FROM @s;
    EXECUTE p;
    SET i = i + 1;
  END WHILE;
  COMMIT;
END//
DELIMITER ;
CALL make();
