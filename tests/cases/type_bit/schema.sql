-- about: BIT columns from 1 to 64 bits
CREATE TABLE t (id INT PRIMARY KEY, b1 BIT(1), b7 BIT(7), b8 BIT(8), b9 BIT(9), b33 BIT(33), b63 BIT(63), b64 BIT(64));
CREATE TABLE k (b BIT(20) PRIMARY KEY, n INT);
