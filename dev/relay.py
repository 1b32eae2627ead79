"""The process behind ``dev.proxy``: accepts connections, and carries their bytes late.

The model is a link, not a TCP stack: every chunk of bytes arrives half a round trip later than it was sent, chunks of a
connection keep their order, all connections share the bandwidth of their direction, and at most ``WINDOW_BYTES`` of a
connection are on their way at once. Commands come as lines of JSON on standard input, and the process ends with it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
from dataclasses import dataclass
from typing import Any

from .ports import HOST

__all__ = ["WINDOW_BYTES", "Link"]

WINDOW_BYTES = 32 << 20
_CHUNK_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Link:
    """The link's nature. ``mode``: ``open``, ``cut`` (connections reset, new ones refused) or ``blackhole`` (silence)."""

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    bytes_per_s: float | None = None
    mode: str = "open"


class _Relay:
    """The proxy process: accepts, delays, counts, obeys the commands on standard input."""

    def __init__(self, port: int, target_port: int, link: Link) -> None:
        self._port = port
        self._target_port = target_port
        self._link = link
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._swallowed: set[asyncio.StreamWriter] = set()
        self._free_at = {"up": 0.0, "down": 0.0}  # when each direction's wire is free again
        self._delivered = {"up": 0, "down": 0}
        self._opened = asyncio.Event()
        self._opened.set()

    async def run(self) -> None:
        await self._listen()
        _answer({"ready": True})
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while line := await commands.readline():
            request = json.loads(line)
            if request.get("ask") == "bytes":
                _answer(self._delivered)
            else:
                await self._become(Link(**request))
                _answer({"done": True})
        self._reset(self._writers)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self._port, reuse_address=True)

    async def _become(self, link: Link) -> None:
        before, self._link = self._link, link
        if link.mode == "cut" and self._server is not None:
            self._server.close()
            self._server = None
            self._reset(self._writers)
        if link.mode == "blackhole":
            self._opened.clear()
            self._swallowed = set(self._writers)
        else:
            self._opened.set()
        if before.mode == "blackhole" and link.mode == "open":
            self._reset(self._swallowed)
        if link.mode != "cut" and self._server is None:
            await self._listen()

    def _reset(self, writers: set[asyncio.StreamWriter]) -> None:
        for writer in list(writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if not self._opened.is_set():
            self._swallowed.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            await self._opened.wait()
            far_reader, far = await asyncio.open_connection(HOST, self._target_port)
            self._writers.add(far)
            await asyncio.gather(self._carry(reader, far, "up"), self._carry(far_reader, writer, "down"))
        except OSError:
            pass  # either end is gone: so is the other
        finally:
            for end in (writer, far):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Move bytes one way, late; an end of the stream is carried over too, behind the bytes."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WINDOW_BYTES // _CHUNK_BYTES)
        sending = asyncio.create_task(self._deliver(on_the_way, writer, way))
        clock = asyncio.get_running_loop().time
        arrival = 0.0
        try:
            while True:
                chunk = await reader.read(_CHUNK_BYTES)
                link, now = self._link, clock()
                if link.bytes_per_s:
                    self._free_at[way] = max(now, self._free_at[way]) + len(chunk) / link.bytes_per_s
                    now = self._free_at[way]
                late_ms = link.rtt_ms / 2 + random.uniform(0, link.jitter_ms)
                arrival = max(arrival, now + late_ms / 1000)  # TCP delivers in order
                await on_the_way.put((arrival, chunk))
                if not chunk:
                    break
            await sending
        finally:
            sending.cancel()

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: str) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            arrival, chunk = await queue.get()
            if (wait := arrival - clock()) > 0:
                await asyncio.sleep(wait)
            await self._opened.wait()
            if not chunk:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()
            self._delivered[way] += len(chunk)


def _answer(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def main() -> None:
    """The proxy process: PORT TARGET_PORT LINK; commands on standard input, ends with it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("port", type=int)
    options.add_argument("target_port", type=int)
    options.add_argument("link", type=json.loads)
    chosen = options.parse_args()
    relay = _Relay(chosen.port, chosen.target_port, Link(**chosen.link))
    asyncio.run(relay.run())


if __name__ == "__main__":
    main()
