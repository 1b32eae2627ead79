-- about: BLOB and TEXT of every size, with every byte
CREATE TABLE t (id INT PRIMARY KEY, t TINYBLOB, b BLOB, m MEDIUMBLOB, l LONGBLOB, tt TINYTEXT, bt TEXT, mt MEDIUMTEXT, lt LONGTEXT);
