SELECT COUNT(*), SUM(w) FROM items;
-- = 5|9
