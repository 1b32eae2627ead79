"""Grants: what the site's account lacks, as the GRANT statement that gives it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...model import META_SCHEMA, quote_name
from .finding import Finding, error, warning
from .probe import Probe

__all__ = ["SCHEMA_PRIVILEGES", "check_applier_grants", "check_meta_grants", "check_reader_grants", "check_source_grants"]

SOURCE_PRIVILEGES = {
    "mysql": ("REPLICATION SLAVE", "REPLICATION CLIENT"),
    "mariadb": ("REPLICATION SLAVE", "BINLOG MONITOR"),
}
_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_STRUCTURE = (
    "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW", "SHOW VIEW", "TRIGGER",
    "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "LOCK TABLES",
)  # fmt: skip
SCHEMA_PRIVILEGES = (*_ROWS, *_STRUCTURE)
"""What an applier needs in each replicated database: the rows, and the DDL it may have to apply."""
_META = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX")
_SYNONYMS = {
    "BINLOG MONITOR": {"REPLICATION CLIENT"},
    "REPLICATION CLIENT": {"BINLOG MONITOR"},
    "REPLICATION SLAVE": {"REPLICATION REPLICA"},
}
_GRANT = re.compile(r"GRANT (?P<list>.+?) ON (?:TABLE |FUNCTION |PROCEDURE )?(?P<object>\S+) TO ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Grant:
    """Privileges on `*.*` (schema empty) or on databases by a LIKE pattern."""

    privileges: frozenset[str]
    schema: str

    def gives(self, privilege: str) -> bool:
        names = {privilege, *_SYNONYMS.get(privilege, ())}
        return bool(names & self.privileges) or "ALL PRIVILEGES" in self.privileges or "ALL" in self.privileges


def _grants(probe: Probe) -> list[_Grant]:
    query = "SHOW GRANTS"
    if not probe.is_mariadb:
        roles = str(probe.value("SELECT CURRENT_ROLE()") or "NONE")
        query = "SHOW GRANTS FOR CURRENT_USER()" + ("" if roles == "NONE" else f" USING {roles}")
    found = []
    for (line,) in probe.rows(query):
        match = _GRANT.match(str(line))
        if not match:
            continue  # a role
        schema = _schema_of(match["object"])
        if schema is not None:
            privileges = frozenset(part.strip().upper() for part in re.sub(r"\([^)]*\)", "", match["list"]).split(","))
            found.append(_Grant(privileges, schema))
    return found


def _schema_of(target: str) -> str | None:
    """``*.*`` as '', ``db.*`` as its pattern; None for single tables, which cover too little."""
    if target == "*.*":
        return ""
    match = re.fullmatch(r"`?((?:[^`]|``)+?)`?\.\*", target)
    return match[1].replace("``", "`") if match else None


def _covers(pattern: str, schema: str) -> bool:
    """Whether a database pattern of a grant (LIKE's wildcards) means that database."""
    if not pattern:
        return True
    text = ""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            at += 1
            text += re.escape(pattern[at])
        else:
            text += {"%": ".*", "_": "."}.get(char, re.escape(char))
        at += 1
    return re.fullmatch(text, schema, re.IGNORECASE | re.DOTALL) is not None


def _missing(grants: Iterable[_Grant], wanted: Iterable[str], schema: str | None) -> list[str]:
    usable = [g for g in grants if not g.schema or (schema is not None and _covers(g.schema, schema))]
    return [privilege for privilege in wanted if not any(g.gives(privilege) for g in usable)]


def check_source_grants(probe: Probe) -> Iterator[Finding]:
    """Reading the binlog."""
    missing = _missing(_grants(probe), SOURCE_PRIVILEGES[probe.flavor], None)
    if missing:
        words = ", ".join(missing)
        yield error(probe.name, f"{probe.account} lacks {words}", f"GRANT {words} ON *.* TO {probe.account}")


def check_meta_grants(probe: Probe) -> Iterator[Finding]:
    """Our own tables."""
    missing = _missing(_grants(probe), _META, META_SCHEMA)
    if missing:
        what = f"{probe.account} lacks {', '.join(missing)} on the schema {META_SCHEMA}, which holds our own tables"
        yield error(probe.name, what, f"GRANT ALL ON {quote_name(META_SCHEMA)}.* TO {probe.account}")


def check_applier_grants(probe: Probe, schemas: Iterable[str]) -> Iterator[Finding]:
    """Writing rows and structure of the replicated databases."""
    grants = _grants(probe)
    wanted = (*SCHEMA_PRIVILEGES, *(("DELETE HISTORY",) if probe.is_mariadb else ()))
    for schema in schemas:
        missing = _missing(grants, wanted, schema)
        if missing:
            words = ", ".join(missing)
            what = f"{probe.account} lacks {words} on the database {schema}"
            yield error(probe.name, what, f"GRANT {words} ON {_pattern(schema)}.* TO {probe.account}")
    if _missing(grants, ("PROCESS",), None):
        what = f"{probe.account} lacks PROCESS: whether an interrupted swap of tables took effect cannot be known, and halts"
        yield warning(probe.name, what, f"GRANT PROCESS ON *.* TO {probe.account}")


def check_reader_grants(probe: Probe, schemas: Iterable[str]) -> Iterator[Finding]:
    """Reading the origin's tables: for snapshots, for proof, and for this very check."""
    grants = _grants(probe)
    for schema in schemas:
        if _missing(grants, ("SELECT",), schema):
            what = f"{probe.account} lacks SELECT on the database {schema}: its tables cannot be loaded or compared"
            yield warning(probe.name, what, f"GRANT SELECT ON {_pattern(schema)}.* TO {probe.account}")


def _pattern(schema: str) -> str:
    """A database's name in a GRANT, where `_` and `%` are wildcards."""
    return quote_name(schema.replace("_", "\\_").replace("%", "\\%"))
