"""Guards triggers: a guarded trigger does nothing in the applier's sessions, where its effects arrive as rows anyhow.

The whole body stands in ``IF @replicator_applying IS NULL THEN … END IF``; the applier's sessions set that variable.
"""

from __future__ import annotations

from ..errors import DdlError, DecodeError
from .classify import classify_with
from .cursor import Cursor, words
from .statement import Statement, StatementClass
from .tokens import Kind, Syntax

__all__ = ["APPLYING", "disable_event", "guard_trigger", "is_guarded"]

APPLYING = "@replicator_applying"
"""The user variable that the applier's sessions set, and guards look at."""

_HEAD = ("IF", "@", "REPLICATOR_APPLYING", "IS", "NULL", "THEN")
_BEGINS_STATEMENT = words("THEN ELSE BEGIN DO LOOP REPEAT ATOMIC")


def guard_trigger(statement: Statement) -> bytes:
    """The CREATE TRIGGER with its body guarded, all else as it was; unchanged if it is guarded already.

    Raises DdlError for anything but a CREATE TRIGGER.
    """
    if statement.body < 0:
        raise DdlError(
            f"a {statement.kind or 'statement'} cannot be guarded",
            remedy="only CREATE TRIGGER has a body to guard: set ddl.trigger to ignore or halt",
        )
    from .rewrite import expand_comments

    # A versioned comment may hold the body's end: first make one text of it.
    plain = classify_with(expand_comments(statement), statement.syntax, statement.default_schema)
    if plain.cls is not StatementClass.TRIGGER:
        raise DdlError("the trigger cannot be read", remedy="create it by hand at the target, with a guarded body")
    cursor = Cursor(plain.text, plain.syntax, plain.default_schema)
    body = plain.text[plain.body : cursor.tokens[-1].end]
    if is_guarded(body, plain.syntax):
        return statement.text
    head = plain.text[: plain.body]
    return head + b"IF " + APPLYING.encode() + b" IS NULL THEN " + body + b"; END IF"


def is_guarded(body: bytes, syntax: Syntax | None = None) -> bool:
    """Whether a trigger's body runs nothing while applying; ``ACTION_STATEMENT`` of information_schema.TRIGGERS is one.

    Only what is certain: one IF with exactly our condition and without ELSE, around everything, or that in BEGIN … END.
    """
    try:
        cursor = Cursor(body, syntax or Syntax(), "")
    except DecodeError:
        return False
    plain = (Kind.WORD, Kind.SYMBOL)
    tokens = [t.text.decode("latin-1").upper() if t.kind in plain else f"({t.kind.value})" for t in cursor.tokens]
    if tokens[:1] == ["BEGIN"] and tokens[-1:] == ["END"]:
        tokens = tokens[1:-1]
        while tokens[-1:] == [";"]:
            tokens.pop()
    return tuple(tokens[: len(_HEAD)]) == _HEAD and _one_if(tokens)


def _one_if(tokens: list[str]) -> bool:
    """Whether the IF at the start ends with the tokens' end, and has no ELSE of its own."""
    blocks: list[str] = ["IF"]
    at = 1
    while at < len(tokens):
        word, before = tokens[at], tokens[at - 1]
        follows = tokens[at + 1] if at + 1 < len(tokens) else ""
        if word == "END":
            kind = follows if follows in ("IF", "CASE", "LOOP", "WHILE", "REPEAT") else ""
            opened = blocks.pop()
            # END closes a BEGIN or a CASE expression; the others name what they close.
            if opened != kind and (kind or opened not in ("BEGIN", "CASE")):
                return False
            at += 2 if kind else 1
            if not blocks:
                return at == len(tokens)
            continue
        begins = before in _BEGINS_STATEMENT or before in (";", ":")
        if word in ("CASE", "BEGIN") or (begins and word in ("IF", "LOOP", "WHILE", "REPEAT")):
            blocks.append(word)
        elif word in ("ELSE", "ELSEIF", "ELSIF") and blocks == ["IF"]:
            return False
        at += 1
    return False


def disable_event(statement: Statement) -> bytes:
    """A CREATE EVENT that makes the event disabled: events run at one site only. Raises DdlError for anything else."""
    if statement.kind != "CREATE EVENT":
        raise DdlError(f"a {statement.kind} cannot be disabled", remedy="set ddl.event to ignore or halt")
    from .rewrite import expand_comments

    text = expand_comments(statement)
    cursor = Cursor(text, statement.syntax, statement.default_schema)
    do = next((i for i, t in enumerate(cursor.tokens) if _is(t.text, b"DO") and t.kind is Kind.WORD and i > 3), None)
    if do is None:
        raise DdlError("the event has no DO", remedy="create it by hand at the target, disabled")
    at, end = cursor.tokens[do].start, cursor.tokens[do].start
    for i in range(4, do):
        token = cursor.tokens[i]
        if token.kind is not Kind.WORD:
            continue
        if _is(token.text, b"ENABLE"):
            at, end = token.start, token.end
            break
        if _is(token.text, b"DISABLE"):
            return text
        if _is(token.text, b"COMMENT"):
            at = end = token.start
            break
    return text[:at] + b"DISABLE " + text[end:]


def _is(text: bytes, word: bytes) -> bool:
    return text.upper() == word
