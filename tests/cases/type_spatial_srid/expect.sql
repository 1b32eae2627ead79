SELECT id, ST_Latitude(p), ST_Longitude(p), ST_SRID(g), ST_AsText(m) FROM t ORDER BY id;
-- = 1|-33.9|151.2|0|POINT(1 2)
-- = 2|NULL|NULL|4326|POINT(3 4)
