INSERT INTO t VALUES (1, ST_GeomFromText('POINT(48.2 16.37)', 4326), ST_GeomFromText('POINT(1 2)', 3857), ST_GeomFromText('POINT(1 2)', 3857)),
  (2, NULL, ST_GeomFromText('LINESTRING(10 20,30 40)', 4326), ST_GeomFromText('POINT(3 4)', 3857)), (3, ST_GeomFromText('POINT(-90 180)', 4326), ST_GeomFromText('POINT(5 6)'), ST_GeomFromText('POINT(0 0)', 3857));
UPDATE t SET p = ST_GeomFromText('POINT(-33.9 151.2)', 4326), g = ST_SRID(g, 0) WHERE id = 1;
DELETE FROM t WHERE id = 3;
