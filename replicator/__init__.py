"""replicator: keeps a MySQL or MariaDB database in one datacenter in step with one in another.

Reading order is the order of the data: ``source`` (binlog to transactions), ``stream`` (Kafka), ``apply`` (transactions
to rows). ``row`` knows table maps and row images, ``service`` runs it all, ``observe`` shows it, ``cli`` drives it.
"""

__version__ = "0.1.0"
