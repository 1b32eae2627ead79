SELECT code, kind + 0, CONCAT(kind), gbk_text, utf16_text, utf8_text, ROUND(price, 2), LEFT(moment, 23) FROM texts ORDER BY kind + 0;
SELECT id, CONVERT(word USING utf8mb4), COUNT(*) FROM keyless GROUP BY id, HEX(CONVERT(word USING utf8mb4)), word ORDER BY id, HEX(CONVERT(word USING utf8mb4));
