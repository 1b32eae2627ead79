-- about: binlogs rotate, and their checksums are switched off and on, between and inside of work
CREATE TABLE t (id INT PRIMARY KEY, n INT);
