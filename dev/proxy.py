"""A slow, unreliable link on loopback: a TCP proxy that adds round-trip time, jitter and a bandwidth limit, and can be cut.

The proxy is a process of its own (``dev/relay.py``), so that it takes no time from the interpreter that uses it,
and it ends with its owner. ``Proxy`` is the handle. Kafka's clients follow the addresses that a broker advertises: start
the broker with ``start_kafka(…, far_port=PORT)`` and a proxy on PORT towards ``kafka.far_listener_port``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .errors import DevError
from .ports import HOST, free_port
from .relay import Link

__all__ = ["Proxy", "start_proxy"]


class Proxy:
    """A running proxy. Made by ``start_proxy``."""

    host = HOST

    def __init__(self, port: int, target_port: int, link: Link) -> None:
        self.port = port
        self.target_port = target_port
        self.link = link
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from dev.relay import main; main()", str(port), str(target_port), json.dumps(asdict(link))],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reply("start")

    def __repr__(self) -> str:
        return f"<Proxy {self.host}:{self.port} → {self.target_port} {self.link}>"

    @property
    def address(self) -> str:
        """``host:port``, as clients want it."""
        return f"{self.host}:{self.port}"

    def change(self, **fields: Any) -> None:
        """Change fields of the link, from now on, also for open connections."""
        self.link = replace(self.link, **fields)
        self._ask(asdict(self.link))

    def cut(self) -> None:
        """Reset all connections and refuse new ones until ``restore``."""
        self.change(mode="cut")

    def blackhole(self) -> None:
        """Deliver nothing more, and say nothing, until ``restore``: what a dead link looks like."""
        self.change(mode="blackhole")

    def restore(self) -> None:
        """Deliver again. Connections that met a black hole are reset; new ones work."""
        self.change(mode="open")

    def drop_connections(self) -> None:
        """Reset all connections; new ones are welcome at once."""
        self.change(mode="cut")
        self.change(mode="open")

    def bytes(self) -> dict[str, int]:
        """Bytes delivered so far: ``up`` (to the target) and ``down``."""
        reply: dict[str, int] = self._ask({"ask": "bytes"})
        return reply

    def stop(self) -> None:
        """End the proxy and all connections through it."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return self._reply(str(request))

    def _reply(self, request: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise DevError(f"the proxy on port {self.port} ended (asked: {request})", where=f"{HOST}:{self.port}")
        return json.loads(line)


def start_proxy(
    target_port: int,
    *,
    port: int | None = None,
    rtt_ms: float = 0.0,
    jitter_ms: float = 0.0,
    bytes_per_s: float | None = None,
) -> Proxy:
    """Start a proxy on ``port`` (None picks one) towards ``target_port`` of this machine's loopback."""
    return Proxy(port or free_port(), target_port, Link(rtt_ms, jitter_ms, bytes_per_s))
