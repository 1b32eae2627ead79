"""MariaDB's compression: of columns, of rows events and of statements. All are zlib with a small header.

The first byte holds the method in its upper half (8: zlib) and the width of the plain length in its lower; the length
follows, big-endian, then the data.
"""

from __future__ import annotations

import zlib

from ..errors import DecodeError

__all__ = ["PLAIN_KIND", "column_bytes", "uncompress_query", "uncompress_rows"]

_ZLIB = 8
_RAW_DEFLATE = 8  # in a column's lower half: no zlib header
_PLAIN_BYTES_MAX = 1 << 30

PLAIN_KIND = {165: 2, 166: 23, 167: 24, 168: 25, 169: 30, 170: 31, 171: 32}
"""Type of a compressed MariaDB event to that of the plain one: QUERY, rows v1, rows v2."""


def column_bytes(stored: bytes) -> bytes:
    """The plain value of a COMPRESSED column. Raises ValueError or zlib.error where it is damaged."""
    if not stored:
        return b""
    head = stored[0]
    if not head:  # kept as it is, since it was too short to gain
        return stored[1:]
    width = head & 7
    if head >> 4 != _ZLIB or not 0 < width <= 4:
        raise ValueError("an unknown compression method")
    return _inflate(stored, 1, width, -zlib.MAX_WBITS if head & _RAW_DEFLATE else zlib.MAX_WBITS)


def _inflate(data: bytes, at: int, width: int, window: int) -> bytes:
    if at + width > len(data):
        raise ValueError("cut short")
    length = int.from_bytes(data[at : at + width], "big")
    if length > _PLAIN_BYTES_MAX:
        raise ValueError("too long")
    inflater = zlib.decompressobj(window)
    plain = inflater.decompress(data[at + width :], length + 1)
    if len(plain) != length or not inflater.eof or inflater.unused_data:
        raise ValueError("another length than told")
    return plain


def _inflate_part(payload: bytes, at: int) -> bytes:
    try:
        head = payload[at]
        if head >> 4 & 7 or not head & 0x80:  # the algorithm in three bits below the top one; 0 is zlib
            raise ValueError("an unknown compression method")
        return payload[:at] + _inflate(payload, at + 1, head & 7, zlib.MAX_WBITS)
    except (ValueError, IndexError, zlib.error) as error:
        raise DecodeError(
            "a compressed event is malformed", remedy="the origin's binlog is damaged: check it with mysqlbinlog"
        ) from error


def uncompress_rows(payload: bytes, kind: int) -> bytes:
    """A MariaDB compressed rows event (behind its 19-byte header) as the plain event ``PLAIN_KIND[kind]`` would be.

    Only the row images are compressed; they begin behind the columns-present bitmaps.
    """
    try:
        at = 8
        if PLAIN_KIND[kind] >= 30:
            at += int.from_bytes(payload[8:10], "little")
        width, at = payload[at], at + 1
        if width >= 251:
            if width != 252:
                raise IndexError("an odd column count")
            width, at = int.from_bytes(payload[at : at + 2], "little"), at + 2
        at += (width + 7) // 8 * (2 if PLAIN_KIND[kind] in (24, 31) else 1)
    except (IndexError, KeyError) as error:
        raise DecodeError(f"a compressed rows event of type {kind} is malformed") from error
    return _inflate_part(payload, at)


def uncompress_query(payload: bytes) -> bytes:
    """A MariaDB compressed QUERY event (behind its 19-byte header) as the plain one; only the statement is compressed."""
    if len(payload) < 13:
        raise DecodeError("a compressed statement is cut short")
    return _inflate_part(payload, 13 + payload[8] + 1 + int.from_bytes(payload[11:13], "little"))
