SELECT id, pid FROM child ORDER BY id;
-- = 3|20
-- = 4|3
-- = 5|4
-- = 30|31
-- = 99|999
SELECT id, pid FROM soft ORDER BY id;
-- = 1|NULL
-- = 2|NULL
-- = 3|NULL
-- = 99|999
SELECT GROUP_CONCAT(id ORDER BY id) FROM tree;
-- = 1,10,11
SELECT GROUP_CONCAT(id ORDER BY id) FROM grand;
-- = 3,30
