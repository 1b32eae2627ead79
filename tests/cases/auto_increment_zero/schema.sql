-- about: a zero in an AUTO_INCREMENT column stays a zero
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT);
