INSERT INTO texts VALUES
    ('Zürich', 'a', CONVERT('中文\\\'' USING gbk), '𝄞 clef', 'ÄÖ', 1.25, '2024-02-03 04:05:06.789'),
    ('Málaga', 'é', '漢', 'x', NULL, -0.01, '1999-12-31 23:59:59.999'),
    ('Straße', 'ß', NULL, '', '😀', NULL, NULL);
UPDATE texts SET price = price + 1, utf16_text = 'ü' WHERE code = 'Málaga';
UPDATE texts SET code = 'Genève' WHERE code = 'Zürich';
DELETE FROM texts WHERE code = 'Straße';
INSERT INTO texts VALUES ('Køge', 'ß', '安', 'ø', 'ø', 7, NULL), ('Køge', 'é', '安', 'ø', 'ø', 8, NULL);
DELETE FROM texts WHERE code = 'Køge' AND kind = 'ß';
INSERT INTO keyless VALUES (1, 'é'), (1, 'é'), (1, 'è'), (2, X'80');
DELETE FROM keyless WHERE word = _latin1 X'E9' COLLATE latin1_bin LIMIT 1;
UPDATE keyless SET id = 3 WHERE id = 2;
