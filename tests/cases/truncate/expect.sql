SELECT id, v FROM t;
-- = 2|e
