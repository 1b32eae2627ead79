-- about: what triggers wrote at the origin arrives once, and triggers do not come along unasked
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20), n INT);
CREATE TABLE total (id INT PRIMARY KEY, sum INT);
INSERT INTO total VALUES (1, 0);
DELIMITER //
CREATE TRIGGER ins AFTER INSERT ON t FOR EACH ROW BEGIN
  INSERT INTO log (what, n) VALUES ('insert', NEW.n);
  UPDATE total SET sum = sum + NEW.n WHERE id = 1;
END//
CREATE TRIGGER upd BEFORE UPDATE ON t FOR EACH ROW BEGIN
  SET NEW.n = NEW.n * 2;
  INSERT INTO log (what, n) VALUES ('update', NEW.n);
END//
DELIMITER ;
CREATE TRIGGER del AFTER DELETE ON t FOR EACH ROW INSERT INTO log (what, n) VALUES ('delete', OLD.n);
