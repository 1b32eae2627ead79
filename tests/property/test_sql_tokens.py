"""Whatever the bytes are: the tokenizer loses none, the classifier raises nothing and stays quick."""
# ruff: noqa: E501, RUF100  the pieces stand in rows

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicator.errors import DecodeError
from replicator.sql.classify import classify_with
from replicator.sql.guard import is_guarded
from replicator.sql.rewrite import expand_comments
from replicator.sql.tokens import Syntax, tokenize

CHARSETS = ["utf8mb4", "latin1", "gbk", "gb18030", "big5", "sjis", "cp932", "ujis", "euckr", "cp1251", "ascii"]
PIECES = [
    *(b"' \" ` /* */ /*! /*!50001 /*!99999 /*M!100100 -- # ; ( ) , . @ @@ = \\ $$ $a$ \n \x00 \xa0 \xd5 \xd5\\ \xe4 0x1F 1e5 1. .5 x'0a' N'n'"
      b" b'01' _utf8mb4").split(b" "),
    b" ", b"-- ", b"\xf0\x9f\x98\x80", b"''", b"``",
    *(b"CREATE ALTER DROP RENAME TRUNCATE TABLE VIEW TRIGGER INDEX IF EXISTS NOT OR REPLACE LIKE SELECT FROM JOIN WITH AS TO ADD COLUMN"
      b" PARTITION EXCHANGE REFERENCES UNION DEFINER DATABASE t u s ON FOR EACH ROW BEFORE INSERT BEGIN END THEN CASE ELSE WAIT SET"
      b" STATEMENT PROCEDURE EVENT DO REMOVE PARTITIONING BY CONVERT DISCARD CONSTRAINT KEY").split(b" "),
]  # fmt: skip

syntaxes = st.builds(
    Syntax,
    flavor=st.sampled_from(["mysql", "mariadb"]),
    version=st.sampled_from([50700, 80031, 90100, 101106, 999_999]),
    ansi_quotes=st.booleans(),
    no_backslash_escapes=st.booleans(),
    charset=st.sampled_from(CHARSETS),
    lower_names=st.booleans(),
)
statements = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=30).map(b" ".join),
    st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join),
)


@settings(max_examples=1500, deadline=None)
@given(statements, syntaxes)
@example(b"/*!50001 a /* b */ c */", Syntax())
@example(b"'\xd5\\'", Syntax(charset="gbk"))
def test_the_tokens_joined_are_the_statement(statement: bytes, syntax: Syntax) -> None:
    """No byte is lost or moved; what cannot be split raises DecodeError and nothing else."""
    with contextlib.suppress(DecodeError):
        tokens = tokenize(statement, syntax)
        assert b"".join(token.text for token in tokens) == statement
        at = 0
        for token in tokens:
            assert token.start == at and token.text
            at = token.end


@settings(max_examples=2500, deadline=None)
@given(statements, syntaxes)
def test_no_statement_makes_the_classifier_raise(statement: bytes, syntax: Syntax) -> None:
    """An answer for all bytes; names lie where they say; an unknown statement says why."""
    got = classify_with(statement, syntax, "d")
    assert bool(got.reason) == (got.cls == "unknown")
    for table in got.tables:
        assert 0 <= table.start < table.end <= len(statement)
        assert table.schema
    is_guarded(statement, syntax)


@settings(max_examples=1000, deadline=None)
@given(statements, syntaxes)
def test_expanding_versioned_comments_changes_no_meaning(statement: bytes, syntax: Syntax) -> None:
    """The expanded statement is the same to the classifier, and has no versioned comment left."""
    before = classify_with(statement, syntax, "d")
    if before.cls == "unknown":
        return
    after = classify_with(expand_comments(before), syntax, "d")
    assert (after.cls, after.tables, after.object, after.schemas) == (before.cls, before.tables, before.object, before.schemas)


@pytest.mark.parametrize("piece", [b"'", b"\\", b"'\\", b"`", b"/*", b"/*!50001 ", b"(", b"a,", b"/*! /* ", b"\xd5", b"0", b"1e", b"$a$", b"WITH a ("])
@pytest.mark.parametrize("charset", ["utf8mb4", "gbk"])
def test_long_nonsense_is_judged_quickly(piece: bytes, charset: str) -> None:
    """No input makes the tokenizer try all ways: a fifth of a megabyte takes seconds at most."""
    started = time.monotonic()
    classify_with(b"CREATE TABLE t AS SELECT " + piece * (200_000 // len(piece)), Syntax(version=90100, charset=charset), "d")
    assert time.monotonic() - started < 20
