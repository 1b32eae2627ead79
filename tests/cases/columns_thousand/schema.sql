-- about: a table of 1,000 columns
CREATE TABLE t (id INT PRIMARY KEY);
DELIMITER //
CREATE PROCEDURE fill() BEGIN
  DECLARE i INT DEFAULT 1;
  SET @sql = 'ALTER TABLE t ADD COLUMN c0 INT';
  WHILE i < 999 DO
    SET @sql = CONCAT(@sql, ', ADD COLUMN c', i, ELT(1 + i % 4, ' INT', ' VARCHAR(5)', ' TINYINT UNSIGNED', ' DATE'));
    SET i = i + 1;
  END WHILE;
  PREPARE s FROM @sql;
  EXECUTE s;
END//
DELIMITER ;
SET group_concat_max_len = 1000000;
CALL fill();
DROP PROCEDURE fill;
