INSERT INTO t VALUES ('{"b": 1, "aa":[1.5,null,true],"c" :{}}', 1), ('[ ]', 2), ('"a\\u00e9b"', 3), ('null', 4), (NULL, 5), ('{"b": 1, "aa":[1.5,null,true],"c" :{}}', 1), ('-12', 6), ('1.25e100', 7);
UPDATE t SET n = n + 10;
DELETE FROM t WHERE n = 11 LIMIT 1;
UPDATE t SET j = '{"z":1,"y":2}' WHERE n IN (12, 15);
DELETE FROM t WHERE n = 14;
UPDATE t SET n = n + 100;
