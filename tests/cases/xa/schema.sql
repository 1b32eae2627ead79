-- about: XA transactions whose PREPARE and COMMIT lie apart, and one that is rolled back
CREATE TABLE t (id INT PRIMARY KEY, n INT);
