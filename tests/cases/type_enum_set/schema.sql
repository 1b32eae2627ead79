-- about: ENUM and SET with empty, invalid and many members, in several character sets
CREATE TABLE t (
  id INT PRIMARY KEY, e ENUM('a','b','','ü'), e2 ENUM('x','y') NOT NULL DEFAULT 'y', s SET('a','b','c','ü'), s2 SET('','one'),
  el ENUM('é','ß') CHARACTER SET latin1, eu ENUM('é','中') CHARACTER SET ucs2, es SET('ア','中') CHARACTER SET sjis, q ENUM('it''s','a"b','c\\d','e,f')
);
CREATE TABLE big (id INT PRIMARY KEY, s SET('01','02','03','04','05','06','07','08','09','10','11','12','13','14','15','16','17','18','19',
  '20','21','22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45','46','47',
  '48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64'));
CREATE TABLE k (e ENUM('z','y','x'), s SET('p','q'), n INT, PRIMARY KEY (e, s));
