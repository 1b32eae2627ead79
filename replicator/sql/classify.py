"""Classifies a statement of the binlog: what kind of thing it does, and to which tables and databases.

What is not certain is ``unknown``, with the reason, and its caller stops: a statement is never guessed at. One statement a
call; more behind a semicolon outside of a body are unknown (a server logs each on its own).
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import DecodeError
from . import tables
from .cursor import Cursor, Draft, Unclear, words
from .objects import accounts, alter, create, drop
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


def _rename(cursor: Cursor, draft: Draft) -> None:
    if cursor.take_any("TABLE", "TABLES"):
        tables.rename_tables(cursor, draft)
    elif not accounts(cursor, draft, "RENAME"):
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
    "CREATE": create,
    "ALTER": alter,
    "DROP": drop,
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
