INSERT INTO t VALUES (1, '中文😀', '中', '文'), (2, _gb18030 0x815C8130813082359833, '', '中'), (3, NULL, NULL, NULL);
UPDATE t SET a = CONCAT(a, '\\\'') WHERE id < 3;
