"""CREATE, DROP, RENAME and TRUNCATE of tables, and their indexes: every table that they name."""

from __future__ import annotations

from .cursor import Cursor, Draft, Unclear
from .query import query_sources
from .statement import StatementClass as C
from .tokens import Kind

__all__ = [
    "create_index",
    "create_table",
    "drop_index",
    "drop_tables",
    "pass_token",
    "rename_tables",
    "to_the_end",
    "truncate_table",
]

_FILLED = "it fills the table by a query, and the rows are not in the binlog"


def create_table(cursor: Cursor, draft: Draft, *, replace: bool, temporary: bool) -> None:
    """Behind ``CREATE [OR REPLACE] [TEMPORARY] TABLE``."""
    draft.kind = "CREATE TABLE"
    draft.cls = C.TEMPORARY if temporary else C.CREATE
    draft.if_exists = cursor.if_not_exists()
    draft.tables.append(cursor.table("target"))
    if replace and not temporary:
        draft.destructive = True
        draft.also.add(C.DROP)
    if cursor.sees("LIKE") or (cursor.symbol() == "(" and cursor.word(1) == "LIKE" and cursor.symbol(2) != "."):
        bracket = cursor.take_symbol("(")
        cursor.expect("LIKE")
        draft.tables.append(cursor.table("like"))
        if bracket and not cursor.take_symbol(")"):
            raise Unclear(f"a parenthesis is missing {cursor.place()}")
        cursor.end()
        return
    start = cursor.at
    depth = 0
    while not cursor.done:
        symbol, word = cursor.symbol(), cursor.word()
        if symbol == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        if word in ("SELECT", "WITH", "TABLE", "VALUES") and _is_query(cursor, word, depth):
            draft.unrepeatable = _FILLED
            draft.tables.extend(query_sources(cursor))
            continue
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            raise Unclear(f"a parenthesis too much {cursor.place()}")
        pass_token(cursor, draft)
    if depth:
        raise Unclear("a parenthesis is never closed")
    if cursor.at == start and not replace:  # MariaDB logs one that failed, as the table that it should have replaced is gone
        raise Unclear("a table without columns")


def _is_query(cursor: Cursor, word: str, depth: int) -> bool:
    """Whether the reserved word ahead begins CREATE TABLE … SELECT, and is no part of a definition."""
    if word == "SELECT":
        return True
    before = cursor.word(-1)
    if word == "VALUES":
        return depth == 0 and before not in ("IN", "THAN") and cursor.word(1) == "ROW"
    if word == "WITH":
        # Not: WITH PARSER, WITH SYSTEM VERSIONING, WITH VALIDATION, WITH CONSISTENT SNAPSHOT.
        return depth == 0 and cursor.word(1) not in ("PARSER", "SYSTEM", "VALIDATION", "CONSISTENT", "WITHOUT")
    return depth == 0  # TABLE


def pass_token(cursor: Cursor, draft: Draft) -> None:
    """Pass one token, and a table name behind REFERENCES or in UNION = (…)."""
    word = cursor.word()
    if cursor.symbol(-1) == "." or not word:
        cursor.at += 1
        return
    if word == "REFERENCES" and (follows := cursor.peek(1)) is not None and follows.kind in (Kind.WORD, Kind.NAME):
        cursor.at += 1
        draft.tables.append(cursor.table("references"))
        return
    cursor.at += 1
    if word == "UNION":
        cursor.take_symbol("=")
        if cursor.take_symbol("("):
            if cursor.symbol() != ")":
                draft.tables.extend(cursor.table_list("source"))
            if cursor.symbol() != ")":
                raise Unclear(f"a list of tables is malformed {cursor.place()}")
            cursor.at += 1


def drop_tables(cursor: Cursor, draft: Draft, *, temporary: bool, kind: str = "DROP TABLE") -> None:
    """Behind ``DROP [TEMPORARY] TABLE|VIEW|SEQUENCE``."""
    draft.kind = kind
    draft.if_exists = cursor.if_exists()
    draft.tables.extend(cursor.table_list("target"))
    cursor.wait()
    cursor.take_any("RESTRICT", "CASCADE")
    cursor.end()
    if temporary:
        draft.cls = C.TEMPORARY
    elif kind == "DROP VIEW":
        draft.cls = C.VIEW
    else:
        draft.cls = C.DROP if kind == "DROP TABLE" else C.SEQUENCE
        draft.destructive = True
        draft.also.add(C.DROP)


def rename_tables(cursor: Cursor, draft: Draft) -> None:
    """Behind ``RENAME TABLE``."""
    draft.cls, draft.kind = C.RENAME, "RENAME TABLE"
    draft.if_exists = cursor.if_exists()
    while True:
        old = cursor.table("target")
        cursor.wait()
        cursor.expect("TO")
        draft.tables += [old, cursor.table("new_name")]
        if not cursor.take_symbol(","):
            break
    cursor.end()


def truncate_table(cursor: Cursor, draft: Draft) -> None:
    """Behind ``TRUNCATE [TABLE]``."""
    draft.cls, draft.kind, draft.destructive = C.TRUNCATE, "TRUNCATE TABLE", True
    draft.tables.append(cursor.table("target"))
    cursor.wait()
    _ = cursor.take("DROP", "STORAGE") or cursor.take("REUSE", "STORAGE")
    cursor.end()


def create_index(cursor: Cursor, draft: Draft) -> None:
    """Behind ``CREATE … INDEX``."""
    draft.cls, draft.kind = C.INDEX, "CREATE INDEX"
    draft.if_exists = cursor.if_not_exists()
    cursor.name()
    if cursor.take_any("USING", "TYPE"):
        cursor.name()
    cursor.wait()
    cursor.expect("ON")
    draft.tables.append(cursor.table("target"))
    cursor.wait()
    cursor.skip_group()
    to_the_end(cursor)


def drop_index(cursor: Cursor, draft: Draft) -> None:
    """Behind ``DROP INDEX``."""
    draft.cls, draft.kind = C.INDEX, "DROP INDEX"
    draft.if_exists = cursor.if_exists()
    cursor.name()
    cursor.expect("ON")
    draft.tables.append(cursor.table("target"))
    to_the_end(cursor)


def to_the_end(cursor: Cursor) -> None:
    """Pass options to the end of the statement."""
    while not cursor.done:
        if cursor.symbol() == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        cursor.at += 1
