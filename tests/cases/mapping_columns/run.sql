INSERT INTO u VALUES (1, 'a@example.org', 'Änne', '+43 1', 'DE', 'secret note', 1), (2, 'b@example.org', 'Bob', '+43 2', 'FR', 'x', 2), (3, NULL, NULL, NULL, 'AT', NULL, 3);
UPDATE u SET n = n + 10;
DELETE FROM u WHERE id = 3;
