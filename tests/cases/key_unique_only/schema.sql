-- about: tables whose only key is unique, nullable or not
CREATE TABLE nn (a INT NOT NULL, b VARCHAR(10) NOT NULL, n INT, UNIQUE KEY (a, b));
CREATE TABLE nullable (a INT, n INT, UNIQUE KEY (a));
