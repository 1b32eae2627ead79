-- about: primary keys change, swap and shift inside one transaction
CREATE TABLE t (id INT PRIMARY KEY, n INT, UNIQUE KEY (n));
CREATE TABLE s (id INT PRIMARY KEY, v VARCHAR(10));
