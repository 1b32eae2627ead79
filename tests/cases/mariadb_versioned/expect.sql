SELECT id, n FROM t ORDER BY id;
-- = 1|0
-- = 2|22
-- = 4|3
SELECT id, n FROM e ORDER BY id;
-- = 1|5
