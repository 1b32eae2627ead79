"""A wide-area link between Kafka and the applier: slow, narrow, uneven, and gone for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import Proxy, free_port, start_kafka, start_proxy
from dev.pair import Pair
from tests.harness import Pairs, await_, execute

pytestmark = pytest.mark.servers

COUNTERS = 20
TRANSACTIONS = 600


@pytest.fixture
def link(tmp_path: Path) -> Iterator[tuple[Proxy, object]]:
    """A broker of its own, whose far listener is reached through the proxy."""
    port = free_port()
    kafka = start_kafka(tmp_path / "kafka", far_port=port, die_with_parent=True)
    try:
        assert kafka.far_listener_port is not None
        with start_proxy(kafka.far_listener_port, port=port, rtt_ms=80, jitter_ms=20, bytes_per_s=4 << 20) as proxy:
            yield proxy, kafka
    finally:
        kafka.destroy()


def lag_of(pair: Pair) -> float | str:
    """Of the applier's stream."""
    (stream,) = pair.lag("west")["flows"][0]["streams"]
    return stream["lag_seconds"]  # type: ignore[no-any-return]


def test_nothing_is_lost_over_a_link_that_is_cut_and_falls_silent(pairs: Pairs, link: tuple[Proxy, object]) -> None:
    """While transactions come: connections are reset and refused, then hang, then come back; the lag says so, the source
    is not bothered, and counters end right."""
    proxy, kafka = link
    pair = pairs("mysql", "mysql", kafka=kafka, bootstrap={"west": proxy.address})
    execute(
        pair.origin,
        f"CREATE TABLE {pair.name}.t (id INT PRIMARY KEY, n INT NOT NULL, filler VARBINARY(8000))",
        f"INSERT INTO {pair.name}.t VALUES {','.join(f'({i}, 0, RANDOM_BYTES(1000))' for i in range(COUNTERS))}",
    )
    pair.start()
    pair.wait(60)
    written = threading.Event()

    def write() -> None:
        with pair.origin.connect(autocommit=True) as connection, connection.cursor() as cursor:
            for number in range(TRANSACTIONS):
                cursor.execute(f"UPDATE {pair.name}.t SET n=n+1, filler=REPEAT('x', {number}) WHERE id={number % COUNTERS}")
                if number % 100 == 50:
                    reached.release()
                    assert go.acquire(timeout=60)
        written.set()

    reached, go = threading.Semaphore(0), threading.Semaphore(0)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for trouble in (proxy.drop_connections, proxy.cut, proxy.blackhole, proxy.drop_connections, proxy.cut, proxy.blackhole):
        assert reached.acquire(timeout=60)
        trouble()
        go.release()
        if trouble in (proxy.cut, proxy.blackhole):
            pair.until(lambda: lag_of(pair) == "unknown" or float(lag_of(pair)) > 2, 60, "the lag to tell of it")
            assert pair.lag("east")["flows"][0]["streams"][0]["state"] == "streaming"
            proxy.restore()
    await_("all is written", written.is_set, 60)
    pair.wait(120)
    assert pair.differences() == []
    expected = [(i, TRANSACTIONS // COUNTERS) for i in range(COUNTERS)]
    assert list(execute(pair.target, f"SELECT id, n FROM {pair.name}.t ORDER BY id")) == expected
