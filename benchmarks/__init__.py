"""Measured, side by side, in one run: ours, and what users would pick instead.

Every measurement ends with ``dev.judge`` comparing origin and target: a fast wrong run fails. Servers are fresh, with the
durable settings of ``dev`` at the target (``sync_binlog=1``, ``innodb_flush_log_at_trx_commit=1``) for everyone alike; the
origin only has to have written its binlog (MySQL 8.0's with ``binlog_transaction_dependency_tracking=WRITESET``, for the sake of
native replication's workers). ``make bench`` runs all but the last two of these, and judges them in one table (``__main__``).

| module | command | measures |
|---|---|---|
| ``whole`` | ``make bench-whole`` | backlog drained from origin to target, against native replication |
| ``source`` | ``make bench-source`` | reading the binlog stage by stage, against mysql-replication |
| ``latency`` | ``make bench-latency`` | commit to visible at 100, 500 and 2,000 transactions/s |
| ``wan`` | ``make bench-wan`` | the same backlog with 80 ms between Kafka and the applier |
| ``limit`` | ``make bench-limit`` | the applier against its own statements replayed by a trivial client |
| ``flat`` | ``make bench-flat`` | what a row costs us from 10^5 to 10^7 of them |
| ``peers`` | ``make bench-peers`` | Debezium's source and JDBC sink on the same load |
| ``detect`` | ``make bench-detect`` | ``detect: full`` against ``detect: key`` |
| ``backlog`` | ``make bench-backlog`` | catching up after an hour's backlog, while work goes on |
| ``decode`` | ``make bench-decode`` | rows decoded in one process, without a database |
| ``forms`` | ``make bench-forms`` | forms of multi-row statements on each server |

``loads`` makes the work, ``ours`` and ``native`` drain it, ``figures`` counts and prints,
``chart`` draws (``make chart``).
"""
