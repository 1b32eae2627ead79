-- about: a target whose columns are wider or of other character sets gets the same characters, and its rows are found by them
CREATE TABLE IF NOT EXISTS texts (
    code VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL,
    kind ENUM('a', 'é', 'ß') CHARACTER SET latin1 NOT NULL,
    gbk_text VARCHAR(50) CHARACTER SET gbk,
    utf16_text TEXT CHARACTER SET utf16,
    utf8_text VARCHAR(50) CHARACTER SET utf8mb4,
    price DECIMAL(10,2),
    moment DATETIME(3),
    PRIMARY KEY (code, kind)
) DEFAULT CHARSET utf8mb4;
CREATE TABLE IF NOT EXISTS keyless (id INT, word VARCHAR(30) CHARACTER SET latin1);
