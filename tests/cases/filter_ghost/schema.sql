-- about: a gh-ost run passes a flow that includes the real table only, its helpers apart
-- pairs: mysql>mysql mariadb>mariadb
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20), n INT);
INSERT INTO orders (v, n) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4);
