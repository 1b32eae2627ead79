SELECT what, n FROM log ORDER BY id;
-- = insert|1
-- = insert|2
-- = update|4
-- = delete|2
SELECT sum FROM total;
-- = 3
SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = '$DB';
-- = 0
