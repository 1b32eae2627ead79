-- about: functional keys and keys on JSON arrays
-- servers: mysql
CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50), j JSON, UNIQUE KEY fn ((LOWER(name))), KEY mv ((CAST(j->'$.tags' AS UNSIGNED ARRAY))), KEY s ((id % 10)));
