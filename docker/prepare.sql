-- Run by each database once, before it is reachable: the replicator's account, with what it needs and no more.
SET SESSION sql_log_bin = 0;
CREATE USER replicator@'%' IDENTIFIED BY 'example-password';
GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO replicator@'%';
GRANT ALL ON `replicator`.* TO replicator@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER,
  CREATE ROUTINE, ALTER ROUTINE, EVENT, LOCK TABLES ON `shop`.* TO replicator@'%';
