"""Writers at both sites on the same rows, and what must come of it: equal sites, exact sums, nothing that circulates.

Every table has its policy. ``item`` goes by a timestamp column that every write raises; ``stock`` adds differences; ``note``
goes by commit time and has a unique key that the sites contest, rows that come, go and come again.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pymysql

from dev import DatabaseServer
from replicator.config import StreamConfig, load_config
from replicator.row.tablemap import parse_table_map
from replicator.stream.consumer import RecordConsumer
from replicator.stream.reader import LargeBegin, LargePart, StreamReader, Txn
from replicator.stream.wire import QUERY, read_events
from tests.harness import Pair

__all__ = ["CONFLICTS", "HotRows", "carried", "create_tables", "shipped"]

_DELETES_WIN = {"delete_differing": "apply_origin", "update_missing": "skip_if_missing", "delete_missing": "skip_if_missing"}

CONFLICTS: dict[str, Any] = {
    "clock_offset_ms_max": 60_000,  # a loaded machine may measure anything
    "tables": {
        "*.item": {
            "insert_exists": {"policy": "latest_timestamp", "column": "at"},
            "update_differing": {"policy": "latest_timestamp", "column": "at"},
            **_DELETES_WIN,
        },
        "*.stock": {"update_differing": {"policy": "delta", "columns": ["n"]}, **_DELETES_WIN},
        "*.note": "latest_timestamp",
    },
}


def create_tables(server: DatabaseServer, schema: str, rows: int, tables: Sequence[str]) -> None:
    """The tables, filled with that many rows each."""
    columns = {
        "item": "id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(40) NOT NULL, at DATETIME(6) NOT NULL",
        "stock": "id INT PRIMARY KEY, n BIGINT NOT NULL",
        "note": "id INT PRIMARY KEY, u INT NULL, text VARCHAR(40) NOT NULL, UNIQUE KEY u (u)",
    }
    values = {"item": "({i},0,'',NOW(6))", "stock": "({i},0)", "note": "({i},{i},'')"}
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"CREATE TABLE {schema}.{table} ({columns[table]})")
            for first in range(0, rows, 500):
                some = ",".join(values[table].format(i=i) for i in range(first, min(rows, first + 500)))
                cursor.execute(f"INSERT INTO {schema}.{table} VALUES {some}")


class HotRows:
    """Writers in threads at one site; a context manager.

    ``committed`` counts transactions by table, ``added`` is what ``stock`` got.
    """

    def __init__(
        self,
        server: DatabaseServer,
        schema: str,
        *,
        rows: int,
        tables: Sequence[str],
        writers: int,
        seed: int,
        pause_s: float = 0.01,
    ) -> None:
        self._server, self._schema, self._rows, self._tables = server, schema, rows, tables
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pause_s = pause_s
        self.committed: Counter[str] = Counter()
        self.added = 0
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(random.Random(seed * 1000 + i),), daemon=True) for i in range(writers)
        ]

    def __enter__(self) -> HotRows:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not self.errors, self.errors

    def _guarded(self, rnd: random.Random) -> None:
        try:
            self._write(rnd)
        except BaseException as error:  # noqa: BLE001  (raised by __exit__ in the test's thread)
            self.errors.append(error)

    def _write(self, rnd: random.Random) -> None:
        with self._server.connect() as connection:
            while not self._stop.is_set():
                table = rnd.choice(self._tables)
                added = 0
                try:
                    with connection.cursor() as cursor:
                        touched = 0
                        for _ in range(rnd.choice((1, 1, 2, 3))):
                            affected, more = getattr(self, "_" + table)(cursor, rnd)
                            touched += affected
                            added += more
                    connection.commit()
                except pymysql.err.MySQLError as error:
                    connection.rollback()
                    if error.args[0] not in (1213, 1205, 1062, 1020):  # deadlock, lock wait, a unique key in the way
                        raise
                    continue
                with self._lock:
                    self.committed[table] += bool(touched)
                    self.added += added
                self._stop.wait(self._pause_s * rnd.random() * 2)

    def _item(self, cursor: Any, rnd: random.Random) -> tuple[int, int]:
        """Every write raises the row's time, also where the row was written by a clock ahead or after this statement began."""
        key = rnd.randrange(self._rows)
        later = "at=GREATEST(NOW(6), at + INTERVAL 1 MICROSECOND)"
        column = rnd.choice((f"a={rnd.randrange(1000)}", f"b='{rnd.randrange(1000)}'"))
        return cursor.execute(f"UPDATE {self._schema}.item SET {column}, {later} WHERE id={key}"), 0

    def _stock(self, cursor: Any, rnd: random.Random) -> tuple[int, int]:
        key, more = rnd.randrange(self._rows), rnd.choice((-3, -1, 1, 2, 5))
        done = cursor.execute(f"UPDATE {self._schema}.stock SET n=n+{more} WHERE id={key}")
        return done, more * done

    def _note(self, cursor: Any, rnd: random.Random) -> tuple[int, int]:
        """Updates, deletes, keys used again, key changes, contested unique values."""
        key, other, text = rnd.randrange(self._rows), rnd.randrange(self._rows), rnd.randrange(10**6)
        table = f"{self._schema}.note"
        statement = rnd.choice(
            (
                f"UPDATE {table} SET text='{text}' WHERE id={key}",
                f"UPDATE {table} SET text='{text}' WHERE id={key}",
                f"UPDATE {table} SET u={other} WHERE id={key}",
                f"UPDATE {table} SET id={other} WHERE id={key}",
                f"DELETE FROM {table} WHERE id={key}",
                f"INSERT INTO {table} VALUES ({key},{other},'{text}')",
                f"INSERT INTO {table} VALUES ({key},NULL,'{text}')",
            )
        )
        return cursor.execute(statement), 0


def shipped(pair: Pair, *, back: bool = False) -> Counter[str]:
    """What lies in a flow's topic: transactions by table, statements as ``query``; a transaction counts once for each."""
    streams = load_config(pair.config()).streams(pair=pair.name)
    (stream,) = [s for s in streams if s.id.origin == ("west" if back else "east")]
    return carried(stream)


def carried(stream: StreamConfig, *, by_site: bool = False) -> Counter[str]:
    """The same of one stream; with ``by_site`` as ``site:table``, where the site is the one that committed it first."""
    consumer = RecordConsumer(stream)
    consumer.assign(None)
    found: Counter[str] = Counter()
    reader = StreamReader(stream=stream.id.topic)
    large: set[str] = set()
    site = ""
    end = consumer.end_offset()
    try:
        while consumer.next_offset < end:
            for offset, value in consumer.poll(200):
                for item in reader.feed(offset, value):
                    if isinstance(item, LargeBegin):
                        large, site = set(), item.site
                    if isinstance(item, Txn | LargePart):
                        kinds = list(read_events(item.events))
                        maps = [parse_table_map(m, reader.flavor).table for m in item.table_maps]
                        names = {"query" if e.type == QUERY else maps[e.table] for e in kinds}
                        site = item.site if isinstance(item, Txn) else site
                        prefix = f"{site or stream.id.origin}:" if by_site else ""
                        found.update([prefix + name for name in names - large])
                        large = large | names if isinstance(item, LargePart) else set()
    finally:
        consumer.close()
    return found
