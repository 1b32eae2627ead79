INSERT INTO t VALUES
  (1, 'aé€😀', 'aé€', 'aéß', '中文', '中文', 'ｱあ', 'ｱあ', 'aé中', 'aé中😀', 'aé中😀', 'aé中😀', 'ascii', 'あア', '한글', '中文', 'Привет', 'Привет',
   'שלום', 'ไทย', 'AZ', 'あ', 'ığş', 'raw'),
  (2, _utf8mb4 0xF09F9880, _utf8mb3 0xEFBFBF, _latin1 0x818D8F909D80FF, _gbk 0x815C8140, _big5 0xA55CA15C, _sjis 0x835CB1, _cp932 0x815C835C,
   _ucs2 0xD83D005C, _utf16 0xD83DDE000027, _utf16le 0x3DD800DE2700, _utf32 0x0001F6000000005C, _ascii 0x277F, _ujis 0x8EB1A4A2,
   _euckr 0xB0A1, _gb2312 0xB0A1, _cp1251 0x98FF, _koi8r 0x80FF, _hebrew 0xE0, _tis620 0xA1FB, 'a', _eucjpms 0xADA1, _latin5 0xD0FDFE, 0x00FF5C27220A0D1A),
  (3, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', ''),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (5, '\0\'"\\\n\r\Z%_', '\0\'"\\\n\r\Z', '\0\'"\\\n', '\0\'"\\', '\0\'"\\', '\0\'"', '\0\'"', '\0\'"\\\n', '\0\'"\\\n', '\0\'"\\\n', '\0\'"\\\n',
   '\0\'"\\', '\0\'"', '\0\'"', '\0\'"', '\0\'"', '\0\'"', '\0\'"', '\0\'"', '"', '\0\'"', '\0\'"', '\0\'"\\\n\r\Z');
UPDATE t SET c_utf16 = CONCAT(c_utf16, '€'), c_gbk = CONCAT(c_gbk, '中'), c_latin1 = CONCAT(c_latin1, '€') WHERE id < 3;
DELETE FROM t WHERE id = 3;
INSERT INTO fixed VALUES
  (1, 'a😀', 'b😀', 'c中', '中文', 'e😀', REPEAT('€', 255), '中', 'あ', '😀', 'ÿ'), (2, '', '', '', '', '', '', '', '', '', ''),
  (3, ' x', ' x ', 'x', 'x', 'x ', 'x', 'x ', 'x ', 'x ', 'x ');
UPDATE fixed SET a = CONCAT(a, '!'), i = REPEAT('x😀', 5000), g = REPEAT('中', 30000) WHERE id = 1;
INSERT INTO k VALUES ('a', '中', 'x', 1), ('ä', '文', '😀', 2), ('😀', '\\', '\'', 3);
UPDATE k SET n = n + 1 WHERE c = '😀';
DELETE FROM k WHERE b = '\\';
UPDATE k SET c = 'y' WHERE a = 'a' AND c = 'x';
