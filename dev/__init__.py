"""Real MySQL, MariaDB and Kafka servers on loopback, for the demo, the tests and the benchmarks.

``start_mysql``, ``start_mariadb`` and ``start_kafka`` fetch what is missing, start a server in a folder of your choice and
return a handle that can stop, kill and restart it; ``attach_database`` and ``attach_kafka`` find one again that another
process started. ``python -m dev`` does the same from a shell.
"""

from __future__ import annotations

from .database import DatabaseServer, attach_database
from .errors import DevError
from .kafka import KafkaServer, attach_kafka, start_kafka
from .mariadb import start_mariadb
from .mysql import start_mysql
from .ports import free_port
from .proxy import Proxy, start_proxy

__all__ = [
    "DatabaseServer",
    "DevError",
    "KafkaServer",
    "Proxy",
    "attach_database",
    "attach_kafka",
    "free_port",
    "start_kafka",
    "start_mariadb",
    "start_mysql",
    "start_proxy",
]
