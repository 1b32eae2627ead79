-- about: rows and an ALTER that a session with check_constraint_checks off wrote against a CHECK, which a MySQL cannot
-- servers: mariadb
CREATE TABLE t (id INT PRIMARY KEY, n INT CHECK (n > 0), m INT);
CREATE TABLE keyless (n INT CHECK (n > 0));
