SELECT id, n FROM t ORDER BY id;
-- = 1|11
-- = 2|12
-- = 3|3
