XA START 'one';
INSERT INTO t VALUES (1, 1);
XA END 'one';
XA PREPARE 'one';
-- session: b
INSERT INTO t VALUES (100, 100);
XA START 'two', 'branch', 7;
INSERT INTO t VALUES (2, 2);
XA END 'two', 'branch', 7;
XA PREPARE 'two', 'branch', 7;
-- session: c
INSERT INTO t VALUES (101, 101);
XA START 'quick';
INSERT INTO t VALUES (3, 3);
XA END 'quick';
XA COMMIT 'quick' ONE PHASE;
-- session: b
XA ROLLBACK 'two', 'branch', 7;
INSERT INTO t VALUES (102, 102);
-- session: main
XA COMMIT 'one';
UPDATE t SET n = n + 1;
