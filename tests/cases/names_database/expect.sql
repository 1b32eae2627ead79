SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '$DB_3';
-- = 0
SELECT v FROM `$DB_2`.v;
-- = é
SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = '$DB_2';
-- = utf8mb4_bin
