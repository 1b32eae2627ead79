"""Our own tables at every site, in the schema ``replicator``, and how they come to be.

``checkpoint`` is written by appliers in the transaction of the rows; a source of the same site reads its row images in the
binlog to know which transactions came by replication. ``ddl_intent`` does the same for DDL. ``heartbeat`` is the source's.
"""

from __future__ import annotations

from typing import Any, Final

import pymysql

from .errors import DatabaseError
from .model import META_SCHEMA

__all__ = [
    "CHECKPOINT",
    "CONFLICT_LOG",
    "CONTROL",
    "DDL_INTENT",
    "HEARTBEAT",
    "LOCAL_POSITION",
    "NOTHING_YET",
    "QUARANTINE",
    "ensure",
]

CHECKPOINT: Final = f"`{META_SCHEMA}`.`checkpoint`"
DDL_INTENT: Final = f"`{META_SCHEMA}`.`ddl_intent`"
CONTROL: Final = f"`{META_SCHEMA}`.`control`"
HEARTBEAT: Final = f"`{META_SCHEMA}`.`heartbeat`"
LOCAL_POSITION: Final = f"`{META_SCHEMA}`.`local_position`"
CONFLICT_LOG: Final = f"`{META_SCHEMA}`.`conflict_log`"
QUARANTINE: Final = f"`{META_SCHEMA}`.`quarantine`"

NOTHING_YET: Final = (1049, 1146)
"""What the server says of one of these tables where nothing ever ran: no such database, no such table."""

_FLOW = "flow VARCHAR(190) NOT NULL, stream VARCHAR(64) NOT NULL"
_OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"

_TABLES: Final[dict[str, str]] = {
    # One row a slot (connection) of the applier; the one with the highest sequence is the stream's checkpoint.
    CHECKPOINT: f"""{_FLOW}, slot SMALLINT UNSIGNED NOT NULL, owner VARCHAR(64) NOT NULL,
        stream_id VARCHAR(64) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, source_id VARCHAR(64) NOT NULL,
        sequence BIGINT UNSIGNED NOT NULL, gtid VARCHAR(160) NOT NULL, site VARCHAR(64) NOT NULL,
        commit_time_us BIGINT NOT NULL, position MEDIUMTEXT NOT NULL, kafka_offset BIGINT NOT NULL,
        updated_us BIGINT NOT NULL, seen BIGINT UNSIGNED NOT NULL, PRIMARY KEY (flow, stream, slot)""",
    DDL_INTENT: f"""{_FLOW}, sequence BIGINT UNSIGNED NOT NULL, event_index INT UNSIGNED NOT NULL,
        gtid VARCHAR(160) NOT NULL, site VARCHAR(64) NOT NULL, connection_id BIGINT UNSIGNED NOT NULL,
        statement_time BIGINT NOT NULL, state VARCHAR(16) NOT NULL, fingerprint LONGTEXT NULL, statement LONGBLOB NOT NULL,
        started_us BIGINT NOT NULL, PRIMARY KEY (flow, stream, sequence, event_index)""",
    CONTROL: f"""{_FLOW}, role VARCHAR(16) NOT NULL, paused TINYINT NOT NULL DEFAULT 0,
        generation BIGINT UNSIGNED NOT NULL DEFAULT 0, skip_gtid VARCHAR(160) NOT NULL DEFAULT '',
        reason VARCHAR(400) NOT NULL DEFAULT '', updated_us BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (flow, stream, role)""",
    HEARTBEAT: f"""{_FLOW}, stream_id VARCHAR(64) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, time_us BIGINT NOT NULL,
        PRIMARY KEY (flow, stream)""",
    # Of an applier that reads its target's binlog: from where it must read again after a restart.
    LOCAL_POSITION: f"""{_FLOW}, position MEDIUMTEXT NOT NULL, PRIMARY KEY (flow, stream)""",
    CONFLICT_LOG: f"""id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, {_FLOW}, time_us BIGINT NOT NULL,
        conflict VARCHAR(40) NOT NULL, policy VARCHAR(200) NOT NULL, decision VARCHAR(40) NOT NULL, reason TEXT NOT NULL,
        table_name VARCHAR(260) NOT NULL, row_key VARCHAR(700) NOT NULL, operation VARCHAR(10) NOT NULL,
        before_image LONGTEXT NULL, after_image LONGTEXT NULL, current_row LONGTEXT NULL, written_row LONGTEXT NULL,
        sequence BIGINT UNSIGNED NOT NULL, gtid VARCHAR(160) NOT NULL, site VARCHAR(64) NOT NULL,
        commit_time_us BIGINT NOT NULL, PRIMARY KEY (id), KEY by_time (flow, stream, time_us),
        KEY by_row (table_name(100), row_key(100))""",
    QUARANTINE: f"""id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, {_FLOW}, time_us BIGINT NOT NULL,
        table_name VARCHAR(260) NOT NULL, row_key VARCHAR(700) NOT NULL, new_key VARCHAR(700) NOT NULL,
        operation VARCHAR(10) NOT NULL, reason TEXT NOT NULL, conflict VARCHAR(40) NOT NULL,
        before_image LONGTEXT NULL, after_image LONGTEXT NULL, current_row LONGTEXT NULL,
        sequence BIGINT UNSIGNED NOT NULL, gtid VARCHAR(160) NOT NULL, site VARCHAR(64) NOT NULL,
        commit_time_us BIGINT NOT NULL, change_data LONGBLOB NOT NULL, state VARCHAR(16) NOT NULL DEFAULT 'held',
        audit TEXT NULL, PRIMARY KEY (id), KEY by_row (flow, stream, state, table_name(100), row_key(100))""",
}


def ensure(connection: pymysql.Connection[Any]) -> None:
    """Create what is missing of the schema ``replicator``; cheap where all of it is there."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (META_SCHEMA,))
            present = {f"`{META_SCHEMA}`.`{row[0]}`" for row in cursor.fetchall()}
            missing = [name for name in _TABLES if name not in present]
            if not present:
                cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{META_SCHEMA}` DEFAULT CHARACTER SET utf8mb4")
            for name in missing:
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} ({_TABLES[name]}) {_OPTIONS}")
        connection.commit()
    except pymysql.MySQLError as error:
        raise DatabaseError(
            f"cannot create our tables in the schema {META_SCHEMA}: {error}",
            where=f"{connection.host}:{connection.port}",
            remedy=f"GRANT ALL PRIVILEGES ON `{META_SCHEMA}`.* to the replicator's user",
        ) from error
