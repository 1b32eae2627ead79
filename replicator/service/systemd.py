"""Tells systemd how the daemon does (sd_notify). Without systemd, nothing happens."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

__all__ = ["Notifier"]

_SEND_S = 0.2


class Notifier:
    """Sends to ``$NOTIFY_SOCKET``; knows the watchdog's interval from ``$WATCHDOG_USEC``."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        ours = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(env.get("WATCHDOG_USEC", "0")) / 1e6 if ours else 0.0
        """Within which a sign of life is expected; 0 where none is."""
        self._status = ""

    def send(self, *assignments: str) -> None:
        """Send lines such as ``READY=1``; a systemd that does not listen is no reason to stop."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(_SEND_S)  # a busy systemd must not hold up the loop
                sock.sendto("\n".join(assignments).encode(), self._address)
        except OSError:
            pass

    def status(self, text: str) -> None:
        """One sentence for `systemctl status`, sent when it changed."""
        if text != self._status:
            self._status = text
            self.send(f"STATUS={text}")

    def reloading(self) -> None:
        """A reload began; ``READY=1`` ends it."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
