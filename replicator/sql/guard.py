"""Guards triggers: a guarded trigger does nothing in the applier's sessions, where its effects arrive as rows anyhow.

The whole body stands in ``IF @replicator_applying IS NULL THEN … END IF``; the applier's sessions set that variable.
"""

from __future__ import annotations

from ..errors import DdlError, DecodeError
from .classify import classify_with
from .cursor import Cursor, words
from .expand import expand_comments
from .statement import Statement, StatementClass
from .tokens import Kind, Syntax

__all__ = ["APPLYING", "disable_event", "guard_trigger", "is_guarded"]

APPLYING = "@replicator_applying"
"""The user variable that the applier's sessions set, and guards look at."""

_HEAD = ("IF", "@", "REPLICATOR_APPLYING", "IS", "NULL", "THEN")
_EXPRESSION = "CASE expression"
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
        if before in (".", "@"):
            at += 1  # part of a name
            continue
        if word == "END":
            opened = blocks.pop()
            # END alone closes a BEGIN or a CASE expression; the others name what they close.
            kind = "" if opened in ("BEGIN", _EXPRESSION) else opened
            if kind and follows != kind:
                return False
            at += 2 if kind else 1
            if not blocks:
                return at == len(tokens)
            continue
        begins = (before in _BEGINS_STATEMENT or before in (";", ":")) and blocks[-1] != _EXPRESSION
        if word == "BEGIN" or (begins and word in ("IF", "CASE", "LOOP", "WHILE", "REPEAT")):
            blocks.append(word)
        elif word == "CASE":
            blocks.append(_EXPRESSION)
        elif word in ("ELSE", "ELSEIF", "ELSIF") and blocks == ["IF"]:
            return False
        at += 1
    return False


def disable_event(statement: Statement) -> bytes:
    """A CREATE or ALTER EVENT that leaves the event disabled: events run at one site only.

    An ALTER that does not say whether it is enabled stays. Raises DdlError for anything else.
    """
    text = expand_comments(statement)
    plain = classify_with(text, statement.syntax, statement.default_schema)
    if plain.kind not in ("CREATE EVENT", "ALTER EVENT") or plain.object is None:
        raise DdlError(f"a {statement.kind or 'statement'} is no event", remedy="set ddl.event to ignore or halt")
    at = -1  # where DISABLE must stand, if it is not there yet
    for token in Cursor(text, plain.syntax, plain.default_schema).tokens:
        if token.kind is not Kind.WORD or token.start < plain.object.end:
            continue
        word = token.text.upper()
        if word == b"ENABLE":
            return text[: token.start] + b"DISABLE" + text[token.end :]
        if word == b"DISABLE":
            return text
        if word == b"COMMENT" and at < 0:
            at = token.start
        if word == b"DO":
            at = token.start if at < 0 else at
            break
    if plain.kind == "ALTER EVENT":
        return text
    if at < 0:
        raise DdlError("the event has no DO", remedy="create it by hand at the target, disabled")
    return text[:at] + b"DISABLE " + text[at:]
