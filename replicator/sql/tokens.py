"""Splits a MySQL or MariaDB statement into tokens, as the server's own lexer would.

Bytes in, bytes out: the tokens of ``tokenize`` joined give the statement again, byte for byte. Only what cannot be split
(a quote or comment that is never closed) raises, and only DecodeError. Versioned comments (``/*!50001 … */``,
``/*M!100301 … */``) are opened by the rules of the origin's flavor and version: what the origin ran are ordinary tokens
between an OPEN and a CLOSE, what it skipped is a COMMENT.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass, field

from ..errors import DecodeError
from ..model import FLAVOR_MARIADB, FLAVOR_MYSQL

__all__ = ["Kind", "Syntax", "Token", "tokenize"]

NEWEST_VERSION = 999_999
"""Stands for an unknown version. A server defuses comments that it skips before it logs them, so what is left ran."""


class Kind(enum.Enum):
    """What a token is."""

    SPACE = "space"
    COMMENT = "comment"
    OPEN = "open"  # "/*!50001": what follows is code
    CLOSE = "close"  # "*/" of an OPEN
    WORD = "word"  # keyword or unquoted name
    NAME = "name"  # quoted name
    STRING = "string"
    NUMBER = "number"  # also hex and bit literals
    SYMBOL = "symbol"  # one byte


BLANK = frozenset({Kind.SPACE, Kind.COMMENT, Kind.OPEN, Kind.CLOSE})
"""Kinds that mean nothing between two other tokens."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its bytes and where they start in the statement."""

    kind: Kind
    text: bytes
    start: int

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Syntax:
    """What the bytes of a statement mean: depends on server, SQL mode and the client's character set.

    ``charset`` is the server's name of ``character_set_client``; ``version`` the server's as in versioned comments
    (8.0.31 is 80031, MariaDB 10.11.6 is 101106). ``lower_names``: the server stores names in lower case
    (``lower_case_table_names`` other than 0).
    """

    flavor: str = FLAVOR_MYSQL
    version: int = NEWEST_VERSION
    ansi_quotes: bool = False
    no_backslash_escapes: bool = False
    charset: str = "utf8mb4"
    lower_names: bool = False
    codec: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codec = _CODECS.get(self.charset.lower())
        if codec is None:
            raise DecodeError(
                f"the client character set {self.charset!r} is unknown",
                remedy="set character_set_client=utf8mb4 in the sessions that run DDL at the origin",
            )
        object.__setattr__(self, "codec", codec)

    def decode(self, name: bytes) -> str:
        """A name's text; raises DecodeError where the bytes are not of the character set."""
        try:
            text = name.decode(self.codec)
        except UnicodeDecodeError as error:
            raise DecodeError(f"a name is not valid {self.charset}") from error
        return text.lower() if self.lower_names else text

    def encode(self, text: str) -> bytes:
        """Back to the statement's bytes; raises DecodeError where the character set has no such character."""
        try:
            return text.encode(self.codec)
        except UnicodeEncodeError as error:
            raise DecodeError(f"a name cannot be written in {self.charset}") from error


_CODECS = {
    **dict.fromkeys(("utf8mb4", "utf8mb3", "utf8", "binary"), "utf-8"),
    "ascii": "ascii",
    "latin1": "cp1252",
    "latin2": "iso8859-2",
    "latin5": "iso8859-9",
    "latin7": "iso8859-13",
    "greek": "iso8859-7",
    "hebrew": "iso8859-8",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "tis620": "cp874",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "macroman": "mac-roman",
    "macce": "mac-latin2",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp932": "cp932",
    "ujis": "euc_jp",
    "eucjpms": "euc_jp",
    "euckr": "cp949",
}

# Two-byte characters whose second byte may look like a backslash or a backtick.
_PAIRS = {
    "gbk": rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]",
    "gb18030": rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|[\x81-\xfe][\x40-\x7e\x80-\xfe]",
    "big5": rb"[\xa1-\xf9][\x40-\x7e\xa1-\xfe]",
    "sjis": rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]",
    "cp932": rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]",
}

# Single-byte character sets in which the byte 0xA0 is a space to the server's lexer.
_NO_BREAK_SPACE = frozenset({"latin1", "latin2", "latin5", "latin7", "greek", "hebrew", "cp1250", "cp1251", "cp1257"})

_NAMES = (Kind.WORD, Kind.NAME)
_FIVE_DIGITS = re.compile(rb"[0-9]{5}")
_SIX_DIGITS = re.compile(rb"[0-9]{5,6}")
_SIX_DIGITS_AND_SPACE = re.compile(rb"[0-9]{6}(?=[ \t\n\v\f\r])|[0-9]{5}")
_FIVE_DIGIT_VERSIONS = range(80_032)
_SIX_DIGIT_VERSIONS = range(80_400, NEWEST_VERSION)
_COMMENT_EDGE = re.compile(rb"/\*|\*/")


@functools.lru_cache(maxsize=64)
def _pattern(ansi_quotes: bool, no_escapes: bool, charset: str, dollar_quotes: bool) -> re.Pattern[bytes]:
    """All tokens but the comments with ``/*``, by the name of their kind."""
    pair = _PAIRS.get(charset, b"")
    also = pair + b"|" if pair else b""
    space = rb" \t\n\v\f\r" + (rb"\xa0" if charset in _NO_BREAK_SPACE else b"")
    letter = rb"(?:" + also + rb"[0-9A-Za-z_$\x80-\xff])"

    def quoted(quote: bytes, escapes: bool) -> bytes:
        # Possessive: a quote that is never closed must fail at once, not be tried in all ways.
        inner = (rb"\\[\s\S]|[^\\%b]" if escapes else rb"[^%b]") % quote
        return rb"%b(?:%b%b%b|%b)*+%b" % (quote, also, quote, quote, inner, quote)

    single = quoted(b"'", not no_escapes)
    double = quoted(b'"', not no_escapes and not ansi_quotes)
    dollars = rb"(?P<DOLLAR>\$(?P<tag>[A-Za-z0-9_\x80-\xff]*)\$[\s\S]*?\$(?P=tag)\$)|" if dollar_quotes else b""
    return re.compile(
        rb"(?P<SPACE>[" + space + rb"]++)"
        rb"|(?P<COMMENT>(?:#|--(?=[\x00-\x20\x7f]|\Z))[^\n\x00]*+)"
        rb"|(?P<STRING>[nN]?" + single + (b"" if ansi_quotes else b"|" + double) + rb")"
        rb"|(?P<NAME>" + quoted(b"`", escapes=False) + (b"|" + double if ansi_quotes else b"") + rb")"
        rb"|(?P<NUMBER>[xX]'[0-9A-Fa-f]*+'|[bB]'[01]*+'|(?:0x[0-9A-Fa-f]++|0b[01]++|[0-9]++(?![eE.]))(?!" + letter + rb")"
        rb"|[0-9]++[eE][+-]?[0-9]++|(?:[0-9]++\.[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)"
        rb"|" + dollars + rb"(?P<WORD>" + letter + rb"++)"
        rb"|(?P<SYMBOL>[\s\S])"
    )


@functools.lru_cache(maxsize=16)
def _after_sign(charset: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What directly follows a dot behind a name (a name, even of digits), and an ``@`` (a host or variable, with dots)."""
    pair = _PAIRS.get(charset, b"")
    letter = (pair + b"|" if pair else b"") + rb"[0-9A-Za-z_$\x80-\xff]"
    return re.compile(rb"(?:" + letter + rb")++"), re.compile(rb"(?:" + letter + rb"|\.)++")


def tokenize(statement: bytes, syntax: Syntax) -> list[Token]:
    """Split; raises DecodeError on a quote or comment that is never closed."""
    charset = syntax.charset.lower()
    dollar_quotes = syntax.flavor == FLAVOR_MYSQL and 90_000 <= syntax.version < NEWEST_VERSION
    match = _pattern(syntax.ansi_quotes, syntax.no_backslash_escapes, charset, dollar_quotes).match
    behind_dot, behind_at = _after_sign(charset)
    tokens: list[Token] = []
    open_comment = False
    at, size = 0, len(statement)
    while at < size:
        if statement.startswith(b"/*", at):
            token = _comment(statement, at, syntax)
            # Like the server: opening a second one inside the first is not counted.
            open_comment = open_comment or token.kind is Kind.OPEN
        elif open_comment and statement.startswith(b"*/", at):
            token = Token(Kind.CLOSE, b"*/", at)
            open_comment = False
        else:
            before = tokens[-1] if tokens else None
            found = None
            if before is not None and before.text == b"." and len(tokens) > 1 and tokens[-2].kind in _NAMES:
                found = behind_dot.match(statement, at)
            elif before is not None and before.text == b"@":
                found = behind_at.match(statement, at)
            if found is not None:
                token = Token(Kind.WORD, found[0], at)
            elif before is not None and before.kind in _NAMES and statement.startswith(b".", at):
                token = Token(Kind.SYMBOL, b".", at)  # not the point of a number
            else:
                found = match(statement, at)
                assert found is not None  # the last alternative takes any byte
                token = _token(found, at)
        tokens.append(token)
        at = token.end
    if open_comment:
        raise DecodeError("a versioned comment is never closed")
    return tokens


def _token(found: re.Match[bytes], at: int) -> Token:
    text = found[0]
    if found["SYMBOL"] is not None:
        if text in (b"'", b'"', b"`"):
            raise DecodeError(f"a quote ({text.decode()}) at byte {at} is never closed")
        return Token(Kind.SYMBOL, text, at)
    for kind in (Kind.SPACE, Kind.WORD, Kind.NAME, Kind.STRING, Kind.NUMBER, Kind.COMMENT):
        if found[kind.name] is not None:
            return Token(kind, text, at)
    return Token(Kind.STRING, text, at)  # quoted by dollars


def _comment(statement: bytes, at: int, syntax: Syntax) -> Token:
    """The comment, or the opening of a versioned one, that starts at ``at``."""
    maria = syntax.flavor == FLAVOR_MARIADB and statement.startswith(b"M!", at + 2)
    if not maria and not statement.startswith(b"!", at + 2):
        end = statement.find(b"*/", at + 2)
        if end < 0:
            raise DecodeError(f"a comment at byte {at} is never closed")
        return Token(Kind.COMMENT, statement[at : end + 2], at)
    head = at + (4 if maria else 3)
    digits = _version_digits(statement, head, syntax).match(statement, head)
    if digits is None:
        return Token(Kind.OPEN, statement[at:head], at)
    version = int(digits[0])
    runs = version <= syntax.version
    if syntax.flavor == FLAVOR_MARIADB and not maria and 50_700 <= version <= 99_999:
        runs = False  # MariaDB passes over what MySQL added after they parted
    if runs:
        return Token(Kind.OPEN, statement[at : digits.end()], at)
    return Token(Kind.COMMENT, statement[at : _skipped_end(statement, digits.end())], at)


def _version_digits(statement: bytes, at: int, syntax: Syntax) -> re.Pattern[bytes]:
    """How many digits a version has here.

    MariaDB takes six where it can; MySQL 8.0.31 takes five and leaves a sixth to the code; MySQL 9.7 takes six if space
    follows. In between, and where the version is not known, a sixth digit is refused.
    """
    if syntax.flavor == FLAVOR_MARIADB:
        return _SIX_DIGITS
    if syntax.version in _SIX_DIGIT_VERSIONS:
        return _SIX_DIGITS_AND_SPACE
    six = _SIX_DIGITS.match(statement, at)
    if six is not None and len(six[0]) == 6 and syntax.version not in _FIVE_DIGIT_VERSIONS:
        raise DecodeError(f"a versioned comment at byte {at} has six digits, and which of them are the version is not known")
    return _FIVE_DIGITS


def _skipped_end(statement: bytes, at: int) -> int:
    """Where a skipped versioned comment ends; it may hold plain comments."""
    inside = False
    for edge in _COMMENT_EDGE.finditer(statement, at):
        if edge[0] == b"/*":
            inside = True
        elif inside:
            inside = False
        else:
            return edge.end()
    raise DecodeError("a versioned comment is never closed")
