SELECT id, n FROM t ORDER BY id;
-- = 100|2
-- = 110|3
-- = 120|4
-- = 140|4
