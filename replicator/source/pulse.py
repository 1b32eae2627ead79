"""Writes the heartbeat row from a thread of its own, so that a lock or a slow disk at the origin does not hold up the source."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..errors import ReplicatorError
from .origin import Origin

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Worker

__all__ = ["Pulse"]


class Pulse:
    """Beats from construction to ``close``. What goes wrong is logged once: the binlog connection tells whether the origin is
    away, and the lag grows without heartbeats."""

    def __init__(self, stream: StreamConfig, worker: Worker, stream_id: str, epoch: int) -> None:
        self._origin = Origin(stream)
        self._every_s = stream.source.heartbeat_seconds
        self._log = worker.log
        self._stream_id = stream_id
        self._epoch = epoch
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    @property
    def writable(self) -> bool:
        """False where the origin is read-only: then there are no heartbeat rows."""
        return self._origin.writable

    def close(self) -> None:
        """Stop beating; does not wait for a statement that hangs."""
        self._closed.set()
        self._thread.join(timeout=0.5)
        self._origin.close()

    def _run(self) -> None:
        failing = False
        while not self._closed.wait(self._every_s):
            try:
                self._origin.heartbeat(self._stream_id, self._epoch)
                failing = False
            except ReplicatorError as error:
                if not (failing or self._closed.is_set()):
                    self._log.warning("no heartbeat", error=error.what)
                failing = True
