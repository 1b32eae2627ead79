"""Lets go of what has been kept for long enough: entries of the conflict log, and changes released from quarantine.

Held changes are never deleted; how many there are is told. Small deletes, now and then, on a connection of their own: a failure
waits for the next time.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql

from .. import meta
from ..context import now_us

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Worker

__all__ = ["Retention"]

_EVERY_S = 3600.0
_TELL_S = 30.0
_ROWS = 2000
_ROUNDS = 50
_DAY_US = 86_400_000_000
_TIME = "SUBSTRING_INDEX(SUBSTRING_INDEX(audit, ' at ', -1), ' ', 1)"
_DECIDED = f" AND state<>'held' AND {_TIME} REGEXP '^[0-9]{{16}}$' AND {_TIME}<CONCAT(%(before)s)"
"""Kept from the decision on, of which the audit tells the time (``release``), however long the change was held before.
Compared as a text: of an audit that somebody wrote by hand no number could be made, and all deleting would end. It stays."""


class Retention:
    """For one stream, at its target; ``look`` is cheap to call often."""

    def __init__(self, stream: StreamConfig, worker: Worker) -> None:
        self._stream = stream
        self._worker = worker
        self._due = 0.0
        self._tell_at = 0.0

    def look(self) -> None:
        """Delete what is too old, about once an hour; tell how many changes are held, twice a minute."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + _TELL_S
            self._tell_held()
        days = self._stream.policies.log_days
        if not days or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_S
        try:
            deleted = self._delete(now_us() - days * _DAY_US)
        except (pymysql.MySQLError, OSError) as error:
            self._worker.log.warning("cannot delete old entries of the conflict log", error=type(error).__name__)
            return
        if deleted:
            self._worker.log.info("old entries of the conflict log deleted", entries=deleted, days=days)

    def _tell_held(self) -> None:
        """Counted in the table: operators take changes out of it too."""
        held: float | None = None  # not known
        sql = f"SELECT COUNT(*) FROM {meta.QUARANTINE} WHERE flow=%s AND stream=%s AND state='held'"
        try:
            with closing(self._connect(read_timeout_s=10)) as connection, connection.cursor() as cursor:
                cursor.execute(sql, (self._stream.id.flow, self._stream.id.stream))
                ((held,),) = cursor.fetchall()
        except (pymysql.MySQLError, OSError) as error:
            self._worker.log.warning("cannot count the changes in quarantine", error=type(error).__name__)
        self._worker.reporter.gauge("quarantine_held", held)
        self._worker.reporter.gauge("quarantine_limit", self._stream.policies.quarantine_max_rows)

    def _connect(self, read_timeout_s: float) -> pymysql.Connection[Any]:
        settings = {"connect_timeout": 10, "read_timeout": read_timeout_s, **self._stream.target.database.connect_args()}
        return pymysql.connect(**settings, charset="utf8mb4", autocommit=True)

    def _delete(self, before_us: int) -> int:
        connection = self._connect(read_timeout_s=60)
        deleted = 0
        try:
            with connection.cursor() as cursor:
                for table, which in ((meta.CONFLICT_LOG, ""), (meta.QUARANTINE, _DECIDED)):
                    for _ in range(_ROUNDS):
                        count = cursor.execute(
                            f"DELETE FROM {table} WHERE flow=%(flow)s AND stream=%(stream)s AND time_us<%(before)s{which}"
                            f" LIMIT {_ROWS}",
                            {"flow": self._stream.id.flow, "stream": self._stream.id.stream, "before": before_us},
                        )
                        deleted += count
                        if count < _ROWS:
                            break
        finally:
            connection.close()
        return deleted
