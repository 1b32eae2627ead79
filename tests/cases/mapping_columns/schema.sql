-- about: dropped, masked and filtered columns and rows; what is masked never leaves the origin
-- pairs: mysql>mysql mariadb>mariadb
CREATE TABLE u (id INT PRIMARY KEY, email VARCHAR(80), name VARCHAR(40), phone VARCHAR(40), country CHAR(2), notes TEXT, n INT);
