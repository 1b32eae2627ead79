"""After a crash in the middle of a DDL statement: did it take effect, may it run again, or must a person look?

Statements are not part of the checkpoint's transaction. So the applier stores, with the intent, a fingerprint of what the
statement touches; when it finds an intent without its checkpoint, it first waits until the intent's connection is gone from
the server (the statement of a dead client goes on), takes the fingerprint anew and asks ``decide``. All here is pure: the
caller runs the queries.

Nothing else was applied in between (DDL is a barrier), so running a statement twice harms only where the second run would do
other than nothing: then either the fingerprint tells, or the verdict is UNCLEAR. What local applications write at a target is
not known here; so what takes rows away is noted as done right behind it (``apply.ddl``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .fingerprint import Fingerprint, FingerprintQuery, fingerprint, fingerprint_queries
from .statement import Statement
from .statement import StatementClass as C

__all__ = [
    "Decision",
    "FingerprintQuery",
    "Verdict",
    "decide",
    "fingerprint",
    "fingerprint_queries",
    "idempotent_errors",
    "rerun_check",
]


class Verdict(enum.StrEnum):
    """What to do with a statement whose intent is there and whose checkpoint is not."""

    RAN = "ran"
    AGAIN = "again"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Decision:
    """``accept``: server errors of the second run that mean that the first one did it. ``reason`` is one sentence."""

    verdict: Verdict
    reason: str
    accept: frozenset[int] = frozenset()


_ANSWERS_TO_NOTHING = (C.UNKNOWN, C.DML, C.SERVER, C.USER, C.TRANSACTION)


def decide(statement: Statement, before: str | None, now: str) -> Decision:
    """Judge by the fingerprint stored with the intent (None: there is none) and the present one."""
    if statement.unrepeatable or statement.cls in _ANSWERS_TO_NOTHING:
        return Decision(Verdict.UNCLEAR, f"nothing tells whether a {statement.kind or 'statement'} of this kind took effect")
    if statement.cls in (C.ADMIN, C.TEMPORARY):
        return Decision(Verdict.AGAIN, "running it twice does no harm")
    if before is None:
        if _harmful_blindly(statement):
            return Decision(Verdict.UNCLEAR, "it may not run twice, and no fingerprint was stored with its intent")
        return Decision(Verdict.AGAIN, "a second run fails or does no harm", idempotent_errors(statement))
    return _compare(statement, Fingerprint(before), Fingerprint(now))


def _compare(statement: Statement, before: Fingerprint, now: Fingerprint) -> Decision:
    verb = statement.kind.split(" ", 1)[0]
    if verb == "DROP" and statement.cls is not C.INDEX:
        return _compare_drop(statement, before, now)
    if statement.kind == "RENAME TABLE":
        return _compare_rename(statement, before, now)
    if "EXCHANGE PARTITION" in statement.actions:
        return _compare_identity(statement, before, now)
    if C.TRUNCATE in statement.classes:
        table = statement.named("target")[0]
        if before.identity(*table) and before.identity(*table) != now.identity(*table):
            return Decision(Verdict.RAN, "the table is another one")
        return Decision(Verdict.AGAIN, "emptying it twice does no harm: nothing was applied in between")
    if before.structures() != now.structures():
        return Decision(Verdict.RAN, "what it changes has changed")
    return Decision(Verdict.AGAIN, "nothing has changed")


def _compare_drop(statement: Statement, before: Fingerprint, now: Fingerprint) -> Decision:
    if not now.any_exists():
        if before.any_exists() or statement.if_exists:
            return Decision(Verdict.RAN, "what it drops is gone")
        return Decision(Verdict.AGAIN, "what it drops was never there")
    if before.structures() == now.structures():
        return Decision(Verdict.AGAIN, "nothing has changed")
    # Several tables, or a database's tables, are not dropped as one everywhere.
    return Decision(Verdict.AGAIN, "a part of it is gone", idempotent_errors(statement))


def _renamed(statement: Statement, tables: dict[tuple[str, str], object]) -> dict[tuple[str, str], object]:
    """What is under which name after the renames; steps without a table are passed over."""
    tables = dict(tables)
    pairs = zip(statement.named("target"), statement.named("new_name"), strict=True)
    for old, new in pairs:
        if old in tables:
            tables[new] = tables.pop(old)
    return tables


def _compare_rename(statement: Statement, before: Fingerprint, now: Fingerprint) -> Decision:
    names = dict.fromkeys(statement.named("target", "new_name"))
    was: dict[tuple[str, str], object] = {name: name for name in names if before.exists(*name)}
    expected = _renamed(statement, was)
    present = {name for name in names if now.exists(*name)}
    if set(expected) == set(was):
        return _compare_identity(statement, before, now)
    if present == set(expected):
        return Decision(Verdict.RAN, "the tables have their new names")
    if present == set(was):
        return Decision(Verdict.AGAIN, "the tables have their old names")
    return Decision(Verdict.UNCLEAR, "some tables have their new names and some their old ones")


def _compare_identity(statement: Statement, before: Fingerprint, now: Fingerprint) -> Decision:
    """Where names are swapped: only InnoDB's numbers tell, and a second run would swap them back."""
    names = [name for name in dict.fromkeys(statement.named("target", "new_name")) if before.exists(*name)]
    if any(not before.identity(*name) or not now.identity(*name) for name in names):
        return Decision(
            Verdict.UNCLEAR,
            "it swaps tables, and nothing shows whether it did: no InnoDB, names outside of ASCII, or no PROCESS privilege",
        )
    if any(before.identity(*name) != now.identity(*name) for name in names):
        return Decision(Verdict.RAN, "the tables have changed places")
    return Decision(Verdict.AGAIN, "the tables are where they were")


def _harmful_blindly(statement: Statement) -> bool:
    """Whether a second run could succeed and do something else than nothing."""
    if statement.kind == "RENAME TABLE":
        olds, news = statement.named("target"), statement.named("new_name")
        return bool(set(olds) & set(news))
    renames = sum(action in ("CHANGE", "RENAME COLUMN", "RENAME INDEX") for action in statement.actions)
    return renames > 1 or any(
        action in ("ADD UNNAMED", "EXCHANGE PARTITION", "COALESCE PARTITION") for action in statement.actions
    )


# --- server errors that say "already so" --------------------------------------------------------------------------------

_BY_KIND: dict[str, tuple[int, ...]] = {
    "CREATE DATABASE": (1007,),
    "DROP DATABASE": (1008,),
    "CREATE TABLE": (1050,),
    "DROP TABLE": (1051,),
    "CREATE VIEW": (1050,),
    "DROP VIEW": (1051, 4092),
    "CREATE SEQUENCE": (1050,),
    "DROP SEQUENCE": (1051, 4091),
    "CREATE INDEX": (1061,),
    "DROP INDEX": (1091,),
    "CREATE TRIGGER": (1359,),
    "DROP TRIGGER": (1360,),
    "CREATE PROCEDURE": (1304,),
    "CREATE FUNCTION": (1304,),
    "CREATE PACKAGE": (1304,),
    "CREATE PACKAGE BODY": (1304,),
    "DROP PROCEDURE": (1305,),
    "DROP FUNCTION": (1305,),
    "DROP PACKAGE": (1305,),
    "DROP PACKAGE BODY": (1305,),
    "CREATE EVENT": (1537,),
    "DROP EVENT": (1539,),
    "RENAME TABLE": (1050, 1146),
}
_BY_ACTION: dict[str, tuple[int, ...]] = {
    "ADD COLUMN": (1060,),
    "DROP COLUMN": (1091,),
    "ADD INDEX": (1061,),
    "DROP INDEX": (1091,),
    "ADD PRIMARY KEY": (1068,),
    "ADD FOREIGN KEY": (1826, 1005, 1022),
    "DROP FOREIGN KEY": (1091,),
    "ADD CHECK": (3822, 1826),
    "DROP CHECK": (3821, 1091),
    "DROP CONSTRAINT": (3940, 1091),
    "RENAME COLUMN": (1054,),
    "RENAME INDEX": (1176,),
    "CHANGE": (1054,),
    "RENAME TO": (1050, 1146),
    "ADD PARTITION": (1517, 1493, 1495),
    "DROP PARTITION": (1507, 1508),
    "REORGANIZE PARTITION": (1507, 1517),
    "REMOVE PARTITIONING": (1505,),
    "ADD SYSTEM": (4135,),
    "DROP SYSTEM": (4124,),
    "CONVERT PARTITION": (1507, 1050),
    "CONVERT TABLE": (1146,),
}


def idempotent_errors(statement: Statement) -> frozenset[int]:
    """The server errors of a second run that mean that the first one took effect; empty where no error could mean that.

    Only for the re-run of a statement whose intent stands without its checkpoint. One such error suffices for an ALTER TABLE
    of many actions: it is done as a whole or not at all.
    """
    if _harmful_blindly(statement):
        return frozenset()
    errors = set(_BY_KIND.get(statement.kind, ()))
    for action in statement.actions:
        errors.update(_BY_ACTION.get(action, ()))
    return frozenset(errors)


def rerun_check(statement: Statement) -> str:
    """For people: how it is found out whether the statement took effect."""
    if statement.unrepeatable or statement.cls in _ANSWERS_TO_NOTHING:
        return "it cannot be found out; look at the target and skip the statement or let it run"
    if statement.kind == "RENAME TABLE" or "EXCHANGE PARTITION" in statement.actions:
        return "which names exist in information_schema.TABLES, and which TABLE_ID of InnoDB each has"
    if C.TRUNCATE in statement.classes:
        return "whether the TABLE_ID of InnoDB changed; a second run does no harm"
    if statement.cls is C.DATABASE:
        return "whether the database exists"
    return "whether the description of what it changes, in information_schema, differs from the one before"
