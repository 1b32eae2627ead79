CREATE TABLE `$DB`.`_items_new` (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20));
ALTER TABLE `$DB`.`_items_new` ADD COLUMN w INT DEFAULT 1;
CREATE TRIGGER `pt_osc_items_ins` AFTER INSERT ON `$DB`.`items` FOR EACH ROW REPLACE INTO `$DB`.`_items_new` (`id`, `v`) VALUES (NEW.`id`, NEW.`v`);
INSERT INTO items (v) VALUES ('d');
INSERT LOW_PRIORITY IGNORE INTO `$DB`.`_items_new` (`id`, `v`) SELECT `id`, `v` FROM `$DB`.`items`;
RENAME TABLE `$DB`.`items` TO `$DB`.`_items_old`, `$DB`.`_items_new` TO `$DB`.`items`;
DROP TABLE IF EXISTS `$DB`.`_items_old`;
DROP TRIGGER IF EXISTS `$DB`.`pt_osc_items_ins`;
INSERT INTO items (v, w) VALUES ('e', 5);
