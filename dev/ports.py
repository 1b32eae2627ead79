"""Free ports on loopback."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from .errors import DevError

__all__ = ["HOST", "free_port"]

HOST = "127.0.0.1"
_LOWEST = 15000
_TRIES_MAX = 500
_handed_out: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on and that this process was not given before.

    It lies below the range from which the kernel picks ports for outgoing connections: a server that was killed can come
    back on its port without finding it taken by someone's client connection.
    """
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if end <= _LOWEST + 1000:
        end = 65535
    for _ in range(_TRIES_MAX):
        port = random.randrange(_LOWEST, end)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise DevError(f"no free port found on {HOST} between {_LOWEST} and {end}", remedy="Stop servers left running.")
