"""Which spellings of a text key are one key to the server, so that one memory is kept of it. Pure.

By the collation's name: whether trailing spaces, case, and accents on Latin letters count. Different keys are never taken for
one; what only some collations take for equal beyond that (``ß`` and ``ss``) stays two.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable

from ..row.charsets import codec_name

__all__ = ["fold_of", "folds_plainly"]

_ANY_ACCENT = re.compile(r"(utf8(mb[34])?|ucs2|utf16(le)?|utf32)_(general|unicode(_520)?|0900_ai|uca1400_ai)(_nopad)?_ci$")
"""Those without the rules of some language, in which an accented letter may be one of its own."""

_OWN_RULES = re.compile(
    r"lithuanian|latvian|hungarian|roman(_|$)|_(lt|lv|hu|la)_0900|swe7|czech|filename"
    r"|(big5|gb2312|gbk)_chinese|cp1251_ukrainian|(geostd8|koi8u|macce)_general"
)
"""Those to which texts of ASCII may be equal whose letters are not: ``i`` and ``y``, ``u`` and ``v``, ``m`` and ``n``, ``~`` and
``y``. A test asks the servers about all the others.
"""


_TURKISH = str.maketrans({"i": "İ", "ı": "I"})
"""There these are two letters, with and without a dot, in either case."""


def folds_plainly(collation: str) -> bool:
    """Whether any two texts of printable ASCII that are equal to the collation are so in upper case without trailing spaces."""
    return _OWN_RULES.search(collation.lower()) is None


def fold_of(charset: str, collation: str) -> Callable[[bytes], object]:
    """The function that gives equal spellings of a text in ``charset`` the same form, by the target's collation."""
    name = collation.lower()
    padded = "0900" not in name and "nopad" not in name
    binary = name.endswith("_bin")
    any_case = re.search(r"_ci(_|$)", name) is not None
    turkish = any_case and re.search("turkish|_tr_0900", name) is not None
    any_accent = _ANY_ACCENT.match(name) is not None
    try:
        codec = codecs.lookup(codec_name(charset)).name
    except LookupError:
        codec = "latin-1"  # its bytes, one by one

    def fold(value: bytes) -> object:
        try:
            text = value.decode(codec)
        except UnicodeDecodeError:
            return value
        if padded:
            text = text.rstrip(" ")
        if binary:
            return text
        if turkish:
            text = text.translate(_TURKISH)
        elif text.isascii():
            return text.upper() if any_case else text
        if any_accent:
            text = "".join([_plain(c) for c in unicodedata.normalize("NFC", text)])
        # The dotless i is a letter of its own, but to the oldest collations.
        return "".join([c if c == "ı" and "general" not in name else _upper(c) for c in text]) if any_case else text

    return fold


def _plain(letter: str) -> str:
    """A Latin letter without its accents."""
    parts = unicodedata.normalize("NFD", letter)
    return parts[0] if parts[0].isascii() and all(unicodedata.combining(c) for c in parts[1:]) else letter


def _upper(letter: str) -> str:
    upper = letter.upper()
    return upper if len(upper) == 1 else letter
