-- about: tables whose engine a session's default_storage_engine chose, which no binlog tells: their rows arrive all the same
CREATE TABLE inno (id INT PRIMARY KEY, n INT);
