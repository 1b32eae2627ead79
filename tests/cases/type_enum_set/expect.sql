SELECT e + 0, e2 + 0, q + 0 FROM t WHERE id = 7;
-- = 0|0|0
SELECT e + 0, HEX(e) FROM t WHERE id = 2;
-- = 3|
