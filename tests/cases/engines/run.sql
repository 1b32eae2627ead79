INSERT INTO m (v) VALUES ('a'), ('b'), ('c');
UPDATE m SET v = 'x' WHERE id > 1;
DELETE FROM m WHERE id = 1;
-- error: 1062
INSERT INTO m VALUES (10, 'ten'), (10, 'again');
INSERT INTO h VALUES (1, 'a'), (2, 'b');
UPDATE h SET v = 'y';
DELETE FROM h WHERE id = 1;
ALTER TABLE m ENGINE=InnoDB;
INSERT INTO m (v) VALUES ('inno');
