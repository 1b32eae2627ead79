"""The slow link of dev/: late by half a round trip each way, in order, and as dead as one asks for."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dev import Proxy, start_proxy
from dev.relay import Link, _Relay


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """The port of an echo server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def proxy(echo: int) -> Iterator[Proxy]:
    """A proxy to the echo server."""
    with start_proxy(echo) as started:
        yield started


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def round_trip_s(connection: socket.socket, size: int = 1) -> float:
    """Seconds until ``size`` bytes came back."""
    began, left = time.monotonic(), size
    connection.sendall(b"x" * size)
    while left:
        got = connection.recv(1 << 20)
        if not got:
            raise ConnectionError("closed")
        left -= len(got)
    return time.monotonic() - began


def test_the_round_trip_is_as_long_as_asked(proxy: Proxy) -> None:
    """60 ms asked for: not less, and not much more; changed on an open connection."""
    with connect(proxy) as connection:
        assert round_trip_s(connection) < 0.05
        proxy.change(rtt_ms=60)
        assert 0.06 <= round_trip_s(connection) < 0.12
        proxy.change(rtt_ms=0)


def test_bandwidth_is_limited(proxy: Proxy) -> None:
    """500 kB at 2 MB/s take a quarter of a second each way."""
    with connect(proxy) as connection:
        proxy.change(bytes_per_s=2_000_000)
        assert round_trip_s(connection, 500_000) >= 0.24
        proxy.change(bytes_per_s=None)


def test_a_cut_resets_and_refuses_until_restored(proxy: Proxy) -> None:
    """Both the open connection and a new one fail; afterwards new ones work."""
    with connect(proxy) as connection:
        round_trip_s(connection)
        proxy.cut()
        with pytest.raises(OSError):
            round_trip_s(connection)
        with pytest.raises(OSError):
            connect(proxy)
        proxy.restore()
    with connect(proxy) as connection:
        round_trip_s(connection)


def test_a_black_hole_is_silent(proxy: Proxy) -> None:
    """Nothing arrives and nobody says so; afterwards the connection is reset and new ones work."""
    with connect(proxy) as connection:
        round_trip_s(connection)
        proxy.blackhole()
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            round_trip_s(connection)
        proxy.restore()
        connection.settimeout(5)
        with pytest.raises(OSError):
            round_trip_s(connection)
    with connect(proxy) as connection:
        round_trip_s(connection)


def test_jitter_makes_chunks_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """By up to ``jitter_ms`` each, beyond half a round trip."""
    drawn = iter([30.0, 5.0, 0.0, 40.0, 0.0])
    asked: list[tuple[float, float]] = []
    now = [1000.0]
    arrived: list[tuple[bytes, int]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return next(drawn)

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    async def done() -> None:
        """Nobody pushes back."""

    async def carry() -> None:
        chunks = iter([(0.0, b"a"), (0.01, b"b"), (0.1, b"c"), (0.1, b"d"), (1.0, b"")])

        async def read(_: int) -> bytes:
            after, chunk = next(chunks)
            await on_the_way.wait()
            on_the_way.clear()
            now[0] = max(now[0], 1000 + after)
            return chunk

        def write(chunk: bytes) -> None:
            arrived.append((chunk, round(1000 * (now[0] - 1000))))
            on_the_way.set()

        on_the_way = asyncio.Event()
        on_the_way.set()
        asyncio.get_running_loop().time = lambda: now[0]  # type: ignore[method-assign]
        reader: Any = SimpleNamespace(read=read)
        writer: Any = SimpleNamespace(write=write, drain=done, write_eof=lambda: None)
        await _Relay(0, 0, Link(rtt_ms=20, jitter_ms=50))._carry(reader, writer, "up")

    monkeypatch.setattr("dev.relay.random.uniform", uniform)
    monkeypatch.setattr("dev.relay.asyncio.sleep", sleep)
    asyncio.run(carry())
    assert set(asked) == {(0, 50)}
    assert arrived == [(b"a", 40), (b"b", 55), (b"c", 110), (b"d", 160)]
