SELECT HEX(a), n FROM t ORDER BY HEX(a);
-- = 61|1
-- = 6120|5
-- = 7373|2
-- = C3A4|1
