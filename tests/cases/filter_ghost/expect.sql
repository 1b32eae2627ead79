SELECT id, v, n, extra FROM orders ORDER BY id;
-- = 1|a|1|0
-- = 2|b|20|1
-- = 3|c|3|0
-- = 4|d|4|0
-- = 5|f|6|7
