"""Runs a case: a folder ``tests/cases/NAME`` with ``schema.sql``, ``run.sql`` and, if it likes, ``expect.sql``.

``schema.sql`` and ``run.sql`` run at the origin, in a database of the case's own; then the target must hold the same, as
``dev.judge`` says, and each query of ``expect.sql`` must answer the same there (or what is written below it). A new case
needs no Python. Lines that start with ``-- word:`` are directions:

| direction | means |
|---|---|
| ``-- about: TEXT`` | what the case shows; the first line of schema.sql |
| ``-- servers: mysql mariadb`` | flavors whose servers have what the case uses; default: these two |
| ``-- pairs: mysql>mysql`` | only these combinations of origin and target |
| ``-- structure: off`` | the judge looks at rows only |
| ``-- slow: TEXT`` | why it is left out of quick runs |
| ``-- session: NAME`` | what follows runs in that session (the first is ``main``), until the next such line |
| ``-- only: mysql`` | the next statement runs only where the origin is of that flavor |
| ``-- error: 1062`` | the next statement must fail with this code |
| ``-- = a\\|b`` | below a query of expect.sql: a row of the answer, columns separated by \\| |

``$DB`` stands for the case's database (``$DB_2`` and so on may be used too), ``$DIR`` for its folder, ``$UUID`` for a UUID that
is new in each run. ``DELIMITER`` works as in the client, and what stands between two is sent as one query. Each session
commits by itself unless it says otherwise.

A case with a ``pair.yaml`` gets a pair of its own: ``options`` are keys of the pair in the configuration, ``compare`` the tables
that must be equal and ``rename`` their names at the target (for ``dev.judge``), ``prepare_target`` statements for the target.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pymysql
import yaml
from pymysql.constants import CLIENT
from pymysql.converters import encoders

from dev import DatabaseServer
from dev.judge import compare

__all__ = ["CASES", "FLAVORS", "Case", "cases", "clear", "differences", "parse", "play"]

CASES = Path(__file__).parent / "cases"
FLAVORS = ("mysql", "mariadb")
_RUN = str(uuid.uuid4())
_DIRECTION = re.compile(r"--\s*(about|servers|pairs|structure|slow|session|only|error|=):?\s?(.*)")


@dataclass(slots=True)
class Step:
    """One statement, and what is special about it."""

    sql: str
    session: str = "main"
    only: tuple[str, ...] = ()
    error: int | None = None
    answer: list[str] | None = None
    line: int = 0


@dataclass(frozen=True)
class Case:
    """One folder."""

    folder: Path
    about: str
    servers: tuple[str, ...]
    pairs: tuple[str, ...]
    structure: bool
    slow: str
    steps: tuple[Step, ...] = field(repr=False)
    queries: tuple[Step, ...] = field(repr=False)
    pair: Mapping[str, Any] | None = None
    """What pair.yaml says."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def database(self) -> str:
        """The database that it runs in."""
        return f"{'case' if self.pair is None else 'own'}_{self.name}"

    def fill(self, text: str) -> str:
        """Put in what stands for something else."""
        return text.replace("$DIR", str(self.folder)).replace("$DB", self.database).replace("$UUID", _RUN)

    def runs_on(self, origin: str, target: str) -> bool:
        """Whether it is made for this combination of flavors."""
        if self.pairs:
            return f"{origin}>{target}" in self.pairs
        servers = {*self.servers, "mysql97"} if "mysql" in self.servers else self.servers  # the newer one has it all
        return origin in servers and target in servers


def cases() -> list[Case]:
    """All cases, by name."""
    return [load(folder) for folder in sorted(CASES.iterdir()) if (folder / "schema.sql").exists()]


def load(folder: Path) -> Case:
    """Read one folder."""
    schema = (folder / "schema.sql").read_text()
    directions = dict(match.groups() for line in schema.splitlines() if (match := _DIRECTION.match(line)))
    if not directions.get("about"):
        raise ValueError(f"{folder}/schema.sql does not say what it is -- about:")
    steps = parse(schema) + parse((folder / "run.sql").read_text())
    expect, pair = folder / "expect.sql", folder / "pair.yaml"
    case = Case(
        folder=folder,
        about=directions["about"].strip(),
        servers=tuple(directions.get("servers", "mysql mariadb").split()),
        pairs=tuple(directions.get("pairs", "").split()),
        structure=directions.get("structure", "on").strip() != "off",
        slow=directions.get("slow", "").strip(),
        steps=tuple(steps),
        queries=tuple(parse(expect.read_text()) if expect.exists() else []),
    )
    if pair.exists():
        case = replace(case, pair={})
        return replace(case, pair=yaml.safe_load(case.fill(pair.read_text())))
    return case


def parse(text: str) -> list[Step]:
    """Split a script into statements."""
    steps: list[Step] = []
    session, only, error = "main", (), None
    delimiter, part, begun = ";", "", 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not part.strip():
            part, begun = "", number
            direction = _DIRECTION.match(line)
            if direction:
                word, rest = direction[1], direction[2].rstrip("\n")
                if word == "session":
                    session = rest.strip()
                elif word == "only":
                    only = tuple(rest.split())
                elif word == "error":
                    error = int(rest)
                elif word == "=":
                    steps[-1].answer = [*(steps[-1].answer or []), rest]
                continue
            if line.upper().startswith("DELIMITER "):
                delimiter = line.split()[1]
                continue
            if line.startswith(("-- ", "--\n")):
                continue
        part += line
        while (end := _end(part, delimiter)) is not None:
            statement, part = part[:end].strip(), part[end + len(delimiter) :]
            if statement:
                steps.append(Step(statement, session, only, error, line=begun))
                only, error = (), None
    if part.strip():
        raise ValueError(f"line {begun}: a statement without its {delimiter}: {part.strip()[:80]}")
    return steps


def _end(text: str, delimiter: str) -> int | None:
    """Where the first statement of ``text`` ends; None when it goes on."""
    at = 0
    while at < len(text):
        char = text[at]
        if char in "'\"`":
            at = _closing(text, at)
            if at < 0:
                return None
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                return None
            at = end + 2
        elif char == "#" or text.startswith("-- ", at):
            end = text.find("\n", at)
            if end < 0:
                return None
            at = end + 1
        elif text.startswith(delimiter, at):
            return at
        else:
            at += 1
    return None


def _closing(text: str, at: int) -> int:
    """Behind the quoted text that opens at ``at``; -1 when it does not close."""
    quote, at = text[at], at + 1
    while at < len(text):
        if text[at] == "\\" and quote != "`":
            at += 2
        elif text[at] == quote:
            if text[at + 1 : at + 2] != quote:
                return at + 1
            at += 2
        else:
            at += 1
    return -1


def clear(case: Case, server: DatabaseServer) -> None:
    """Drop what an earlier run left."""
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for name in (case.database, *(f"{case.database}_{i}" for i in (2, 3))):
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")


def play(case: Case, server: DatabaseServer) -> None:
    """Run the case's statements at the origin, in its database. Raises AssertionError where one does not do as said."""
    sessions: dict[str, Any] = {}
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{case.database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")

    def session(name: str) -> Any:
        if name not in sessions:
            options = {"autocommit": True, "local_infile": True, "client_flag": CLIENT.MULTI_STATEMENTS}
            sessions[name] = server.connect(database=case.database, **options)
        return sessions[name]

    try:
        for step in case.steps:
            if not step.only or server.flavor in step.only:
                _run(case, step, session(step.session))
    finally:
        for connection in sessions.values():
            connection.close()


def _run(case: Case, step: Step, connection: Any) -> None:
    sql = case.fill(step.sql)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.encode())  # no parameters, so that % means itself
            while cursor.nextset():
                pass
    except pymysql.MySQLError as error:
        if error.args[0] == step.error:
            return
        raise AssertionError(f"{case.name}, line {step.line}: {error}: {sql[:200]}") from error
    if step.error is not None:
        raise AssertionError(f"{case.name}, line {step.line}: no error {step.error}: {sql[:200]}")


def differences(case: Case, origin: DatabaseServer, target: DatabaseServer) -> list[str]:
    """What is not at the target as it should be."""
    own = case.pair or {}
    tables = own.get("compare", [f"{case.database}.*", f"{case.database}_?.*"])
    found = compare(origin, target, tables, structure=case.structure, rename=own.get("rename"))
    for step in case.queries:
        if step.only and origin.flavor not in step.only:
            continue
        there = _answer(case, step, target)
        wanted = step.answer if step.answer is not None else _answer(case, step, origin)
        if there != wanted:
            found.append(f"expect.sql, line {step.line}: {step.sql}: wanted {wanted}, the target says {there}")
    return found


def _answer(case: Case, step: Step, server: DatabaseServer) -> list[str]:
    sql = case.fill(step.sql)
    options = {"charset": "utf8mb4", "init_command": "SET time_zone='+00:00'", "conv": encoders}
    try:
        with server.connect(database=case.database, **options) as connection, connection.cursor() as cursor:
            cursor.execute(sql.encode())
            return ["|".join(_cell(value) for value in row) for row in _rows(cursor)]
    except pymysql.MySQLError as error:
        return [f"error {error.args[0]}: {error.args[1]}"]


def _rows(cursor: Any) -> Iterator[Sequence[Any]]:
    yield from cursor.fetchall()


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return value.decode("utf8", "backslashreplace") if isinstance(value, bytes) else str(value)
