-- about: spatial values with reference systems, whose axis order differs
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY, p POINT SRID 4326, g GEOMETRY, m POINT NOT NULL SRID 3857, SPATIAL KEY (m));
