SELECT id, n FROM t ORDER BY id;
-- = 1|2
-- = 3|4
-- = 100|101
-- = 101|102
-- = 102|103
