"""Walks over a statement's tokens: words, names, and what a parser collects on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from .statement import ObjectRef, StatementClass, TableRef, TableRole
from .tokens import BLANK, Kind, Syntax, Token, tokenize

__all__ = ["Cursor", "Draft", "Unclear", "words"]


def words(text: str) -> frozenset[str]:
    """A set of keywords, written with spaces between them."""
    return frozenset(text.split())


class Unclear(Exception):
    """The statement is not one that is known; the text says why."""


@dataclass(slots=True)
class Draft:
    """A statement in the making."""

    cls: StatementClass = StatementClass.UNKNOWN
    kind: str = ""
    tables: list[TableRef] = field(default_factory=list)
    schemas: list[str] = field(default_factory=list)
    object: ObjectRef | None = None
    if_exists: bool = False
    destructive: bool = False
    also: set[StatementClass] = field(default_factory=set)
    unrepeatable: str = ""
    actions: list[str] = field(default_factory=list)
    body: int = -1


class Cursor:
    """The significant tokens of a statement and a place among them."""

    def __init__(self, statement: bytes, syntax: Syntax, default_schema: str) -> None:
        self.tokens = [token for token in tokenize(statement, syntax) if token.kind not in BLANK]
        while self.tokens and self.tokens[-1].text == b";":
            self.tokens.pop()
        self.syntax = syntax
        self.default_schema = default_schema
        self.at = 0

    @property
    def done(self) -> bool:
        """Whether all tokens are taken."""
        return self.at >= len(self.tokens)

    def peek(self, ahead: int = 0) -> Token | None:
        """The token ``ahead`` of the next one (negative: before it); None outside of the statement."""
        at = self.at + ahead
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def word(self, ahead: int = 0) -> str:
        """The keyword there, in capitals; empty for anything else."""
        token = self.peek(ahead)
        return token.text.decode("latin-1").upper() if token is not None and token.kind is Kind.WORD else ""

    def symbol(self, ahead: int = 0) -> str:
        """The symbol there; empty for anything else."""
        token = self.peek(ahead)
        return token.text.decode("latin-1") if token is not None and token.kind is Kind.SYMBOL else ""

    def sees(self, *words: str) -> bool:
        """Whether exactly these keywords come next."""
        return all(self.word(i) == word for i, word in enumerate(words))

    def take(self, *words: str) -> bool:
        """Pass these keywords if they come next."""
        if not self.sees(*words):
            return False
        self.at += len(words)
        return True

    def take_any(self, *words: str) -> str:
        """Pass one of these keywords; returns it, or nothing."""
        word = self.word()
        if word not in words or not word:
            return ""
        self.at += 1
        return word

    def take_symbol(self, symbol: str) -> bool:
        """Pass this symbol if it comes next."""
        if self.symbol() != symbol:
            return False
        self.at += 1
        return True

    def expect(self, *words: str) -> None:
        """Pass these keywords; Unclear if others come."""
        if not self.take(*words):
            raise Unclear(f"{' '.join(words)} is missing {self.place()}")

    def place(self) -> str:
        """Where the cursor stands, for messages: never the text itself, which may hold values."""
        token = self.peek()
        return "at its end" if token is None else f"at byte {token.start}"

    def end(self) -> None:
        """Unclear if anything is left."""
        if not self.done:
            raise Unclear(f"something unknown stands {self.place()}")

    def wait(self) -> None:
        """Pass MariaDB's ``WAIT n`` or ``NOWAIT``."""
        if self.word() == "WAIT":
            token = self.peek(1)
            if token is not None and token.kind is Kind.NUMBER:
                self.at += 2
        elif self.word() == "NOWAIT":
            self.at += 1

    def skip_group(self) -> None:
        """Pass a balanced pair of parentheses and what is in it."""
        if not self.take_symbol("("):
            raise Unclear(f"an opening parenthesis is missing {self.place()}")
        depth = 1
        while depth:
            if self.done:
                raise Unclear("a parenthesis is never closed")
            symbol = self.symbol()
            depth += (symbol == "(") - (symbol == ")")
            self.at += 1

    def name(self) -> tuple[str, int, int]:
        """One name, quoted or not, and where it stands."""
        token = self.peek()
        if token is None or token.kind not in (Kind.WORD, Kind.NAME):
            raise Unclear(f"a name is missing {self.place()}")
        self.at += 1
        raw = token.text
        if token.kind is Kind.NAME:
            quote = raw[:1]
            raw = raw[1:-1].replace(quote * 2, quote)
        return self.syntax.decode(raw), token.start, token.end

    def qualified(self) -> tuple[str, str, int, int]:
        """``name``, ``.name`` or ``schema.name``: the schema (the default one if not given), the name, where it stands."""
        token = self.peek()
        start = token.start if token is not None else 0
        if self.take_symbol("."):
            name, _, end = self.name()
            return self.default_schema, name, start, end
        name, start, end = self.name()
        if self.take_symbol("."):
            schema = name
            name, _, end = self.name()
            return schema, name, start, end
        return self.default_schema, name, start, end

    def table(self, role: TableRole) -> TableRef:
        """A table's name."""
        schema, name, start, end = self.qualified()
        if not schema:
            raise Unclear("a table is named without its schema, and there is no default one")
        return TableRef(schema, name, role, start, end)

    def table_list(self, role: TableRole) -> list[TableRef]:
        """Names with commas between them."""
        tables = [self.table(role)]
        while self.take_symbol(","):
            tables.append(self.table(role))
        return tables

    def routine(self) -> ObjectRef:
        """The name of what is no table."""
        schema, name, start, end = self.qualified()
        if not schema:
            raise Unclear("an object is named without its schema, and there is no default one")
        return ObjectRef(schema, name, start, end)

    def if_not_exists(self) -> bool:
        """Pass IF NOT EXISTS."""
        return self.take("IF", "NOT", "EXISTS")

    def if_exists(self) -> bool:
        """Pass IF EXISTS."""
        return self.take("IF", "EXISTS")

    def account(self) -> None:
        """Pass ``user``, ``user@host``, ``CURRENT_USER`` or ``CURRENT_USER()``."""
        token = self.peek()
        if token is None or token.kind not in (Kind.WORD, Kind.NAME, Kind.STRING):
            raise Unclear(f"an account is missing {self.place()}")
        self.at += 1
        if self.take_symbol("("):
            if not self.take_symbol(")"):
                raise Unclear(f"an account is malformed {self.place()}")
        elif self.take_symbol("@"):
            token = self.peek()
            if token is None or token.kind not in (Kind.WORD, Kind.NAME, Kind.STRING):
                raise Unclear(f"a host is missing {self.place()}")
            self.at += 1
