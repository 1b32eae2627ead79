-- about: DDL sent in another client character set: members, comments, defaults and names arrive as meant
CREATE TABLE t (id INT PRIMARY KEY);
