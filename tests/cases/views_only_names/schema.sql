-- about: a view over another database, with a definer, and a table that takes a view's name later
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE DATABASE $DB_2;
CREATE TABLE $DB_2.u (id INT PRIMARY KEY);
