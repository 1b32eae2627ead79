"""Classifies a statement of the binlog: what kind of thing it does, and to which tables and databases.

What is not certain is ``unknown``, with the reason, and its caller stops: a statement is never guessed at. One statement a
call; more behind a semicolon outside of a body are unknown (a server logs each on its own).
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import DecodeError
from . import tables
from .alter import alter_table
from .cursor import Cursor, Draft, Unclear, words
from .query import query_sources
from .statement import ObjectRef, Statement, StatementClass, TableRef
from .statement import StatementClass as C
from .tokens import NEWEST_VERSION, Kind, Syntax

__all__ = ["ObjectRef", "Statement", "StatementClass", "Syntax", "TableRef", "classify", "classify_with"]


def classify(
    statement: bytes | str,
    *,
    default_schema: str,
    flavor: str,
    sql_mode_ansi_quotes: bool = False,
    no_backslash_escapes: bool = False,
    version: int = NEWEST_VERSION,
    charset: str = "utf8mb4",
    lower_names: bool = False,
) -> Statement:
    """Classify; never raises for what the statement holds, only for an unknown ``charset`` (DecodeError).

    ``version`` is the origin's, as versioned comments write it; ``charset`` the name of its ``character_set_client``.
    """
    syntax = Syntax(flavor, version, sql_mode_ansi_quotes, no_backslash_escapes, charset, lower_names)
    return classify_with(statement.encode() if isinstance(statement, str) else statement, syntax, default_schema)


def classify_with(text: bytes, syntax: Syntax, default_schema: str) -> Statement:
    """Classify with a ready-made syntax."""
    if syntax.lower_names:
        default_schema = default_schema.lower()
    draft = Draft()
    reason = ""
    try:
        _statement(Cursor(text, syntax, default_schema), draft)
    except (Unclear, DecodeError) as error:
        reason = error.what if isinstance(error, DecodeError) else str(error)
        draft.cls = C.UNKNOWN
    return Statement(
        cls=draft.cls,
        kind=draft.kind,
        text=text,
        default_schema=default_schema,
        syntax=syntax,
        tables=tuple(draft.tables),
        schemas=tuple(draft.schemas),
        object=draft.object,
        if_exists=draft.if_exists,
        destructive=draft.destructive,
        also=frozenset(draft.also - {draft.cls}),
        unrepeatable=draft.unrepeatable,
        actions=tuple(draft.actions),
        body=draft.body,
        reason=reason,
    )


def _statement(cursor: Cursor, draft: Draft) -> None:
    word = cursor.word()
    draft.kind = word
    parser = _PARSERS.get(word)
    if parser is not None:
        cursor.at += 1
        parser(cursor, draft)
    elif word in _ADMIN:
        draft.cls = C.ADMIN
    elif word in _DML or (cursor.symbol() == "(" and _behind_brackets(cursor) in ("SELECT", "WITH", "VALUES", "TABLE")):
        draft.cls = C.DML
    elif cursor.done:
        raise Unclear("the statement is empty")
    else:
        raise Unclear(f"the word it begins with is unknown {cursor.place()}")


def _behind_brackets(cursor: Cursor) -> str:
    ahead = 0
    while cursor.symbol(ahead) == "(":
        ahead += 1
    return cursor.word(ahead)


_ADMIN = words(
    "FLUSH KILL INSTALL UNINSTALL CACHE RESET PURGE SHUTDOWN RESTART CLONE CHANGE STOP SHOW EXPLAIN DESCRIBE DESC HELP USE"
    " UNLOCK BACKUP SIGNAL RESIGNAL GET DEALLOCATE PREPARE EXECUTE BINLOG CHECKSUM"
)
_DML = words("SELECT DO CALL WITH VALUES HANDLER TABLE")


# --- CREATE, ALTER, DROP ------------------------------------------------------------------------------------------------


def _create(cursor: Cursor, draft: Draft) -> None:
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
    elif _server_wide(cursor, draft, "CREATE") or _accounts(cursor, draft, "CREATE"):
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
            _some_left(cursor)
    else:
        raise Unclear(f"an unknown object stands {cursor.place()}")


def _view(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.VIEW
    draft.if_exists = cursor.if_not_exists() or cursor.if_exists()
    draft.tables.append(cursor.table("target"))
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


def _alter(cursor: Cursor, draft: Draft) -> None:
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
    elif _server_wide(cursor, draft, "ALTER") or _accounts(cursor, draft, "ALTER"):
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


def _drop(cursor: Cursor, draft: Draft) -> None:
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
    elif _server_wide(cursor, draft, "DROP") or _accounts(cursor, draft, "DROP"):
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


def _accounts(cursor: Cursor, draft: Draft, verb: str) -> bool:
    word = cursor.take_any("USER", "ROLE")
    if word:
        draft.cls, draft.kind = C.USER, f"{verb} {word}"
    return bool(word)


# --- the others ---------------------------------------------------------------------------------------------------------


def _rename(cursor: Cursor, draft: Draft) -> None:
    if cursor.take_any("TABLE", "TABLES"):
        tables.rename_tables(cursor, draft)
    elif not _accounts(cursor, draft, "RENAME"):
        raise Unclear(f"an unknown object stands {cursor.place()}")


def _truncate(cursor: Cursor, draft: Draft) -> None:
    cursor.take("TABLE")
    tables.truncate_table(cursor, draft)


def _user(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.USER


def _maintain(cursor: Cursor, draft: Draft) -> None:
    """ANALYZE, OPTIMIZE, REPAIR and CHECK TABLE; MariaDB's ANALYZE of a statement."""
    draft.cls = C.ADMIN
    cursor.take_any("NO_WRITE_TO_BINLOG", "LOCAL")
    if cursor.take_any("TABLE", "TABLES", "VIEW"):
        draft.kind += " TABLE"
        draft.tables.extend(cursor.table_list("target"))


def _set(cursor: Cursor, draft: Draft) -> None:
    if cursor.take("STATEMENT"):
        _set_statement(cursor, draft)
    elif cursor.sees("PASSWORD") or cursor.sees("ROLE") or cursor.sees("DEFAULT", "ROLE"):
        draft.cls, draft.kind = C.USER, f"SET {cursor.word()}"
    elif cursor.sees("TRANSACTION"):
        draft.cls, draft.kind = C.TRANSACTION, "SET TRANSACTION"
    else:
        raise Unclear("a SET statement is nothing that a binlog holds")


_CHANGES_MEANING = frozenset({"SQL_MODE", "CHARACTER_SET_CLIENT"})


def _set_statement(cursor: Cursor, draft: Draft) -> None:
    """MariaDB's ``SET STATEMENT variable = value, … FOR statement``."""
    depth = 0
    while not (depth == 0 and cursor.sees("FOR")):
        if cursor.done:
            raise Unclear("SET STATEMENT without FOR")
        if cursor.word() in _CHANGES_MEANING:
            raise Unclear("SET STATEMENT changes how the statement itself is read")
        depth += (cursor.symbol() == "(") - (cursor.symbol() == ")")
        cursor.at += 1
    cursor.expect("FOR")
    _statement(cursor, draft)


def _insert(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.DML
    while cursor.take_any("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"):
        pass
    draft.tables.append(cursor.table("target"))


def _update(cursor: Cursor, draft: Draft) -> None:
    """One table where that is easy; an UPDATE of a join names none."""
    draft.cls = C.DML
    while cursor.take_any("LOW_PRIORITY", "IGNORE"):
        pass
    start = cursor.peek()
    if start is None or start.kind not in (Kind.WORD, Kind.NAME):
        return
    target = cursor.table("target")
    cursor.take("AS")
    if cursor.sees("SET") or cursor.word(1) == "SET":
        draft.tables.append(target)


def _delete(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.DML
    while cursor.take_any("LOW_PRIORITY", "QUICK", "IGNORE", "HISTORY"):
        pass
    if cursor.take("FROM"):
        target = cursor.table("target")
        if cursor.symbol() not in (",", ".") and not cursor.sees("USING"):
            draft.tables.append(target)


def _load(cursor: Cursor, draft: Draft) -> None:
    if cursor.take("INDEX"):
        draft.cls, draft.kind = C.ADMIN, "LOAD INDEX"
        return
    if not cursor.take_any("DATA", "XML"):
        raise Unclear(f"an unknown LOAD {cursor.place()}")
    draft.cls = C.DML
    while not cursor.done:
        if cursor.take("INTO", "TABLE"):
            draft.tables.append(cursor.table("target"))
            return
        cursor.at += 1
    raise Unclear("LOAD DATA without a table")


def _begin(cursor: Cursor, draft: Draft) -> None:
    if cursor.take("NOT", "ATOMIC"):
        draft.cls = C.DML  # an anonymous block
        return
    cursor.take("WORK")
    _transaction(cursor, draft)
    cursor.end()


def _transaction(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.TRANSACTION


def _start(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.TRANSACTION if cursor.take("TRANSACTION") else C.ADMIN  # START REPLICA


def _release(cursor: Cursor, draft: Draft) -> None:
    cursor.expect("SAVEPOINT")
    draft.cls = C.TRANSACTION


def _lock(cursor: Cursor, draft: Draft) -> None:
    draft.cls = C.ADMIN  # LOCK TABLES, LOCK INSTANCE FOR BACKUP


def _import(cursor: Cursor, draft: Draft) -> None:
    cursor.expect("TABLE")
    draft.cls, draft.kind = C.CREATE, "IMPORT TABLE"
    draft.unrepeatable = "it takes tables from files of the origin"


_PARSERS: dict[str, Callable[[Cursor, Draft], None]] = {
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "RENAME": _rename,
    "TRUNCATE": _truncate,
    "GRANT": _user,
    "REVOKE": _user,
    "ANALYZE": _maintain,
    "OPTIMIZE": _maintain,
    "REPAIR": _maintain,
    "CHECK": _maintain,
    "SET": _set,
    "INSERT": _insert,
    "REPLACE": _insert,
    "UPDATE": _update,
    "DELETE": _delete,
    "LOAD": _load,
    "BEGIN": _begin,
    "START": _start,
    "COMMIT": _transaction,
    "ROLLBACK": _transaction,
    "SAVEPOINT": _transaction,
    "RELEASE": _release,
    "XA": _transaction,
    "LOCK": _lock,
    "IMPORT": _import,
}
