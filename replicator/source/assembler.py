"""From the bytes of a binlog connection to the records of a stream, in one loop. Pure: no I/O.

``feed`` is the hot path: a transaction of four small changes is eleven events, so the cost of an event rules the source. The
loop in ``_scan`` handles the packets of ordinary transactions without making an object for each; every other event goes to
``Transactions._take``.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final, NoReturn

from ..errors import BinlogLostError, DatabaseError, DecodeError, SourceError
from ..stream.wire import EVENT, QUERY
from .events import HEADER_BYTES, NO_DATA, ROWS
from .transactions import FIRST_ODD, Rules, Transactions

__all__ = ["Assembler", "Rules"]

_PACKET = struct.Struct("<IB4xB")
"""Length (3 bytes) and number of a packet, its status byte, 4 bytes of the event's timestamp, its type."""
_CRC_RESIDUE: Final = 0x2144DF1C  # of any data followed by its own CRC-32
_MAX_PACKET: Final = 0xFFFFFF
_ROTATE, _FORMAT_DESCRIPTION, _XID, _TABLE_MAP, _GTID, _MARIADB = 4, 15, 16, 19, 33, 162
_GAP_ERRNOS = (1236, 1789)
"""The server no longer has, or never had, the binlog asked for: trying again cannot help."""


class Assembler(Transactions):
    """One origin's binlog to one stream. ``feed`` it what the connection receives.

    ``read`` is the position whose transactions are all handled; ``resume`` the one to request the binlog from, which is
    behind it while XA transactions are prepared. ``sequence`` is the last one given. Ready records go to ``emit``, which may
    wait.
    """

    def __init__(self, rules: Rules, **settings: Any) -> None:
        super().__init__(rules, **settings)
        self._held: list[bytes] = []
        self._missing = 0
        self._long: list[bytes] = []

    def restart(self) -> str:
        """The connection was lost: forget what is not complete. Returns the position to request the binlog from."""
        self._held = []
        self._long = []
        return super().restart()

    def feed(self, piece: bytes) -> None:
        """Take what the connection received. Raises SourceError on what cannot be shipped without loss, DatabaseError where
        the server ended the stream and a new connection may help."""
        if self._held:
            self._held.append(piece)
            self._missing -= len(piece)
            if self._missing > 0:
                return
            piece = b"".join(self._held)
            self._held = []
        try:
            self._packets(piece)
        except (IndexError, struct.error) as error:  # a length that lies beyond its event
            raise SourceError(
                "the binlog's bytes do not follow the format",
                where=self._place,
                remedy="the origin's binlog or the network damages data: check the origin's binlog with mysqlbinlog",
            ) from error
        except (SourceError, DecodeError) as error:
            if error.where:
                raise
            raise SourceError(error.what, where=self._gtid_place(), remedy=error.remedy, retry=error.retry) from error

    def _packets(self, piece: bytes) -> None:
        at, end = 0, len(piece)
        while True:
            at = self._scan(piece, at, end)
            after = self._odd_packet(piece, at, end)
            if after == at:
                break
            at = after
        if at < end:
            self._held = [piece[at:]]

    def _scan(self, buf: bytes, at: int, end: int) -> int:
        """Handle packets of plain events; returns where the first one begins that is cut short or otherwise not plain."""
        if self._long:
            return at
        records = self.records
        known, tables, append = records.known, self._tables, records.parts.append
        packet, crc32, event, rows = _PACKET.unpack_from, zlib.crc32, EVENT.pack, ROWS
        checksum = self._checksum
        size, limit = records.size, records.limit
        last = end - 24  # there a packet's and an event's header would just fit
        while at <= last:
            length, status, kind = packet(buf, at)
            length &= _MAX_PACKET
            stop = at + 4 + length
            if stop > end or status or length == _MAX_PACKET:
                break
            start, body, at = at + 5, at + 24, stop
            if checksum:
                if crc32(buf[start:stop]) != _CRC_RESIDUE and kind != _ROTATE and kind != _FORMAT_DESCRIPTION:
                    self._damaged(buf[start:stop])
                stop -= 4
            if stop < body:
                self._fail("an event that is shorter than its header", buf[start : start + HEADER_BYTES])
            if kind == _TABLE_MAP:
                table_map = buf[body + 8 : stop]
                index = known.get(table_map)
                if index is None:
                    index = self._new_map(table_map)
                    limit = records.limit
                if not self._open:
                    self._fail("a table map outside of a transaction", buf[start:stop])
                tables[buf[body : body + 6]] = index
            elif kind in rows and (index := tables.get(buf[body : body + 6])) is not None:
                if index >= 0:
                    payload = buf[body:stop]
                    length = len(payload)
                    append(event(kind, index, length))
                    append(payload)
                    size += 7 + length
                    if size > limit:
                        records.size = size
                        self._spill()
                        size, limit = records.size, records.limit
                elif index <= FIRST_ODD:
                    records.size = size
                    self._odd_rows(index, kind, buf[body:stop])
                    size, limit = records.size, records.limit
            elif kind == _XID:
                records.size = size
                self._commit()
                size, limit = records.size, records.limit
            elif (
                kind == QUERY
                and buf.endswith(b"\0BEGIN", body, stop)
                and body + 13 + buf[body + 8] + (buf[body + 11] | buf[body + 12] << 8) == stop - 6
                and self._open
            ):
                self._block = True
            elif kind == _GTID:
                self._begin_mysql(buf[start:stop])
                size, limit = 0, records.limit
            elif kind == _MARIADB:
                self._begin_mariadb(buf[start:stop])
                size, limit = 0, records.limit
            elif checksum is None and kind != _FORMAT_DESCRIPTION:
                if kind not in NO_DATA:
                    self._fail("an event before the description of its format", buf[start:stop])
            else:
                records.size = size
                self._take(kind, buf[start:stop])
                checksum = self._checksum
                size, limit = records.size, records.limit
        records.size = size
        return at

    def _odd_packet(self, buf: bytes, at: int, end: int) -> int:
        """Handle one packet that ``_scan`` left: a piece of a long payload, an error, the end. Returns where the next begins,
        ``at`` where the packet is not all there."""
        if at + 5 > end:
            self._missing = 1
            return at
        length = int.from_bytes(buf[at : at + 3], "little")
        stop = at + 4 + length
        if stop > end:
            self._missing = stop - end
            return at
        if self._long or length == _MAX_PACKET:
            self._long.append(buf[at + 4 : stop])
            if length < _MAX_PACKET:
                pieces, self._long = self._long, []
                if pieces[0][:1] != b"\0":
                    self._refuse(b"".join(pieces))
                self._long_event(pieces)
            return stop
        if buf[at + 4]:
            self._refuse(buf[at + 4 : stop])
        return at

    def _long_event(self, pieces: list[bytes]) -> None:
        """One event from its pieces, the status byte in front; keeps few copies, for it may be as large as a row can be."""
        pieces[0] = pieces[0][1:]
        if self._checksum:
            crc = 0
            for piece in pieces:
                crc = zlib.crc32(piece, crc)
            if crc != _CRC_RESIDUE:
                self._damaged(pieces[0])
            pieces[-2:] = [pieces[-2], pieces[-1][:-4]] if len(pieces[-1]) >= 4 else [(pieces[-2] + pieces[-1])[:-4]]
        event = b"".join(pieces)
        pieces.clear()
        self._take(event[4], event)

    def _refuse(self, payload: bytes) -> NoReturn:
        if payload[:1] == b"\xff" and len(payload) >= 3:
            errno = int.from_bytes(payload[1:3], "little")
            words = payload[9 if payload[3:4] == b"#" else 3 :].decode("utf-8", "replace")
            if errno in _GAP_ERRNOS and "same server_" in words:  # as this one: it has connected, and this one is sent away
                raise DatabaseError(
                    f"the server ended the binlog: {words} (error {errno})",
                    where=self._place,
                    remedy="look for what else reads this binlog with our server_id; set another one in the configuration",
                )
            if errno in _GAP_ERRNOS:
                raise BinlogLostError(
                    f"the server cannot send the binlog from our position: {words} (error {errno})",
                    where=self._place,
                    remedy="the binlogs are purged or the server has another history: restore them; or load the target anew, "
                    "and start the stream anew behind that (docs/WHAT-IF.md)",
                )
            raise DatabaseError(f"the server ended the binlog: {words} (error {errno})", where=self._place)
        raise DatabaseError("the server ended the binlog stream", where=self._place)

    def _damaged(self, event: bytes) -> NoReturn:
        # A damaged length may have cut the event before its type.
        raise SourceError(
            f"the checksum of an event of type {event[4] if len(event) > 4 else 'unknown'} does not match",
            where=self._where(event) if len(event) >= HEADER_BYTES else self._place,
            remedy="the origin's binlog or the network damages data: check the origin's binlog with mysqlbinlog",
        )
