-- about: names with dots, quotes, spaces, percent signs, reserved words, 64 characters
CREATE TABLE `select` (`from` INT PRIMARY KEY, `where` VARCHAR(10), `group by` INT);
CREATE TABLE `a.b` (`c.d` INT PRIMARY KEY, `e``f` INT, `g"h` INT, `i'j` INT);
CREATE TABLE `sp ace` (` lead` INT PRIMARY KEY, `%s` INT, `%%` INT, `{x}` INT, `?` INT, `:a` INT, `#` INT, `--` INT, `/*` INT, `\n` INT);
CREATE TABLE `tablexxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx64` (`columnyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy64` INT PRIMARY KEY, n INT);
CREATE TABLE `tàblé_中文` (`ключ` INT PRIMARY KEY, `値` VARCHAR(10), `É` INT);
CREATE TABLE `123` (`456` INT PRIMARY KEY, `1e5` INT);
CREATE TABLE `MixedCase` (`Id` INT PRIMARY KEY, `ID2` INT);
CREATE TABLE `$dollar` (`$` INT PRIMARY KEY, `@a` INT);
