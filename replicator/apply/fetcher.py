"""Fetches ahead of the applier: a thread of its own keeps the network busy while batches are planned and written.

What waits is bounded in bytes; the thread then stops polling, and Kafka holds the rest.
"""

from __future__ import annotations

import threading
from collections import deque

from ..stream.consumer import RecordConsumer

__all__ = ["Fetcher"]

_WAITING_BYTES_MAX = 24 << 20
_POLL_MS = 200


class Fetcher:
    """Owns the consumer's polling from construction to ``close``."""

    def __init__(self, consumer: RecordConsumer) -> None:
        self._consumer = consumer
        self._lock = threading.Condition()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._error: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="fetcher", daemon=True)
        self._thread.start()

    def get(self, timeout_ms: float) -> list[tuple[int, bytes]]:
        """Records in order, at least one if there is one within ``timeout_ms``; raises what polling raised."""
        with self._lock:
            if not self._waiting and timeout_ms:
                self._lock.wait_for(lambda: self._waiting or self._error is not None, timeout_ms / 1000)
            if not self._waiting:
                if self._error is not None:
                    raise self._error
                return []
            taken: list[tuple[int, bytes]] = []
            size = 0
            while self._waiting and size < 1 << 20:
                record = self._waiting.popleft()
                size += len(record[1])
                taken.append(record)
            self._bytes -= size
            self._lock.notify_all()
            return taken

    def close(self) -> None:
        """Stop polling; the consumer itself stays open."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            while not self._closed:
                records = self._consumer.poll(_POLL_MS)
                with self._lock:
                    self._waiting.extend(records)
                    self._bytes += sum(len(value) for _, value in records)
                    self._lock.notify_all()
                    self._lock.wait_for(lambda: self._closed or self._bytes < _WAITING_BYTES_MAX)
        except BaseException as error:  # noqa: BLE001  (raised again by ``get`` in the applier's thread)
            with self._lock:
                self._error = error
                self._lock.notify_all()
