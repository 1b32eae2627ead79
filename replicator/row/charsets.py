"""Which character set a collation id stands for: MySQL's and MariaDB's ids, which do not contradict each other.

The binlog names a column's collation by number only; an introducer (``_gbk'...'``) needs the character set's name.
"""

from __future__ import annotations

__all__ = ["BINARY", "charset_name", "codec_name"]

BINARY = 63
"""The collation id of bytes that are no text."""

_NOPAD = 1024  # MariaDB: the same collation without padding
_UCA1400 = ((2048, "utf8mb3"), (2304, "utf8mb4"), (2560, "ucs2"), (2816, "utf16"), (3072, "utf32"))
_UCA1400_IDS = 256  # each character set has this many ids from its first on

_RANGES: dict[str, tuple[int | tuple[int, int], ...]] = {
    "armscii8": (32, 64),
    "ascii": (11, 65),
    "big5": (1, 84),
    "binary": (63,),
    "cp1250": (26, 34, 44, 66, 99),
    "cp1251": (14, 23, (50, 52)),
    "cp1256": (57, 67),
    "cp1257": (29, 58, 59),
    "cp850": (4, 80),
    "cp852": (40, 81),
    "cp866": (36, 68),
    "cp932": (95, 96),
    "dec8": (3, 69),
    "eucjpms": (97, 98),
    "euckr": (19, 85),
    "gb18030": ((248, 250),),
    "gb2312": (24, 86),
    "gbk": (28, 87),
    "geostd8": (92, 93),
    "greek": (25, 70),
    "hebrew": (16, 71),
    "hp8": (6, 72),
    "keybcs2": (37, 73),
    "koi8r": (7, 74),
    "koi8u": (22, 75),
    "latin1": (5, 8, 15, 31, (47, 49), 94),
    "latin2": (2, 9, 21, 27, 77),
    "latin5": (30, 78),
    "latin7": (20, 41, 42, 79),
    "macce": (38, 43),
    "macroman": (39, 53),
    "sjis": (13, 88),
    "swe7": (10, 82),
    "tis620": (18, 89),
    "ucs2": (35, 90, (128, 151), 159, (640, 642)),
    "ujis": (12, 91),
    "utf16": ((54, 55), (101, 124), (672, 674)),
    "utf16le": (56, 62),
    "utf32": ((60, 61), (160, 183), (736, 738)),
    "utf8mb3": (33, 76, 83, (192, 215), 223, (576, 578)),
    "utf8mb4": ((45, 46), (224, 247), (255, 323), (608, 610)),
}


def _by_id() -> dict[int, str]:
    names: dict[int, str] = {}
    for name, ranges in _RANGES.items():
        for part in ranges:
            first, last = part if isinstance(part, tuple) else (part, part)
            names.update(dict.fromkeys(range(first, last + 1), name))
    return names


_BY_ID = _by_id()


def charset_name(collation: int) -> str | None:
    """The character set of collation ``collation``; None for an id that neither server comes with."""
    for first, name in _UCA1400:
        if first <= collation < first + _UCA1400_IDS:
            return name
    return _BY_ID.get(collation) or _BY_ID.get(collation - _NOPAD)


_CODECS = {"latin1": "cp1252", "utf8mb3": "utf-8", "utf8mb4": "utf-8", "utf8": "utf-8", "ucs2": "utf-16-be", "utf16": "utf-16-be",
           "utf16le": "utf-16-le", "utf32": "utf-32-be", "sjis": "shift_jis", "ujis": "euc_jp", "binary": "latin-1"}  # fmt: skip


def codec_name(charset: str) -> str:
    """What Python calls a character set of the servers; the name itself where it may be the same, known to Python or not."""
    return _CODECS.get(charset, charset)
