SELECT id, n FROM t ORDER BY id;
-- = 1|2
-- = 6|1
-- = 7|7
SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = '$DB';
-- = 0
