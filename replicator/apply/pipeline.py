"""Writes batches on several connections at once and commits them in the order of the origin.

A batch starts as soon as a slot is free and no earlier, uncommitted batch touches a key of it; it commits when all earlier ones
have. One that does not fit is written again at its turn: an earlier one may have been in the way unforeseen (cascades). If it has
to look closer then (a conflict), it may touch rows that nobody foresaw, so it asks the later ones to roll back and to write again
behind it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import DatabaseError, ReplicatorError
from .checkpoint import Checkpoint
from .writer import Batch, NotYet, RetryBatch, Writer

__all__ = ["Pipeline"]

_RETRY_PAUSE_S = 0.02
_BYTES_MAX = 24 << 20
"""Of the events in all batches together; as statements they take several times as much."""


class Pipeline:
    """``submit`` batches in order; any error of a writer comes out of the next ``submit``, ``drain`` or ``check``.

    ``before_commit`` is told whether a later batch is written already, on another connection.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        *,
        committed: Callable[[Batch], None],
        passed: Callable[[Checkpoint, int], None],
        before_commit: Callable[[Batch, bool], None],
        retry_limit: int,
        retried: Callable[[], None],
        waited: Callable[[str, float], None],
    ) -> None:
        self._writers = writers
        self._committed = committed
        self._passed = passed
        self._before_commit = before_commit
        self._retry_limit = retry_limit
        self._retried = retried
        self._waited = waited
        self._lock = threading.Condition()
        self._queue: deque[Batch] = deque()
        self._running: dict[int, Batch] = {}  # by index: taken by a slot, not yet committed
        self._bytes = 0  # of all batches that are not committed
        self._kept_since: float | None = None
        """When a slot was free for the next batch, which could not start."""
        self._next_index = 0
        self._next_commit = 0
        self._error: BaseException | None = None
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(w,), name=f"writer-{w.slot}", daemon=True) for w in writers
        ]
        for thread in self._threads:
            thread.start()

    @property
    def idle(self) -> bool:
        """Whether everything submitted is committed."""
        return self._next_commit == self._next_index

    @property
    def has_room(self) -> bool:
        """Whether a batch submitted now would start at once or soon."""
        return not self._queue and self._bytes < _BYTES_MAX

    def submit(self, batch: Batch) -> None:
        """Queue a batch; waits while the queue is full. Raises what a writer raised."""
        with self._lock, self._clock("database"):
            self._lock.wait_for(lambda: self._error is not None or (len(self._queue) < 2 and self._bytes < _BYTES_MAX))
            self._raise()
            self._bytes += batch.bytes
            batch.index = self._next_index
            self._next_index += 1
            self._queue.append(batch)
            self._lock.notify_all()

    def pass_on(self, checkpoint: Checkpoint, origin_time_us: int) -> None:
        """Tell ``passed`` that the position has moved on, behind everything submitted; nothing is written. Raises what a writer
        raised. Takes no connection, which would wait for its turn: a record's end would keep every other one from work."""
        with self._lock:
            self._raise()
            if not self.idle:
                last = self._queue[-1] if self._queue else self._running[self._next_index - 1]
                _, known_us = last.behind or (None, 0)
                last.behind = (checkpoint, origin_time_us or known_us)
                return
        self._passed(checkpoint, origin_time_us)

    def wait_idle(self, timeout_s: float) -> None:
        """Return when everything submitted is committed, or a writer failed, or the time is over."""
        with self._lock, self._clock("database"):
            self._lock.wait_for(lambda: self._error is not None or self.idle, timeout_s)

    def drain(self) -> None:
        """Wait until everything submitted is committed. Raises what a writer raised."""
        with self._lock:
            self._lock.wait_for(lambda: self._error is not None or self.idle)
            self._raise()

    def check(self) -> None:
        """Raise what a writer raised, if one did."""
        self._raise()

    def close(self) -> None:
        """Stop all writers; what is not committed is rolled back with its connection."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for writer in self._writers:
            writer.session.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self, writer: Writer) -> None:
        try:
            while True:
                with self._lock:
                    self._lock.wait_for(lambda: self._closed or self._error is not None or self._may_start())
                    if self._closed or self._error is not None:
                        return
                    batch = self._queue.popleft()
                    if self._kept_since is not None:
                        self._waited("dependency", time.monotonic() - self._kept_since)
                        self._kept_since = None
                    batch.side_by_side = bool(self._running)
                    self._running[batch.index] = batch
                    self._lock.notify_all()
                self._write(writer, batch)
        except BaseException as error:  # noqa: BLE001  (handed to the main thread, which raises it)
            with self._lock:
                if self._error is None and not self._closed:
                    self._error = error
                self._lock.notify_all()

    @contextmanager
    def _clock(self, cause: str) -> Iterator[None]:
        """Count the time inside as a wait for that cause."""
        began = time.monotonic()
        yield
        self._waited(cause, time.monotonic() - began)

    def _may_start(self) -> bool:
        if not self._queue:
            return False
        batch = self._queue[0]
        if not any(other.looked_closer or batch.depends_on(other) for other in self._running.values()):
            return True
        if self._kept_since is None:  # whoever asks is free; it may be another one that takes the batch in the end
            self._kept_since = time.monotonic()
        return False

    def _write(self, writer: Writer, batch: Batch) -> None:
        """Write, wait for the turn, commit."""
        self._execute_until_turn(writer, batch)
        with self._lock:
            others_written = any(other.written for other in self._running.values() if other is not batch)
        self._before_commit(batch, others_written)
        writer.commit()
        self._committed(batch)
        with self._lock:
            if batch.behind is not None:
                self._passed(*batch.behind)
            del self._running[batch.index]
            self._bytes -= batch.bytes
            self._next_commit += 1
            self._lock.notify_all()

    def _execute_until_turn(self, writer: Writer, batch: Batch) -> None:
        """Leave the batch written, not committed, at its turn; again where a lock or an earlier batch was in the way."""
        attempts = 0
        while True:
            try:
                writer.execute(batch, disrupt=lambda: self._disrupt(batch), turn=self._next_commit == batch.index)
            except NotYet:
                self._wait_turn(batch)
                continue
            except RetryBatch as error:
                attempts += 1
                self._retried()
                if attempts > self._retry_limit:
                    raise DatabaseError(
                        f"gave up a batch after {attempts} tries: {error.what}",
                        where=f"GTID {batch.checkpoint.gtid}",
                        remedy="look for long transactions that hold locks at the target (SHOW ENGINE INNODB STATUS)",
                    ) from error
                self._disrupt(batch)
                self._wait_turn(batch)
                with self._lock:
                    self._lock.wait_for(lambda: self._closed, _RETRY_PAUSE_S * attempts)
                continue
            batch.written = True
            if not self._wait_turn(batch, heed=True):
                return
            batch.written = False
            writer.rollback()  # an earlier batch writes what nobody foresaw: start again behind it
            self._wait_turn(batch)

    def _disrupt(self, batch: Batch) -> None:
        """Ask all batches behind this one that run already to roll back and to write again behind it."""
        with self._lock:
            for other in self._running.values():
                if other.index > batch.index:
                    other.disrupted = True
            self._lock.notify_all()

    def _wait_turn(self, batch: Batch, *, heed: bool = False) -> bool:
        """Wait until all earlier batches are committed; with ``heed`` return True at once where one disrupts this one."""
        with self._lock, self._clock("commit_order"):
            self._lock.wait_for(
                lambda: self._closed
                or self._error is not None
                or (heed and batch.disrupted)
                or self._next_commit == batch.index
            )
            if self._closed or self._error is not None:
                raise ReplicatorError("rolled back", remedy="another connection of the applier failed; see its error")
            disrupted, batch.disrupted = batch.disrupted, False
            return heed and disrupted
