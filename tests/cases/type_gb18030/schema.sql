-- about: gb18030, which only MySQL has
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET gb18030, b CHAR(5) CHARACTER SET gb18030, e ENUM('中','文') CHARACTER SET gb18030);
