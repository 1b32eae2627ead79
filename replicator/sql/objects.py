"""CREATE, ALTER and DROP: finds out of what, and takes the names of all but tables itself."""

from __future__ import annotations

from ..model import FLAVOR_MYSQL
from . import tables
from .alter import alter_table
from .cursor import Cursor, Draft, Unclear, words
from .query import query_sources
from .statement import ObjectRef
from .statement import StatementClass as C

__all__ = ["accounts", "alter", "create", "drop"]


def create(cursor: Cursor, draft: Draft) -> None:
    """Behind CREATE."""
    replace = cursor.take("OR", "REPLACE")
    temporary = bool(cursor.take_any("TEMPORARY"))
    if cursor.take_any("TABLE", "TABLES"):
        tables.create_table(cursor, draft, replace=replace, temporary=temporary)
    elif cursor.take("SEQUENCE"):
        _create_sequence(cursor, draft, replace=replace, temporary=temporary)
    elif temporary:
        raise Unclear(f"an unknown temporary object {cursor.place()}")
    elif cursor.take_any("DATABASE", "SCHEMA"):
        draft.cls, draft.kind = C.DATABASE, "CREATE DATABASE"
        draft.if_exists = cursor.if_not_exists()
        draft.schemas.append(cursor.name()[0])
        draft.destructive = replace
        if replace:
            draft.also.add(C.DROP)
        tables.to_the_end(cursor)
    elif _before_index(cursor):
        tables.create_index(cursor, draft)
    elif _server_wide(cursor, draft, "CREATE") or accounts(cursor, draft, "CREATE"):
        pass
    else:
        _with_definer(cursor, draft, "CREATE")


def _before_index(cursor: Cursor) -> bool:
    """Pass the words before INDEX, and it; False, and nothing passed, where it is no index."""
    start = cursor.at
    cursor.take_any("ONLINE", "OFFLINE")
    cursor.take_any("UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR")
    if cursor.take("INDEX"):
        return True
    cursor.at = start
    return False


def _create_sequence(cursor: Cursor, draft: Draft, *, replace: bool, temporary: bool) -> None:
    draft.kind = "CREATE SEQUENCE"
    draft.cls = C.TEMPORARY if temporary else C.SEQUENCE
    draft.if_exists = cursor.if_not_exists()
    draft.tables.append(cursor.table("target"))
    if replace and not temporary:
        draft.destructive = True
        draft.also.add(C.DROP)
    tables.to_the_end(cursor)


def _with_definer(cursor: Cursor, draft: Draft, verb: str) -> None:
    """CREATE or ALTER of a view, trigger, routine or event, with what may stand before that word."""
    while True:
        if cursor.take("ALGORITHM"):
            cursor.take_symbol("=")
            cursor.name()
        elif cursor.take("DEFINER"):
            cursor.take_symbol("=")
            cursor.account()
        elif cursor.take("SQL", "SECURITY"):
            cursor.name()
        else:
            break
    cursor.take("AGGREGATE")
    kind = cursor.take_any("VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE", "LIBRARY", "EVENT")
    draft.kind = f"{verb} {kind}".rstrip()
    if kind == "VIEW":
        _view(cursor, draft)
    elif kind == "TRIGGER" and verb == "CREATE":
        _trigger(cursor, draft)
    elif kind == "EVENT":
        draft.cls = C.EVENT
        draft.if_exists = cursor.if_not_exists()
        draft.object = cursor.routine()
        _some_left(cursor)
    elif kind:
        if kind == "PACKAGE" and cursor.take("BODY"):
            draft.kind += " BODY"
        draft.cls = C.ROUTINE
        draft.if_exists = cursor.if_not_exists()
        draft.object = cursor.routine()
        if cursor.sees("RETURNS") and cursor.word(2) == "SONAME":
            draft.cls, draft.object, draft.kind = C.SERVER, None, f"{verb} LOADABLE FUNCTION"
        if verb == "CREATE":
            _header_name(cursor)
            _some_left(cursor)
    else:
        raise Unclear(f"an unknown object stands {cursor.place()}")


def _header_name(cursor: Cursor) -> None:
    """MySQL writes the head of a logged CREATE VIEW or PROCEDURE anew, in utf8mb4, before a body in the client's encoding."""
    raw = cursor.tokens[cursor.at - 1].text
    if cursor.syntax.flavor == FLAVOR_MYSQL and cursor.syntax.codec != "utf-8" and not raw.isascii():
        raise Unclear(f"its name and its body are in different character sets, utf8mb4 and {cursor.syntax.charset}")


def _view(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.VIEW
    draft.if_exists = cursor.if_not_exists() or cursor.if_exists()
    draft.tables.append(cursor.table("target"))
    _header_name(cursor)
    if cursor.symbol() == "(":
        cursor.skip_group()
    cursor.expect("AS")
    _some_left(cursor)
    draft.tables.extend(query_sources(cursor))


def _trigger(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.TRIGGER
    draft.if_exists = cursor.if_not_exists()
    schema, name, start, end = cursor.qualified()
    if not cursor.take_any("BEFORE", "AFTER") or not cursor.take_any("INSERT", "UPDATE", "DELETE"):
        raise Unclear(f"a trigger's time or event is missing {cursor.place()}")
    if cursor.take("OF"):
        cursor.name()
        while cursor.take_symbol(","):
            cursor.name()
    while cursor.take("OR"):
        cursor.take_any("INSERT", "UPDATE", "DELETE")
    cursor.expect("ON")
    table = cursor.table("target")
    cursor.expect("FOR", "EACH", "ROW")
    draft.tables.append(table)
    if cursor.take_any("FOLLOWS", "PRECEDES"):
        cursor.name()
    # A trigger lives where its table does, and the server refuses another schema.
    draft.object = ObjectRef(schema or table.schema, name, start, end)
    _some_left(cursor)
    draft.body = cursor.tokens[cursor.at].start


def _some_left(cursor: Cursor) -> None:
    if cursor.done:
        raise Unclear("its body is missing")


def alter(cursor: Cursor, draft: Draft) -> None:
    """Behind ALTER."""
    online = bool(cursor.take_any("ONLINE", "OFFLINE"))
    ignore = bool(cursor.take_any("IGNORE"))
    if cursor.take_any("TABLE", "TABLES"):
        alter_table(cursor, draft)
    elif cursor.take("SEQUENCE"):
        draft.cls, draft.kind = C.SEQUENCE, "ALTER SEQUENCE"
        draft.if_exists = cursor.if_exists()
        draft.tables.append(cursor.table("target"))
        tables.to_the_end(cursor)
    elif online or ignore:
        raise Unclear(f"an unknown object stands {cursor.place()}")
    elif cursor.take_any("DATABASE", "SCHEMA"):
        draft.cls, draft.kind = C.DATABASE, "ALTER DATABASE"
        draft.schemas.append(_altered_database(cursor))
        tables.to_the_end(cursor)
    elif _server_wide(cursor, draft, "ALTER") or accounts(cursor, draft, "ALTER"):
        pass
    else:
        _with_definer(cursor, draft, "ALTER")


_DATABASE_OPTIONS = words("CHARACTER CHARSET COLLATE DEFAULT ENCRYPTION READ COMMENT UPGRADE")


def _altered_database(cursor: Cursor) -> str:
    """The name, or the default schema where the options follow at once."""
    options_at_once = cursor.word() in _DATABASE_OPTIONS and cursor.word(1) not in _DATABASE_OPTIONS - {"CHARSET", "READ"}
    options_at_once = options_at_once or cursor.sees("DEFAULT", "CHARSET")
    if not options_at_once and cursor.word() in _DATABASE_OPTIONS - {"CHARSET", "ENCRYPTION", "COMMENT", "UPGRADE"}:
        options_at_once = True  # reserved words: no names
    if not options_at_once:
        return cursor.name()[0]
    if not cursor.default_schema:
        raise Unclear("it alters the default schema, and there is none")
    return cursor.default_schema


def drop(cursor: Cursor, draft: Draft) -> None:
    """Behind DROP."""
    temporary = bool(cursor.take_any("TEMPORARY"))
    if cursor.take_any("TABLE", "TABLES"):
        tables.drop_tables(cursor, draft, temporary=temporary)
    elif cursor.take("SEQUENCE"):
        tables.drop_tables(cursor, draft, temporary=temporary, kind="DROP SEQUENCE")
    elif temporary:
        raise Unclear(f"an unknown temporary object {cursor.place()}")
    elif cursor.take("VIEW"):
        tables.drop_tables(cursor, draft, temporary=False, kind="DROP VIEW")
    elif cursor.take_any("DATABASE", "SCHEMA"):
        draft.cls, draft.kind, draft.destructive = C.DATABASE, "DROP DATABASE", True
        draft.also.add(C.DROP)
        draft.if_exists = cursor.if_exists()
        draft.schemas.append(cursor.name()[0])
        cursor.end()
    elif _dropped_index(cursor):
        tables.drop_index(cursor, draft)
    elif cursor.take("PREPARE"):
        draft.cls, draft.kind = C.ADMIN, "DROP PREPARE"
    elif _server_wide(cursor, draft, "DROP") or accounts(cursor, draft, "DROP"):
        pass
    else:
        _drop_object(cursor, draft)


def _dropped_index(cursor: Cursor) -> bool:
    start = cursor.at
    cursor.take_any("ONLINE", "OFFLINE")
    if cursor.take("INDEX"):
        return True
    cursor.at = start
    return False


def _drop_object(cursor: Cursor, draft: Draft) -> None:
    kind = cursor.take_any("TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE", "LIBRARY", "EVENT")
    if not kind:
        raise Unclear(f"an unknown object stands {cursor.place()}")
    draft.kind = f"DROP {kind}"
    draft.cls = {"TRIGGER": C.TRIGGER, "EVENT": C.EVENT}.get(kind, C.ROUTINE)
    if kind == "PACKAGE" and cursor.take("BODY"):
        draft.kind += " BODY"
    draft.if_exists = cursor.if_exists()
    if kind == "FUNCTION" and not cursor.default_schema and cursor.symbol(1) != ".":
        # A loadable function has no schema; a stored one would need it.
        cursor.name()
        draft.cls, draft.kind = C.SERVER, "DROP LOADABLE FUNCTION"
    else:
        draft.object = cursor.routine()
    cursor.end()


_SERVER_WIDE = (
    ("UNDO", "TABLESPACE"),
    ("TABLESPACE",),
    ("LOGFILE", "GROUP"),
    ("SERVER",),
    ("RESOURCE", "GROUP"),
    ("SPATIAL", "REFERENCE", "SYSTEM"),
    ("INSTANCE",),
)


def _server_wide(cursor: Cursor, draft: Draft, verb: str) -> bool:
    for what in _SERVER_WIDE:
        if cursor.take(*what):
            draft.cls = C.SERVER
            draft.kind = f"{verb} {' '.join(what)}"
            return True
    return False


def accounts(cursor: Cursor, draft: Draft, verb: str) -> bool:
    """Pass USER or ROLE; False if it is neither."""
    word = cursor.take_any("USER", "ROLE")
    if word:
        draft.cls, draft.kind = C.USER, f"{verb} {word}"
    return bool(word)
