SELECT id, n FROM t ORDER BY id;
-- = 2|2
-- = 4|4
-- = 6|6
