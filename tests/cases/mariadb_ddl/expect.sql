SELECT COUNT(*) FROM vw;
-- = 2
