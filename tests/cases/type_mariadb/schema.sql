-- about: MariaDB's UUID, INET4 and INET6, as values and as keys
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY, u UUID, i4 INET4, i6 INET6, d UUID DEFAULT UUID());
CREATE TABLE k (u UUID, i INET6, n INT, PRIMARY KEY (u, i));
CREATE TABLE k4 (i INET4 PRIMARY KEY, n INT);
