-- about: rows of a statement that spill over several events, in MySQL and MariaDB
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(3000), n INT);
