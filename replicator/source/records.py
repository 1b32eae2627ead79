"""Builds the records of a stream from transactions, as they are read. Pure: what is ready is handed to ``emit``.

Small transactions share a record. One that grows over half a record's size goes out in chunks while it is being read, so
that it is never whole in memory; a record is cut at half its size, so that the rest always fits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import msgspec

from ..context import now_us
from ..errors import SourceError
from ..stream.wire import EVENT, NO_TABLE, Kind, pack_body, pack_maps, pack_transaction_head

__all__ = ["RecordBuilder", "Sealed"]

_MAPS_COUNT_BYTES = 2
_MAP_LENGTH_BYTES = 4
_NO_BODY = pack_body([], [])


class Sealed(msgspec.Struct):
    """A record that is ready; who writes it adds stream, epoch and source."""

    kind: int
    first: int
    last: int
    resume: str
    shipped: str
    origin_time_us: int
    body: bytes
    chunk: int = 0
    payload_bytes: int = 0
    payload_crc: int = 0
    gtid: str = ""
    """Of the last transaction that is complete with it."""
    seen: int = 0


class RecordBuilder:
    """The open record and, at its end, the open transaction.

    ``parts`` is the open record's body so far: the complete transactions; then, from ``run_at`` on, a placeholder for the head
    of the open transaction and its events, two parts each. ``size`` counts the bytes of these events. ``maps`` are the
    record's table maps and ``known`` their indexes, by body; negative ones mean tables that are not shipped as they are.
    All lists and dictionaries are changed in place, so that the hot loop may hold on to them.
    """

    def __init__(
        self,
        *,
        record_bytes: int,
        sequence: int,
        emit: Callable[[Sealed], None],
        positions: Callable[[], tuple[str, str]],
    ) -> None:
        self._emit = emit
        self._positions = positions
        self._piece: Final = record_bytes
        self._cut: Final = record_bytes // 2
        self.sequence = sequence
        self.gtid = b""
        self.time_us = 0
        self.site = b""
        self.seen = 0
        """How far the origin has applied the stream back."""
        self.keeps_time = False
        """Whether commit times must never go back: MariaDB's are those of the statement, which may have waited for locks."""
        self.last_gtid = b""
        self.last_time_us = 0
        self.newest_us = 0
        """What later commit times are raised to."""
        self.ahead_us = 1_000_000
        """How far ahead of our own clock that may be."""
        self.parts: list[bytes] = []
        self.maps: list[bytes] = []
        self.known: dict[bytes, int] = {}
        self.number = 0
        """Of the open record in this process; with a new one, ``known`` starts anew."""
        self.run_at = 0
        self.size = 0
        self.limit = self._cut
        """When ``size`` is over it, ``spill``; what its new table maps take is already taken off."""
        self._filled = _MAPS_COUNT_BYTES
        self._first = sequence + 1
        self._open = False
        self._chunks = 0
        self._maps_sent = 0
        self._sent_bytes = 0
        self._sent_crc = 0
        self.due = False
        """A record or a marker is ready to be emitted: see ``settle``."""
        self.sent_run = 0
        """Bytes of the open transaction's run that went out in chunks."""

    @property
    def is_large(self) -> bool:
        """Whether chunks of the open transaction went out."""
        return self._chunks > 0

    @property
    def waiting(self) -> bool:
        """Whether the open record holds a complete transaction."""
        return self._first <= self.sequence

    def open_transaction(self) -> None:
        """A transaction begins; its GTID and times are set by the caller."""
        self.run_at = len(self.parts)
        self.parts.append(b"")
        self.size = 0
        self.limit = self._cut
        self.site = b""
        self._open = True
        self.sent_run = 0

    def add_map(self, body: bytes) -> int:
        """The index of a table map that is not yet known in this record."""
        index = len(self.maps)
        if index >= NO_TABLE:
            raise SourceError(f"one transaction has more than {NO_TABLE} table maps", remedy="split it at the origin")
        self.maps.append(body)
        bytes_more = len(body) + _MAP_LENGTH_BYTES
        self._filled += bytes_more
        self.limit -= bytes_more
        return index

    def append(self, kind: int, table: int, payload: bytes) -> None:
        """Add an event to the open transaction, and spill where it became too large."""
        self.parts += (EVENT.pack(kind, table, len(payload)), payload)
        self.size += EVENT.size + len(payload)
        if self.size > self.limit:
            self.spill()

    def take_run(self) -> list[bytes]:
        """Take the open transaction's unsent events out."""
        run = self.parts[self.run_at + 1 :]
        del self.parts[self.run_at + 1 :]
        self.size = 0
        self.limit = self._cut
        return run

    def close_transaction(self) -> None:
        """The open transaction is complete: number it, unless nothing of it is wanted."""
        if self._chunks:
            self._finish_large()
        elif self.size:
            self.sequence += 1
            self._keep_time()
            self.last_gtid, self.last_time_us = self.gtid, self.time_us
            head = pack_transaction_head(self.sequence, self.time_us, self.gtid, self.site, self.seen, self.size)
            self.parts[self.run_at] = head
            self._filled += self.size + len(head)
            self.size = 0
        else:
            self.parts.pop()
        self._open = False
        if self._filled >= self._cut:
            self.due = True

    def settle(self) -> None:
        """Emit what the closed transaction made ready. To be called where ``due``, once the position has moved over it."""
        self.due = False
        if not self._chunks:
            self.seal()
            return
        chunks, self._chunks = self._chunks, 0
        self._emit_sealed(
            Kind.MARKER,
            self.sequence,
            self.sequence,
            _NO_BODY,
            chunk=chunks,
            payload_bytes=self._sent_bytes,
            payload_crc=self._sent_crc,
        )
        self._fresh()

    def drop_transaction(self) -> None:
        """The open transaction never was: rolled back, or not for this flow."""
        del self.parts[self.run_at :]
        self.size = 0
        self._open = False
        if self._chunks:
            self._chunks = 0
            self._emit_sealed(Kind.MARKER, self.sequence + 1, self.sequence, _NO_BODY)
            self._fresh()
        elif self._filled >= self._cut:
            self.due = True

    def seal(self) -> None:
        """Emit the complete transactions; an open one goes into the next record."""
        if not self.waiting:
            if not self._open and self._filled >= self._cut:
                self._fresh()
            return
        run: list[bytes] = []
        if self._open:
            run = self.parts[self.run_at :]
            del self.parts[self.run_at :]
        body = b"".join([pack_maps(self.maps), *self.parts])
        self._emit_sealed(Kind.DATA, self._first, self.sequence, body)
        if self._open:  # its events' indexes count over the same maps
            self.parts[:] = run
            self.run_at = 0
            self._filled = _MAPS_COUNT_BYTES + sum(map(len, self.maps)) + _MAP_LENGTH_BYTES * len(self.maps)
            self._first = self.sequence + 1
        else:
            self._fresh()

    def _fresh(self) -> None:
        self.number += 1
        self.parts.clear()
        self.maps.clear()
        self.known.clear()
        self._filled = _MAPS_COUNT_BYTES
        self._first = self.sequence + 1
        self.due = False

    def spill(self) -> None:
        """Send the open transaction's events so far in chunks."""
        if not self._chunks:
            self.seal()
            self._maps_sent = self._sent_bytes = self._sent_crc = 0
        run = b"".join(self.take_run())
        maps = self.maps[self._maps_sent :]
        while sum(map(len, maps)) > self._cut:  # rare: very many or very wide tables
            few: list[bytes] = []
            while maps and (not few or sum(map(len, few)) + len(maps[0]) < self._cut):
                few.append(maps.pop(0))
            self._chunk(few, b"")
        at = 0
        room = self._piece - sum(map(len, maps)) - _MAP_LENGTH_BYTES * len(maps)
        while at < len(run) or maps:
            piece = run[at : at + room]
            self._chunk(maps, piece)
            at += len(piece)
            maps, room = [], self._piece
        self._maps_sent = len(self.maps)
        self.sent_run += len(run)

    def _keep_time(self) -> None:
        if self.keeps_time and not self.site:
            if self.time_us < self.newest_us:
                self.time_us = self.newest_us
            else:
                self.carry_time(self.time_us)

    def carry_time(self, time_us: int) -> None:
        """No later commit time is to be below this one; but one of a clock that was wrong must not date all that follow."""
        self.newest_us = max(self.newest_us, min(time_us, now_us() + self.ahead_us))

    def _chunk(self, maps: list[bytes], piece: bytes) -> None:
        number = self.sequence + 1
        if not self._chunks:
            self._keep_time()
        head = pack_transaction_head(number, self.time_us, self.gtid, self.site, self.seen, len(piece))
        body = b"".join([pack_maps(maps), head, piece])
        chunk, self._chunks = self._chunks, self._chunks + 1
        self._sent_bytes += len(body)
        self._sent_crc = zlib.crc32(body, self._sent_crc)
        self._emit_sealed(Kind.CHUNK, number, self.sequence, body, chunk=chunk)

    def _finish_large(self) -> None:
        if self.size:
            self.spill()
        self.sequence += 1
        self.last_gtid, self.last_time_us = self.gtid, self.time_us
        self.due = True

    def emit_heartbeat(self, origin_time_us: int) -> None:
        """Tell the position and that the origin lived then (0: unknown), behind all that is complete."""
        self.seal()
        if self.keeps_time and origin_time_us:
            self.carry_time(origin_time_us)
        self._emit_sealed(Kind.HEARTBEAT, self.sequence + 1, self.sequence, _NO_BODY, time_us=origin_time_us)

    def _emit_sealed(
        self,
        kind: Kind,
        first: int,
        last: int,
        body: bytes,
        *,
        time_us: int | None = None,
        chunk: int = 0,
        payload_bytes: int = 0,
        payload_crc: int = 0,
    ) -> None:
        resume, shipped = self._positions()
        origin_time_us = self.last_time_us if time_us is None else time_us
        gtid = self.last_gtid.decode() if first <= last else ""
        self._emit(
            Sealed(
                kind, first, last, resume, shipped, origin_time_us, body, chunk, payload_bytes, payload_crc, gtid, self.seen
            )
        )
