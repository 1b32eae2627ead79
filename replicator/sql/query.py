"""The tables that a query reads, found without parsing its expressions.

A FROM counts only where its own parentheses hold a SELECT: so not in ``TRIM(x FROM y)``. Names of common table expressions
are no tables. Best effort: used to warn and to order, not to decide what is replicated.
"""

from __future__ import annotations

from .cursor import Cursor, Unclear, words
from .statement import TableRef
from .tokens import Kind

__all__ = ["query_sources"]

_ENDS_FROM = words(
    "WHERE GROUP HAVING ORDER LIMIT UNION EXCEPT INTERSECT MINUS WINDOW FOR LOCK INTO PROCEDURE FETCH OFFSET QUALIFY"
)
_JOINS = frozenset({"JOIN", "STRAIGHT_JOIN"})


def query_sources(cursor: Cursor) -> list[TableRef]:
    """Read to the end of the statement; returns the tables in FROM and JOIN."""
    found: list[tuple[TableRef, bool]] = []  # and whether its schema is given
    expressions: set[str] = set()
    # For each open parenthesis: has it a SELECT, and are we in its FROM?
    selects, froms = [False], [False]
    while not cursor.done:
        symbol, word = cursor.symbol(), cursor.word()
        expects = False
        if symbol == "(":
            # "FROM (a, b)" and "FROM (a JOIN b)" go on with the list; "FROM (SELECT" starts anew at its SELECT.
            inherits = froms[-1] and _after_list_word(cursor)
            selects.append(inherits)
            froms.append(inherits)
            cursor.at += 1
            expects = inherits
        elif symbol == ")":
            if len(selects) == 1:
                break  # the end of what the caller opened
            selects.pop()
            froms.pop()
            cursor.at += 1
        elif symbol == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        elif symbol == ",":
            cursor.at += 1
            expects = froms[-1]
        elif symbol == ".":
            cursor.at += 2
        elif cursor.symbol(1) == ".":
            cursor.at += 3  # a column's name, whatever its words are
        elif word == "WITH":
            cursor.at += 1
            cursor.take("RECURSIVE")
        elif word == "SELECT":
            selects[-1], froms[-1] = True, False
            cursor.at += 1
        elif word == "FROM" and selects[-1]:
            froms[-1] = expects = True
            cursor.at += 1
        elif word in _JOINS and froms[-1]:
            cursor.at += 1
            expects = True
        elif word in _ENDS_FROM:
            froms[-1] = False
            cursor.at += 1
        else:
            _common_table(cursor, expressions)
            cursor.at += 1
        if expects:
            _source(cursor, found)
    return [table for table, given in found if given or table.table.lower() not in expressions]


def _after_list_word(cursor: Cursor) -> bool:
    """Whether the parenthesis ahead stands where a table could."""
    return cursor.symbol(-1) in (",", "(") or cursor.word(-1) == "FROM" or cursor.word(-1) in _JOINS


def _source(cursor: Cursor, found: list[tuple[TableRef, bool]]) -> None:
    if cursor.symbol() == "(" or cursor.word() in ("SELECT", "LATERAL", "DUAL", "WITH", "VALUES", "TABLE"):
        return
    if cursor.symbol(1) == "(":
        return  # a table function, as JSON_TABLE(...)
    token = cursor.peek()
    if token is None or token.kind not in (Kind.WORD, Kind.NAME):
        return
    try:
        table = cursor.table("source")
    except Unclear:
        return
    found.append((table, table.end != token.end))


def _common_table(cursor: Cursor, expressions: set[str]) -> None:
    """Remember ``name AS (`` and ``name (columns) AS (``: common table expressions."""
    token = cursor.peek()
    if token is None or token.kind not in (Kind.WORD, Kind.NAME):
        return
    if cursor.word(-1) in ("WITH", "RECURSIVE") or cursor.symbol(-1) == ",":
        ahead = 1
        if cursor.symbol(1) == "(":
            ahead += 1
            while cursor.peek(ahead) is not None and cursor.symbol(ahead) not in (")", "("):
                ahead += 1  # stops at a second parenthesis: it holds no list of columns, and scans must not add up
            ahead += 1
        if cursor.word(ahead) == "AS" and cursor.symbol(ahead + 1) == "(":
            expressions.add(token.text.decode("latin-1").strip('`"').lower())
