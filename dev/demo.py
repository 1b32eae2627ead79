"""``make demo``: two sites on real servers, a workload, lag, and the proof that both ends hold the same.

Starts two databases and Kafka under ``.run/demo``, one ``replicator run`` process a site, and a shop that inserts, updates
and deletes; in the middle comes DDL, later one large transaction. Lag is printed all along; in the end ``dev.judge`` compares
by SQL checksums. With a terminal the sites then stay up, with a little traffic, until Ctrl-C; without one the demo ends. It
stops whatever it started.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import DatabaseServer, start_kafka, start_mariadb, start_mysql
from .cache import REPOSITORY
from .errors import DevError
from .judge import checksum
from .pair import Pair

TABLES = ["shop.*"]
SCHEMA = (
    "CREATE TABLE shop.customer (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, note TEXT, "
    "since TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
    "CREATE TABLE shop.stock (item INT PRIMARY KEY, quantity INT NOT NULL, price DECIMAL(10,2) NOT NULL)",
    "CREATE TABLE shop.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, item INT NOT NULL, "
    "state ENUM('new','paid','sent') NOT NULL DEFAULT 'new', total DECIMAL(10,2) NOT NULL, "
    "FOREIGN KEY (customer) REFERENCES shop.customer (id) ON DELETE CASCADE)",
)
DDL = (
    "ALTER TABLE shop.orders ADD COLUMN shipped_at DATETIME(3) NULL AFTER state, ADD INDEX by_state (state)",
    "CREATE TABLE shop.audit (id BIGINT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200) NOT NULL, at DATETIME(6) NOT NULL)",
)


class Shop:
    """The workload: one session that trades until told to stop."""

    def __init__(self, server: DatabaseServer, seed: int) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.transactions = 0
        self.error: BaseException | None = None

    def open(self) -> None:
        """Create the tables and fill the stock."""
        values = ",".join(f"({item}, 1000, {item % 90 + 0.99})" for item in range(1, 501))
        people = ",".join(f"('customer {i} é中😀', REPEAT('note ', {i % 40}))" for i in range(1, 301))
        with self._server.connect(autocommit=True) as connection, connection.cursor() as cursor:
            for statement in SCHEMA:
                cursor.execute(statement)
            cursor.execute(f"INSERT INTO shop.stock VALUES {values}")
            cursor.execute(f"INSERT INTO shop.customer (name, note) VALUES {people}")

    def start(self, pause_s: float) -> None:
        """Trade in a thread, with a pause after each transaction."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._trade, args=(pause_s,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the transaction at hand; raises what went wrong."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def execute(self, *statements: str) -> None:
        """Run statements in a session of their own."""
        with self._server.connect(autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _trade(self, pause_s: float) -> None:
        try:
            with self._server.connect() as connection, connection.cursor() as cursor:
                while not self._stop.is_set():
                    self._transaction(cursor)
                    connection.commit()
                    self.transactions += 1
                    self._stop.wait(pause_s)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that calls stop
            self.error = error

    def _transaction(self, cursor: Any) -> None:
        item, customer = self._random.randint(1, 500), self._random.randint(1, 300)
        if self._random.random() < 0.1:
            cursor.execute(f"DELETE FROM shop.orders WHERE state = 'sent' AND customer = {customer} LIMIT 5")
            cursor.execute(f"UPDATE shop.customer SET note = CONCAT(LEFT(note, 100), ' seen') WHERE id = {customer}")
            return
        cursor.execute(f"UPDATE shop.stock SET quantity = quantity - 1 WHERE item = {item}")
        order = f"SELECT {customer}, item, price FROM shop.stock WHERE item = {item}"
        cursor.execute(f"INSERT INTO shop.orders (customer, item, total) {order}")
        cursor.execute("UPDATE shop.orders SET state = state + 1 WHERE state < 3 ORDER BY id LIMIT 2")


def demo(flavor: str, seconds: float, large_rows: int, stay: bool) -> int:
    """Run it; returns the exit code."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)

    folder = REPOSITORY / ".run" / "demo"
    with contextlib.ExitStack() as stack:
        pair = _sites(flavor, folder, stack, say)
        shop = Shop(pair.origin, seed=1)
        shop.open()
        stack.callback(pair.stop)
        pair.start()
        say("both sites stream: one `replicator run` process each")
        shop.start(0.002)
        _watch(pair, shop, seconds / 2, say)
        shop.execute(*DDL)
        say("DDL at the origin: a column and an index more, a new table")
        _watch(pair, shop, seconds / 2, say)
        _large_transaction(shop, large_rows)
        say(f"one transaction of {large_rows:,} rows committed at the origin")
        _watch(pair, shop, 3, say)
        shop.stop()
        say(f"the workload ends after {shop.transactions:,} transactions")
        pair.wait(120)
        say("`replicator wait`: the target has applied all that the origin has")
        equal = _prove(pair, say)
        if not equal:
            say("NOT EQUAL, see above; logs: " + ", ".join(str(pair.log(site)) for site in ("east", "west")))
            return 1
        say("equal: every table, every row, every byte")
        if stay:
            _stay(pair, shop, say)
    say("all stopped")
    return 0


def _sites(flavor: str, folder: Path, stack: contextlib.ExitStack, say: Callable[[str], None]) -> Pair:
    """Servers and configuration; the stack stops and deletes what was started."""
    shutil.rmtree(folder, ignore_errors=True)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    say("servers start (the first time their packages are fetched)")
    servers: list[DatabaseServer] = []
    for server_id, site in enumerate(("east", "west"), 1):
        start: Any = start_mariadb if flavor == "mariadb" else start_mysql
        servers.append(start(folder / site, server_id=server_id, die_with_parent=True, wait=False))
        stack.callback(servers[-1].kill)
    kafka = start_kafka(folder / "kafka", die_with_parent=True)
    stack.callback(kafka.kill)
    for site, server in zip(("east", "west"), servers, strict=True):
        server.wait_ready()
        say(f"{site}: {server.flavor} {server.version} on {server.host}:{server.port} (user root, password root)")
    say(f"kafka on {kafka.bootstrap}")
    return Pair(folder / "pair", servers[0], servers[1], kafka, name="shop")


def _watch(pair: Pair, shop: Shop, seconds: float, say: Callable[[str], None]) -> None:
    """Print the target's lag once a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))
        say(f"{shop.transactions:6,} transactions at the origin; {_lag(pair)}")
        stopped = pair.stopped()
        if stopped:
            raise DevError(f"a worker stopped: {stopped}")


def _lag(pair: Pair) -> str:
    for flow in pair.lag("west")["flows"]:
        return f"lag {flow['lag_seconds']} s, {flow['lag_transactions']} transactions ({flow['state']})"
    return "no flow yet"


def _large_transaction(shop: Shop, rows: int) -> None:
    shop.execute(
        "START TRANSACTION",
        "INSERT INTO shop.audit (what, at) VALUES ('one row to double', NOW(6))",
        *["INSERT INTO shop.audit (what, at) SELECT CONCAT('row ', id, ' of many'), NOW(6) FROM shop.audit"]
        * (rows - 1).bit_length(),
        f"DELETE FROM shop.audit ORDER BY id DESC LIMIT {(1 << (rows - 1).bit_length()) - rows}",
        "COMMIT",
    )


def _prove(pair: Pair, say: Callable[[str], None]) -> bool:
    sums = {site: checksum(server, TABLES) for site, server in pair.servers.items()}
    for table in sorted(sums["east"].keys() | sums["west"].keys()):
        if ".zz_" not in table:
            for site in sums:
                rows, text = sums[site].get(table, (0, "missing"))
                say(f"  {table:<15} {site}: {rows:>9,} rows, checksum {text}")
    differences = pair.differences()
    for line in differences:
        say("  " + line)
    return not differences


def _stay(pair: Pair, shop: Shop, say: Callable[[str], None]) -> None:
    say(f"it stays up, with some traffic, until Ctrl-C. Look at {pair.url('west')} and {pair.url('east')}")
    say(f"  lag: {pair.url('west', '/lag')}  metrics: {pair.url('west', '/metrics')}")
    say(f"  .venv/bin/replicator status -c {pair.config().relative_to(REPOSITORY)}")
    shop.start(0.05)
    try:
        while not pair.stopped():
            time.sleep(0.5)
        say(f"a worker stopped: {pair.stopped()}")
    except KeyboardInterrupt:
        pass
    shop.stop()


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, and the terminal's end, end it like Ctrl-C, so that everything is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    options.add_argument("--flavor", choices=("mysql", "mariadb"), default="mysql")
    options.add_argument("--seconds", type=float, default=20, help="how long the workload runs")
    options.add_argument("--large-rows", type=int, default=200_000, help="rows of the one large transaction")
    options.add_argument("--end", action="store_true", help="end when done, also with a terminal")
    chosen = options.parse_args()
    stay = sys.stdin.isatty() and sys.stdout.isatty() and not chosen.end
    try:
        with _ended_by_sigterm():
            return demo(chosen.flavor, chosen.seconds, chosen.large_rows, stay)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
