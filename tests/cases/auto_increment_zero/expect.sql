SELECT id, n FROM t ORDER BY id;
-- = -5|2
-- = -1|3
-- = 0|4
-- = 11|5
