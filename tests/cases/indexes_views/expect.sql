SELECT * FROM v ORDER BY id;
-- = 1|3
-- = 2|4
-- = 3|5
SELECT * FROM `v 2` ORDER BY 1;
SELECT COUNT(*) FROM information_schema.views WHERE table_schema = '$DB';
-- = 2
