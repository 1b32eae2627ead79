-- about: spatial values with an SRID in MariaDB
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY, p POINT, g GEOMETRY REF_SYSTEM_ID=4326);
