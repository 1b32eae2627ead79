-- about: a pt-online-schema-change run passes a flow that includes the real table only
-- pairs: mysql>mysql mariadb>mariadb
CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20));
INSERT INTO items (v) VALUES ('a'), ('b'), ('c');
