INSERT INTO nn VALUES (1, 'a', 1), (1, 'b', 2), (2, 'a', 3);
UPDATE nn SET n = n + 1 WHERE a = 1;
UPDATE nn SET b = 'c' WHERE a = 1 AND b = 'a';
DELETE FROM nn WHERE a = 2;
INSERT INTO nullable VALUES (1, 1), (NULL, 2), (NULL, 2), (NULL, 3), (2, 4);
DELETE FROM nullable WHERE a IS NULL AND n = 2 LIMIT 1;
UPDATE nullable SET a = 5 WHERE n = 3;
UPDATE nullable SET a = NULL WHERE a = 2;
