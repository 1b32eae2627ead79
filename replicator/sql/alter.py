"""ALTER TABLE: each of its actions, so that renames, removals and further tables in it are seen, and unknown ones stop."""

from __future__ import annotations

from .cursor import Cursor, Draft, Unclear, words
from .statement import StatementClass as C
from .tables import pass_token
from .tokens import Kind

__all__ = ["alter_table"]

_TABLESPACE = "it needs a tablespace file of the origin"

# Words that may begin an action and neither name another table nor remove values.
_PLAIN = words(
    "ALTER CHANGE MODIFY CONVERT ENABLE DISABLE FORCE ORDER DEFAULT CHARACTER CHARSET COLLATE WITH WITHOUT"
    " SECONDARY_LOAD SECONDARY_UNLOAD COMMENT"
)
_HOW = words("ALGORITHM LOCK WAIT NOWAIT")
_PARTITION = words("COALESCE REORGANIZE REBUILD ANALYZE CHECK OPTIMIZE REPAIR REMOVE PARTITION")
_OPTIONS = words(
    "ENGINE TYPE AUTO_INCREMENT AVG_ROW_LENGTH MAX_ROWS MIN_ROWS CHECKSUM TABLE_CHECKSUM PAGE_CHECKSUM COMPRESSION"
    " CONNECTION DATA INDEX DELAY_KEY_WRITE ENCRYPTION ENCRYPTED ENCRYPTION_KEY_ID INSERT_METHOD KEY_BLOCK_SIZE"
    " PACK_KEYS PASSWORD ROW_FORMAT STATS_AUTO_RECALC STATS_PERSISTENT STATS_SAMPLE_PAGES TABLESPACE STORAGE UNION"
    " TRANSACTIONAL SECONDARY_ENGINE AUTOEXTEND_SIZE ENGINE_ATTRIBUTE SECONDARY_ENGINE_ATTRIBUTE START SEQUENCE"
    " IETF_QUOTES PAGE_COMPRESSED PAGE_COMPRESSION_LEVEL NODEGROUP"
)
_BEGINS = _PLAIN | _HOW | _PARTITION | words("ADD DROP RENAME TRUNCATE EXCHANGE DISCARD IMPORT")


def alter_table(cursor: Cursor, draft: Draft) -> None:
    """Behind ``ALTER [ONLINE|OFFLINE] [IGNORE] TABLE``."""
    draft.kind = "ALTER TABLE"
    draft.if_exists = cursor.if_exists()
    draft.tables.append(cursor.table("target"))
    cursor.wait()
    kinds: set[C] = set()
    ordering = False
    while not cursor.done:
        word = cursor.word()
        if not ordering or word in _BEGINS:  # else: a further column of ORDER BY
            kinds.add(_action(cursor, draft))
        ordering = ordering or word == "ORDER"
        _rest_of_action(cursor, draft, kinds)
    # "ALTER TABLE t" alone, and hints about how to do it, are valid and change nothing.
    kinds.discard(C.ADMIN)
    draft.cls = kinds.pop() if len(kinds) == 1 else C.ALTER
    draft.also |= kinds


def _rest_of_action(cursor: Cursor, draft: Draft, kinds: set[C]) -> None:
    """Pass to behind the next comma outside of parentheses."""
    depth = 0
    while not cursor.done:
        symbol = cursor.symbol()
        if symbol == ";":
            raise Unclear(f"a second statement begins {cursor.place()}")
        if symbol == "," and depth == 0:
            cursor.at += 1
            if cursor.done:
                raise Unclear("an action is missing at its end")
            return
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            raise Unclear(f"a parenthesis too much {cursor.place()}")
        if depth == 0 and (cursor.sees("PARTITION", "BY") or cursor.sees("REMOVE", "PARTITIONING")):
            kinds.add(C.PARTITION)  # these may follow table options without a comma
            draft.actions.append(f"{cursor.word()} {cursor.word(1)}")
        pass_token(cursor, draft)
    if depth:
        raise Unclear("a parenthesis is never closed")


def _action(cursor: Cursor, draft: Draft) -> C:
    """Take the words that tell what one action does; its caller passes over the rest."""
    word = cursor.word()
    if word == "ADD":
        return _add(cursor, draft)
    if word == "DROP":
        return _drop(cursor, draft)
    if word == "RENAME":
        return _rename(cursor, draft)
    if word in ("DISCARD", "IMPORT"):
        return _tablespace(cursor, draft)
    if word == "TRUNCATE":
        cursor.expect("TRUNCATE", "PARTITION")
        _names(cursor)
        draft.destructive = True
        draft.also.add(C.TRUNCATE)
        draft.actions.append("TRUNCATE PARTITION")
        return C.PARTITION
    if word == "EXCHANGE":
        cursor.expect("EXCHANGE", "PARTITION")
        cursor.name()
        cursor.expect("WITH", "TABLE")
        draft.tables.append(cursor.table("target"))
        draft.actions.append("EXCHANGE PARTITION")
        return C.PARTITION
    if cursor.sees("CONVERT", "PARTITION") or cursor.sees("CONVERT", "TABLE"):
        return _convert(cursor, draft)
    if word in _PARTITION:
        if cursor.word(1) not in ("PARTITION", "PARTITIONING", "BY"):
            raise Unclear(f"an unknown action stands {cursor.place()}")
        if cursor.word(1) in ("BY", "PARTITIONING"):
            return C.PARTITION  # its caller notes it
        cursor.at += 2
        if word != "COALESCE":
            _names(cursor)
        draft.actions.append(f"{word} PARTITION")
        return C.PARTITION
    if word in _HOW:
        return C.ADMIN
    if word in _PLAIN or word in _OPTIONS or cursor.symbol(1) == "=":
        draft.actions.append(word if word in ("CHANGE", "MODIFY", "CONVERT") else "OPTION")
        return C.ALTER
    raise Unclear(f"an unknown action stands {cursor.place()}")


def _names(cursor: Cursor) -> None:
    """Pass the names of partitions, with commas between them; REORGANIZE may have none."""
    cursor.take_any("NO_WRITE_TO_BINLOG", "LOCAL")
    if cursor.done or cursor.symbol():
        return
    cursor.name()
    while cursor.take_symbol(","):
        cursor.name()


def _add(cursor: Cursor, draft: Draft) -> C:
    """ADD of a column, index, constraint, partition, period or versioning."""
    cursor.expect("ADD")
    if cursor.take("PARTITION"):
        cursor.take_any("NO_WRITE_TO_BINLOG", "LOCAL")
        cursor.if_not_exists()
        draft.actions.append("ADD PARTITION" if cursor.symbol() == "(" else "ADD UNNAMED")
        return C.PARTITION
    if cursor.sees("SYSTEM", "VERSIONING") or cursor.sees("PERIOD", "FOR"):
        draft.actions.append(f"ADD {cursor.word()}")
        return C.ALTER
    named = False
    constraint = cursor.take("CONSTRAINT")
    if constraint:
        cursor.if_not_exists()
        if cursor.word() not in ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK"):
            cursor.name()
            named = True
    kind = cursor.take_any("PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "INDEX", "KEY", "FULLTEXT", "SPATIAL")
    if not kind and cursor.word() == "VECTOR" and cursor.word(1) in ("INDEX", "KEY"):
        kind = cursor.take_any("VECTOR")
    if constraint and not kind:
        raise Unclear(f"an unknown constraint stands {cursor.place()}")
    if kind:
        cursor.take_any("INDEX", "KEY")
        cursor.if_not_exists()
        named = named or _name_ahead(cursor)
        draft.actions.append(_ADDED.get(kind, "ADD INDEX") if named or kind == "PRIMARY" else "ADD UNNAMED")
    else:
        draft.actions.append("ADD COLUMN")
        # A column's name may be any word: pass it, so that it is not taken for another thing.
        cursor.take("COLUMN")
        cursor.if_not_exists()
        if cursor.symbol() != "(":
            cursor.name()
    return C.ALTER


_ADDED = {"PRIMARY": "ADD PRIMARY KEY", "FOREIGN": "ADD FOREIGN KEY", "CHECK": "ADD CHECK"}


def _name_ahead(cursor: Cursor) -> bool:
    """Whether a name stands before the columns: not where ``(`` or ``USING BTREE`` follows at once."""
    token = cursor.peek()
    if token is None or token.kind not in (Kind.WORD, Kind.NAME):
        return False
    return not (cursor.word() in ("USING", "TYPE") and cursor.word(1) in ("BTREE", "HASH", "RTREE"))


_DROPPED = {"FOREIGN": "DROP FOREIGN KEY", "CONSTRAINT": "DROP CONSTRAINT", "CHECK": "DROP CHECK"}


def _drop(cursor: Cursor, draft: Draft) -> C:
    cursor.expect("DROP")
    kind = cursor.take_any("INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK")
    if kind:
        cursor.take("KEY")
        draft.actions.append(_DROPPED.get(kind, "DROP INDEX"))
        cursor.if_exists()
        if kind != "PRIMARY":
            cursor.name()
        return C.ALTER
    draft.destructive = True  # a column, partitions, a period or the history of a versioned table
    if cursor.take("PARTITION"):
        draft.also.add(C.DROP)
        draft.actions.append("DROP PARTITION")
        cursor.if_exists()
        _names(cursor)
        return C.PARTITION
    if cursor.sees("SYSTEM", "VERSIONING") or cursor.sees("PERIOD", "FOR"):
        draft.actions.append(f"DROP {cursor.word()}")
        return C.ALTER
    cursor.take("COLUMN")
    cursor.if_exists()
    cursor.name()
    draft.actions.append("DROP COLUMN")
    return C.ALTER


def _rename(cursor: Cursor, draft: Draft) -> C:
    cursor.expect("RENAME")
    part = cursor.take_any("COLUMN", "INDEX", "KEY")
    if part:
        draft.actions.append("RENAME COLUMN" if part == "COLUMN" else "RENAME INDEX")
        return C.ALTER
    _ = cursor.take_any("TO", "AS") or cursor.take_symbol("=")
    draft.tables.append(cursor.table("new_name"))
    draft.actions.append("RENAME TO")
    return C.RENAME


def _tablespace(cursor: Cursor, draft: Draft) -> C:
    """DISCARD and IMPORT, of the table's file or a partition's."""
    verb = cursor.take_any("DISCARD", "IMPORT")
    draft.actions.append(f"{verb} TABLESPACE")
    draft.destructive = draft.destructive or verb == "DISCARD"
    draft.unrepeatable = _TABLESPACE
    if not cursor.take("PARTITION"):
        return C.ALTER
    _names(cursor)
    return C.PARTITION


def _convert(cursor: Cursor, draft: Draft) -> C:
    """MariaDB: CONVERT PARTITION p TO TABLE t, CONVERT TABLE t TO PARTITION p …"""
    cursor.expect("CONVERT")
    if cursor.take("PARTITION"):
        draft.actions.append("CONVERT PARTITION")
        cursor.name()
        cursor.expect("TO", "TABLE")
        draft.tables.append(cursor.table("new_name"))
    else:
        draft.actions.append("CONVERT TABLE")
        cursor.expect("TABLE")
        draft.tables.append(cursor.table("target"))
        cursor.expect("TO", "PARTITION")
        draft.also.add(C.DROP)  # the table is gone; its rows are in the partition
    return C.PARTITION
