"""Changes a statement so that it means at the target what it meant at the origin. Token by token; all else stays.

Each function takes a classified statement and returns text; classify that again before the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import DdlError
from ..model import FLAVOR_MARIADB, qualified
from .cursor import Cursor, words
from .expand import expand_comments
from .guard import disable_event, guard_trigger, is_guarded
from .statement import Statement, StatementClass, TableRef
from .tokens import Kind, Token

__all__ = [
    "disable_event",
    "drop_if_exists",
    "expand_comments",
    "guard_trigger",
    "has_start_transaction",
    "is_guarded",
    "rename_objects",
    "strip_start_transaction",
    "without_definer",
]

Mapping = Callable[[str, str], tuple[str, str]]
"""Maps (schema, table) at the origin to (schema, table) at the target."""

_DROPS = frozenset({"DROP TABLE", "DROP SEQUENCE"})
_WITH_BODY = frozenset({StatementClass.TRIGGER, StatementClass.ROUTINE, StatementClass.EVENT})


def strip_start_transaction(statement: Statement) -> bytes:
    """Without the ``START TRANSACTION`` that MySQL adds to the CREATE TABLE of a CREATE TABLE … SELECT."""
    if statement.kind != "CREATE TABLE":
        return statement.text
    cursor = Cursor(statement.text, statement.syntax, statement.default_schema)
    depth = 0
    while not cursor.done:
        depth += (cursor.symbol() == "(") - (cursor.symbol() == ")")
        if depth == 0 and cursor.sees("START", "TRANSACTION"):
            first, last = cursor.tokens[cursor.at], cursor.tokens[cursor.at + 1]
            return statement.text[: first.start].rstrip() + statement.text[last.end :]
        cursor.at += 1
    return statement.text


def has_start_transaction(statement: Statement) -> bool:
    """Whether rows of the same transaction follow this CREATE TABLE."""
    return strip_start_transaction(statement) != statement.text


def drop_if_exists(statement: Statement) -> bytes:
    """With IF EXISTS: a DROP TRIGGER, which may belong to a table that the flow does not carry, and MariaDB's DROP of several
    tables or sequences, which it logs without an error although some were not there. Others are unchanged.
    """
    if statement.if_exists:
        return statement.text
    if statement.kind == "DROP TRIGGER" and statement.object is not None:
        at = statement.object.start
    elif statement.kind in _DROPS and len(statement.tables) > 1 and statement.syntax.flavor == FLAVOR_MARIADB:
        at = statement.tables[0].start
    else:
        return statement.text
    return _edit(statement.text, [(at, at, b"IF EXISTS")])


def without_definer(statement: Statement) -> bytes:
    """Without ``DEFINER = account``: whoever runs it becomes the definer. For targets that lack the account."""
    cursor = Cursor(statement.text, statement.syntax, statement.default_schema)
    for at in range(min(len(cursor.tokens), 16)):
        cursor.at = at
        if cursor.sees("DEFINER") and cursor.symbol(1) == "=":
            start = cursor.tokens[at].start
            cursor.at += 2
            cursor.account()
            return statement.text[:start] + statement.text[cursor.tokens[cursor.at].start :]
    return statement.text


def rename_objects(statement: Statement, mapping: Mapping, schema: Callable[[str], str] | None = None) -> bytes:
    """The statement with every table qualified and mapped; ``schema`` maps the names of CREATE, ALTER, DROP DATABASE.

    Raises DdlError where a name could hide in an expression or a body, so that the mapping could not be complete.
    """
    changed = [table for table in statement.tables if mapping(table.schema, table.table) != (table.schema, table.table)]
    if statement.cls in _WITH_BODY:
        home = statement.object.schema if statement.object else statement.default_schema
        if changed or mapping(home, "x")[0] != home:
            raise _cannot(statement, "its body may name tables that are mapped")
        return statement.text
    if statement.cls is StatementClass.DATABASE:
        return _rename_database(statement, schema)
    edits = [(table.start, table.end, _replacement(statement, table, mapping)) for table in statement.tables]
    _refuse_hidden(statement, changed, mapping)
    return _edit(statement.text, edits)


def _replacement(statement: Statement, table: TableRef, mapping: Mapping) -> bytes:
    new = mapping(table.schema, table.table)
    text = statement.syntax.encode(qualified(*new))
    if statement.cls is StatementClass.VIEW and table.role == "source" and new[1] != table.table:
        if _has_alias(statement, table):
            return text
        # Columns may be written as `table`.`column`.
        return text + b" AS " + statement.syntax.encode("`" + table.table.replace("`", "``") + "`")
    return text


_NO_ALIAS = words(
    "WHERE GROUP HAVING ORDER LIMIT UNION EXCEPT INTERSECT JOIN INNER LEFT RIGHT CROSS NATURAL STRAIGHT_JOIN ON USING WITH"
    " WINDOW FOR USE FORCE IGNORE LOCK PARTITION PROCEDURE INTO"
)


def _has_alias(statement: Statement, table: TableRef) -> bool:
    cursor = Cursor(statement.text, statement.syntax, statement.default_schema)
    after = next((token for token in cursor.tokens if token.start >= table.end), None)
    if after is None or after.kind not in (Kind.WORD, Kind.NAME):
        return False
    word = after.text.decode("latin-1").upper()
    if word in ("PARTITION", "FOR"):
        raise _cannot(statement, "it reads partitions or periods of a table that is mapped")
    return after.kind is Kind.NAME or word not in _NO_ALIAS


def _rename_database(statement: Statement, schema: Callable[[str], str] | None) -> bytes:
    names = [(name, schema(name) if schema else name) for name in statement.schemas]
    if all(old == new for old, new in names):
        return statement.text
    cursor = Cursor(statement.text, statement.syntax, statement.default_schema)
    for token in cursor.tokens:
        if token.kind in (Kind.WORD, Kind.NAME) and _name(cursor, token) == names[0][0] and token.start > 0:
            before = [t for t in cursor.tokens if t.end <= token.start][-1].text.upper()
            if before in (b"DATABASE", b"SCHEMA", b"EXISTS"):
                new = statement.syntax.encode("`" + names[0][1].replace("`", "``") + "`")
                return _edit(statement.text, [(token.start, token.end, new)])
    raise _cannot(statement, "it means the default schema without naming it")


def _name(cursor: Cursor, token: Token) -> str:
    saved, cursor.at = cursor.at, cursor.tokens.index(token)
    name, _, _ = cursor.name()
    cursor.at = saved
    return name


def _refuse_hidden(statement: Statement, changed: Iterable[TableRef], mapping: Mapping) -> None:
    """Raise where a dotted name outside of the known ones begins with the old name of something mapped."""
    view = statement.cls is StatementClass.VIEW
    old: set[str] = set()
    for table in changed:
        new = mapping(table.schema, table.table)
        if new[0] != table.schema:
            old.add(table.schema.lower())
        if new[1] != table.table and not (view and table.role == "source"):
            old.add(table.table.lower())
    if not old:
        return
    cursor = Cursor(statement.text, statement.syntax, statement.default_schema)
    spans = [(table.start, table.end) for table in statement.tables]
    for at, token in enumerate(cursor.tokens):
        cursor.at = at
        if token.kind not in (Kind.WORD, Kind.NAME) or cursor.symbol(1) != "." or cursor.symbol(-1) == ".":
            continue
        if any(start <= token.start < end for start, end in spans):
            continue
        if _name(cursor, token).lower() in old:
            raise _cannot(statement, "a column or function in it is written with a name that is mapped")


def _edit(text: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for start, end, new in sorted(edits, reverse=True):
        before = b"" if text[:start][-1:].isspace() or text[:start][-1:] in (b"(", b",", b"") else b" "
        after = b"" if text[end : end + 1].isspace() or text[end : end + 1] in (b"(", b")", b",", b";", b"") else b" "
        text = text[:start] + before + new + after + text[end:]
    return text


def _cannot(statement: Statement, why: str) -> DdlError:
    return DdlError(
        f"a {statement.kind} cannot be mapped to other names: {why}",
        remedy="run it at the target by hand with the target's names, then `replicator skip`",
    )
