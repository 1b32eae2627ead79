-- about: RENAME TABLE of several at once, swaps, and moves
CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(5));
CREATE TABLE b (id INT PRIMARY KEY, v VARCHAR(5), w INT);
