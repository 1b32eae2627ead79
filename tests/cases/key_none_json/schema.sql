-- about: JSON documents in a table without a key, as each server prints them
CREATE TABLE t (j JSON, n INT);
