-- about: BINARY and VARBINARY with zero bytes and spaces at both ends
CREATE TABLE t (id INT PRIMARY KEY, b BINARY(6), v VARBINARY(6), l VARBINARY(300), b1 BINARY(1), b0 BINARY(0));
CREATE TABLE k (b BINARY(4), v VARBINARY(4), n INT, PRIMARY KEY (b, v));
