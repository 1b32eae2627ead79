INSERT INTO t VALUES (1, ST_GeomFromText('POINT(48.2 16.37)', 4326), ST_GeomFromText('POINT(1 2)', 3857)), (2, NULL, ST_GeomFromText('POINT(1 2)'));
UPDATE t SET p = ST_GeomFromText('POINT(1 1)', 1) WHERE id = 1;
