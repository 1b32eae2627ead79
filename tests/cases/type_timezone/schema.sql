-- about: TIMESTAMPs written by sessions of many time zones, and defaults that depend on the clock
CREATE TABLE t (
  id INT PRIMARY KEY, ts TIMESTAMP(6) NULL, auto TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  dt DATETIME DEFAULT CURRENT_TIMESTAMP, n INT
);
