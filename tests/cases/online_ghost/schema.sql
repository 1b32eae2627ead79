-- about: what gh-ost does: a shadow table is filled in chunks and swapped in while rows change
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20), n INT);
INSERT INTO orders (v, n) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4);
