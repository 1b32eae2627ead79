"""CREATE, ALTER, DROP, RENAME and TRUNCATE of tables, and their indexes: every table named, every action known."""

from __future__ import annotations

from .cursor import Cursor, Draft, Unclear, words
from .query import query_sources
from .statement import StatementClass as C
from .tokens import Kind

__all__ = ["alter_table", "create_index", "create_table", "drop_index", "drop_tables", "rename_tables", "truncate_table"]

_FILLED = "it fills the table by a query, and the rows are not in the binlog"
_TABLESPACE = "it needs a tablespace file of the origin"


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
        depth += (symbol == "(") - (symbol == ")")
        if symbol == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        if word in ("SELECT", "WITH", "TABLE", "VALUES") and _is_query(cursor, word, depth):
            draft.unrepeatable = _FILLED
            mark = cursor.at
            draft.tables.extend(query_sources(cursor))
            cursor.at = mark + 1
            continue
        _reference(cursor, draft)
    if depth:
        raise Unclear("a parenthesis is never closed")
    if cursor.at == start:
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


def _reference(cursor: Cursor, draft: Draft) -> None:
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
    _no_second(cursor)


def drop_index(cursor: Cursor, draft: Draft) -> None:
    """Behind ``DROP INDEX``."""
    draft.cls, draft.kind = C.INDEX, "DROP INDEX"
    draft.if_exists = cursor.if_exists()
    cursor.name()
    cursor.expect("ON")
    draft.tables.append(cursor.table("target"))
    _no_second(cursor)


def _no_second(cursor: Cursor) -> None:
    """Pass options to the end of the statement."""
    while not cursor.done:
        if cursor.symbol() == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        cursor.at += 1


# Words that may begin an action of ALTER TABLE and neither name another table nor remove values.
_HARMLESS = words(
    "ADD ALTER CHANGE MODIFY CONVERT ENABLE DISABLE FORCE ORDER DEFAULT CHARACTER CHARSET COLLATE ALGORITHM LOCK WITH"
    " WITHOUT SECONDARY_LOAD SECONDARY_UNLOAD COMMENT WAIT NOWAIT"
)
_PARTITION = words("COALESCE REORGANIZE REBUILD ANALYZE CHECK OPTIMIZE REPAIR REMOVE PARTITION EXCHANGE")


def alter_table(cursor: Cursor, draft: Draft) -> None:
    """Behind ``ALTER [ONLINE|OFFLINE] [IGNORE] TABLE``."""
    draft.kind = "ALTER TABLE"
    draft.if_exists = cursor.if_exists()
    target = cursor.table("target")
    draft.tables.append(target)
    cursor.wait()
    kinds: set[C] = set()
    ordering = False
    while not cursor.done:
        start = cursor.at
        word = cursor.word()
        if ordering and word not in _HARMLESS | _PARTITION | {"DROP", "RENAME", "TRUNCATE"}:
            pass  # a further column of ORDER BY
        else:
            kinds.add(_action(cursor, draft))
        ordering = ordering or word == "ORDER"
        _rest_of_action(cursor, draft, kinds)
        if cursor.at == start:
            raise Unclear(f"an unknown action stands {cursor.place()}")
    # "ALTER TABLE t" alone and hints about how to do it are valid, and change nothing.
    kinds.discard(C.ADMIN)
    if len(kinds) == 1:
        draft.cls = kinds.pop()
    else:
        draft.cls = C.ALTER
        draft.also |= kinds - {C.ALTER}


def _rest_of_action(cursor: Cursor, draft: Draft, kinds: set[C]) -> None:
    """Pass to behind the next comma outside of parentheses."""
    depth = 0
    while not cursor.done:
        symbol = cursor.symbol()
        if symbol == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        if symbol == "," and depth == 0:
            cursor.at += 1
            return
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            raise Unclear(f"a parenthesis too much {cursor.place()}")
        _option_inside(cursor, draft, kinds, depth)
        _reference(cursor, draft)
    if depth:
        raise Unclear("a parenthesis is never closed")


def _option_inside(cursor: Cursor, draft: Draft, kinds: set[C], depth: int) -> None:
    """What may follow table options without a comma."""
    if depth or cursor.symbol(-1) == ".":
        return
    if cursor.sees("PARTITION", "BY") or cursor.sees("REMOVE", "PARTITIONING"):
        kinds.add(C.PARTITION)
    elif cursor.sees("UNION") and cursor.symbol(1) in ("=", "("):
        kinds.add(C.ALTER)


def _action(cursor: Cursor, draft: Draft) -> C:
    """Take the words that tell what one action does; the rest of it is passed over by the caller."""
    word = cursor.word()
    if word == "RENAME":
        return _rename(cursor, draft)
    if word == "DROP":
        return _drop(cursor, draft)
    if word in ("DISCARD", "IMPORT"):
        cursor.at += 1
        partition = cursor.word() == "PARTITION"
        draft.destructive = draft.destructive or word == "DISCARD"
        draft.unrepeatable = _TABLESPACE
        return C.PARTITION if partition else C.ALTER
    if word == "TRUNCATE":
        cursor.at += 1
        cursor.expect("PARTITION")
        draft.destructive = True
        draft.also.add(C.TRUNCATE)
        return C.PARTITION
    if word == "EXCHANGE":
        return _exchange(cursor, draft)
    if word == "CONVERT" and (cursor.sees("CONVERT", "PARTITION") or cursor.sees("CONVERT", "TABLE")):
        return _convert(cursor, draft)
    if word in _PARTITION:
        # REMOVE PARTITIONING, PARTITION BY, and the operations on a list of partitions.
        cursor.at += 1
        cursor.take_any("PARTITION", "PARTITIONING", "BY")
        return C.PARTITION
    if word == "ADD" and cursor.word(1) == "PARTITION":
        return C.PARTITION
    if word == "ADD" and cursor.word(1) == "SYSTEM":
        return C.ALTER
    if word in ("ALGORITHM", "LOCK", "WAIT", "NOWAIT"):
        return C.ADMIN
    if word in _HARMLESS or cursor.symbol(1) == "=" or _is_option(cursor, word):
        return C.ALTER
    raise Unclear(f"an unknown action stands {cursor.place()}")


_OPTIONS = words(
    "ENGINE TYPE AUTO_INCREMENT AVG_ROW_LENGTH MAX_ROWS MIN_ROWS CHECKSUM TABLE_CHECKSUM PAGE_CHECKSUM COMPRESSION"
    " CONNECTION DATA INDEX DELAY_KEY_WRITE ENCRYPTION ENCRYPTED ENCRYPTION_KEY_ID INSERT_METHOD KEY_BLOCK_SIZE"
    " PACK_KEYS PASSWORD ROW_FORMAT STATS_AUTO_RECALC STATS_PERSISTENT STATS_SAMPLE_PAGES TABLESPACE STORAGE UNION"
    " TRANSACTIONAL SECONDARY_ENGINE AUTOEXTEND_SIZE ENGINE_ATTRIBUTE SECONDARY_ENGINE_ATTRIBUTE START SEQUENCE"
    " IETF_QUOTES PAGE_COMPRESSED PAGE_COMPRESSION_LEVEL NODEGROUP"
)


def _is_option(cursor: Cursor, word: str) -> bool:
    return word in _OPTIONS


def _rename(cursor: Cursor, draft: Draft) -> C:
    cursor.expect("RENAME")
    if cursor.take_any("COLUMN", "INDEX", "KEY"):
        return C.ALTER
    _ = cursor.take_any("TO", "AS") or cursor.take_symbol("=")
    draft.tables.append(cursor.table("new_name"))
    return C.RENAME


def _drop(cursor: Cursor, draft: Draft) -> C:
    cursor.expect("DROP")
    if cursor.take_any("INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK"):
        cursor.take("KEY")
        cursor.if_exists()
        if not cursor.done and not cursor.symbol():
            cursor.name()
        return C.ALTER
    draft.destructive = True  # a column, partitions, a period or the history of a versioned table
    if cursor.take("PARTITION"):
        draft.also.add(C.DROP)
        return C.PARTITION
    if cursor.sees("SYSTEM", "VERSIONING") or cursor.sees("PERIOD", "FOR"):
        return C.ALTER
    cursor.take("COLUMN")
    cursor.if_exists()
    cursor.name()
    return C.ALTER


def _exchange(cursor: Cursor, draft: Draft) -> C:
    """EXCHANGE PARTITION p WITH TABLE t."""
    cursor.expect("EXCHANGE", "PARTITION")
    cursor.name()
    cursor.expect("WITH", "TABLE")
    draft.tables.append(cursor.table("target"))
    return C.PARTITION


def _convert(cursor: Cursor, draft: Draft) -> C:
    """MariaDB: CONVERT PARTITION p TO TABLE t, CONVERT TABLE t TO PARTITION p …"""
    cursor.expect("CONVERT")
    if cursor.take("PARTITION"):
        cursor.name()
        cursor.expect("TO", "TABLE")
        draft.tables.append(cursor.table("new_name"))
    else:
        cursor.expect("TABLE")
        draft.tables.append(cursor.table("target"))
        cursor.expect("TO", "PARTITION")
        draft.also.add(C.DROP)  # the table is gone, its rows are in the partition
    return C.PARTITION
