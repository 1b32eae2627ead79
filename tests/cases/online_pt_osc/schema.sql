-- about: what pt-online-schema-change does: triggers keep a copy, then the tables swap
CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20));
INSERT INTO items (v) VALUES ('a'), ('b'), ('c');
