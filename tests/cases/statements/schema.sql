-- about: every way to write rows: REPLACE, IGNORE, ON DUPLICATE KEY, joins over tables, procedures, prepared statements
CREATE TABLE a (id INT PRIMARY KEY, n INT, u VARCHAR(10), UNIQUE KEY (u));
CREATE TABLE b (id INT PRIMARY KEY, n INT);
DELIMITER //
CREATE PROCEDURE p(IN x INT) BEGIN
  INSERT INTO a VALUES (x, x, CONCAT('p', x));
  UPDATE b SET n = n + x;
END//
DELIMITER ;
