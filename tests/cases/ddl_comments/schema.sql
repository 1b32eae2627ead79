-- about: comments in and around DDL, versioned comments, many statements in one query
CREATE TABLE t (id INT PRIMARY KEY /* c1 */, a INT) /*! ENGINE=InnoDB */ COMMENT 'a /* b */ -- c';
