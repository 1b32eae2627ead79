-- about: MySQL's JSON with every scalar type, opaque values and types that print alike
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, j JSON, n INT DEFAULT 0);
