-- about: DDL written under other SQL modes: ANSI quotes, no backslash escapes, zero dates
CREATE TABLE t (id INT PRIMARY KEY);
