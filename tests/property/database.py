"""A simulated target: one table behind the interface of ``Session``, with the affected rows and errors that MySQL gives.

It takes the statements that the applier makes for the table ``shop.item`` and for its own tables, each of them literally: another
one is a ``Broken``. A transaction works on a copy, which ``COMMIT`` puts in place; savepoints are copies of the copy. There is
one connection at a time, so nothing ever waits for a lock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from conflict import Row
from replicator.apply.checkpoint import Checkpoint
from replicator.apply.session import RESET, STRICT, Outcome, ServerError, pack_text_row

__all__ = ["COLUMNS", "ID", "TABLE", "TS", "A", "B", "Broken", "Crash", "Database", "Link", "N", "Store", "U", "log_entries"]

ID, U, A, B, N, TS = range(6)
"""The columns: primary key, unique key, two plain values, a counter, and a timestamp that every write raises."""
COLUMNS = ("id", "u", "a", "b", "n", "ts")
TABLE = ("shop", "item")

_TABLE = b"`shop`.`item`"
_NAMES = b",".join([b"`%b`" % name.encode() for name in COLUMNS])
_INSERT = b"INSERT INTO %b (%b) VALUES " % (_TABLE, _NAMES)
_UPSERT = b" ON DUPLICATE KEY UPDATE " + b",".join([b"`%b`=VALUES(`%b`)" % (n.encode(), n.encode()) for n in COLUMNS[1:]])
_SELECT = b"SELECT %b FROM %b WHERE " % (_NAMES, _TABLE)
_SELECT_ONE = b"SELECT 1 FROM %b WHERE " % _TABLE
_DELETE = b"DELETE FROM %b WHERE " % _TABLE
_UPDATE = b"UPDATE %b SET " % _TABLE
_FENCE = b"UPDATE `replicator`.`checkpoint` SET "
_LOG = b"INSERT INTO `replicator`.`conflict_log` ("
_HOLD = b"INSERT INTO `replicator`.`quarantine` ("
_HELD = b"SELECT table_name, row_key, new_key FROM `replicator`.`quarantine` WHERE "
_STILL_HELD = b"SELECT 1 FROM `replicator`.`quarantine` WHERE "
_LOCK = b" FOR UPDATE"
_BUT = b" AND NOT "
_CONDITION = re.compile(rb"\(?`(\w+)`(?:=(NULL|-?\d+)| IN \((-?\d+(?:,-?\d+)*)\))(?: AND NOT \(`id`=(-?\d+)\))?\)?")
_EXACTLY = re.compile(rb"`(\w+)` IS NULL|BINARY `(\w+)`=x'([0-9a-f]*)'")
_CHECKPOINT = re.compile(rb"(\w+)=(?:_utf8mb4 x'([0-9a-f]*)'|'(\w*)'|(\d+))")
_NAMED = re.compile(rb"table_name=_utf8mb4 x'([0-9a-f]*)' AND _utf8mb4 x'([0-9a-f]*)' IN")
_DUPLICATE, _DEADLOCK = 1062, 1213
_BESIDE = ("time_us", "flow", "stream")


class Crash(Exception):
    """The applier dies: what it had not committed is gone."""


class Broken(Exception):
    """Something that must not happen: a decision that the database would refuse, or a statement that nobody knows."""


@dataclass
class Store:
    """The rows of the table, by primary key and by unique key."""

    rows: dict[object, Row] = field(default_factory=dict)
    holders: dict[object, object] = field(default_factory=dict)
    gone: dict[object, int] = field(default_factory=dict)
    """The timestamps of rows that were here once, by primary key; what a transaction adds that is given up does no harm."""

    def copy(self) -> Store:
        """An independent copy."""
        return Store(dict(self.rows), dict(self.holders), self.gone)

    def insert(self, row: Row) -> None:
        """Insert; raises KeyError where a key is taken, with nothing done."""
        if row[ID] in self.rows or row[U] in self.holders:
            raise KeyError("duplicate")
        self.rows[row[ID]] = row
        if row[U] is not None:
            self.holders[row[U]] = row[ID]

    def delete(self, identity: object) -> None:
        """Delete one row, which must be there."""
        row = self.rows.pop(identity)
        self.gone[identity] = max(row[TS], self.gone.get(identity, 0))  # type: ignore[type-var]
        if row[U] is not None:
            del self.holders[row[U]]

    def update(self, identity: object, row: Row) -> None:
        """Make one row into another; raises KeyError where a key is taken, with nothing done."""
        old = self.rows[identity]
        self.delete(identity)
        try:
            self.insert(row)
        except KeyError:
            self.insert(old)
            raise


@dataclass
class _State:
    """All that a transaction may change."""

    store: Store = field(default_factory=Store)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)
    held: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)

    def copy(self) -> _State:
        return _State(self.store.copy(), dict(self.checkpoints), self.log.copy(), self.held.copy())


@dataclass
class Database:
    """What one site has committed. ``position`` is all that its own applications have, as a set of GTIDs."""

    state: _State = field(default_factory=_State)
    position: str = ""

    @property
    def store(self) -> Store:
        """The rows."""
        return self.state.store


class Link:
    """One applier's connection, with the interface of ``Session``.

    ``trouble`` is called before each statement that touches a row, with its number in the transaction; it may raise ``Crash``, or
    return the number of an error which that statement then ends with.
    """

    max_packet = 1 << 24
    mariadb = False

    def __init__(self, database: Database, flow: str, trouble: Callable[[int], int]) -> None:
        self._database = database
        self._flow = flow
        self._trouble = trouble
        self._work: _State | None = None
        self._savepoints: dict[bytes, _State] = {}
        self._statements = 0
        self._sent = b""

    def run(self, sql: bytes) -> list[Outcome]:
        """As ``Session.run``."""
        outcomes: list[Outcome] = []
        for statement in sql.split(b";"):  # no literal holds one: texts are written as hex
            outcomes.append(self._one(statement, len(outcomes)))
        return outcomes

    def send(self, sql: bytes) -> None:
        """As ``Session.send``."""
        self._sent = sql

    def receive(self) -> list[Outcome]:
        """As ``Session.receive``."""
        return self.run(self._sent)

    def _one(self, sql: bytes, index: int) -> Outcome:
        whole = _WHOLE.get(sql)
        if whole is not None:
            return whole(self, b"", index)
        for head, does in _STATEMENTS:
            if sql.startswith(head):
                if _TABLE in head:
                    self._disturb(index)
                return does(self, sql[len(head) :], index)
        raise Broken(f"a statement that no server of the simulation knows: {sql!r}")

    def _disturb(self, index: int) -> None:
        self._statements += 1
        error = self._trouble(self._statements)
        if error == _DEADLOCK:
            self._work = None
        if error:
            raise ServerError(error, "as the simulation wants it", index, "simulation")

    @property
    def _open(self) -> _State:
        if self._work is None:  # autocommit is off: any statement begins a transaction
            self._begin(b"", 0)
        assert self._work is not None
        return self._work

    def _begin(self, _: bytes, index: int) -> Outcome:
        self._work = self._database.state.copy()
        self._savepoints = {}
        self._statements = 0
        return _DONE

    def _commit(self, _: bytes, index: int) -> Outcome:
        self._database.state = self._open
        self._work = None
        return _DONE

    def _rollback(self, _: bytes, index: int) -> Outcome:
        self._work = None
        return _DONE

    def _savepoint(self, name: bytes, index: int) -> Outcome:
        self._savepoints[name] = self._open.copy()
        return _DONE

    def _back(self, name: bytes, index: int) -> Outcome:
        if self._work is None or name not in self._savepoints:
            raise ServerError(1305, f"SAVEPOINT {name.decode()} does not exist", index, "simulation")
        self._work = self._savepoints[name].copy()
        return _DONE

    def _set(self, sql: bytes, index: int) -> Outcome:
        return _DONE

    def _fence(self, sql: bytes, index: int) -> Outcome:
        found = _CHECKPOINT.findall(sql.partition(b" WHERE ")[0])
        values = {name: text or plain or number for name, text, plain, number in found}
        fields = {
            name.decode(): int(value) if name in _NUMBERS else bytes.fromhex(value.decode()).decode()
            for name, value in values.items()
            if name != b"updated_us"
        }
        self._open.checkpoints[self._flow] = Checkpoint(**fields)  # type: ignore[arg-type]
        return _ONE

    def _select(self, where: bytes, index: int) -> Outcome:
        rows = [pack_text_row([None if v is None else b"%d" % v for v in row]) for row in self._found(where)]
        return Outcome(len(rows), rows)

    def _select_one(self, where: bytes, index: int) -> Outcome:
        found = len(list(self._found(where)))
        return Outcome(found, [pack_text_row([b"1"])] * found)

    def _found(self, where: bytes) -> Iterator[Row]:
        if where.endswith(_LOCK):
            where = where[: -len(_LOCK)]
        store = self._open.store
        found: dict[object, Row] = {}
        exactly: list[bytes] = []
        if _BUT not in where:
            where, *exactly = where.split(b" AND ")
        parts = where.split(b" OR ")
        for part in parts:
            match = _CONDITION.fullmatch(part)
            if match is None:
                raise Broken(f"a condition that no server of the simulation knows: {where!r}")
            column, one, several, but = match.groups()
            for value in map(_value, (several or one).split(b",")):
                identity = value if column == b"id" else store.holders.get(value)
                if identity in store.rows and (but is None or identity != int(but)):
                    found[identity] = store.rows[identity]
            if column not in (b"id", b"u"):
                raise Broken(f"rows are looked up by a column without an index: {where!r}")
        return (row for row in found.values() if all(_holds(row, condition) for condition in exactly))

    def _delete(self, where: bytes, index: int) -> Outcome:
        found = list(self._found(where.removesuffix(b" LIMIT 1")))
        for row in found:
            self._open.store.delete(row[ID])
        return Outcome(len(found))

    def _update(self, sql: bytes, index: int) -> Outcome:
        settings, _, where = sql.partition(b" WHERE ")
        changed = 0
        for row in list(self._found(where.removesuffix(b" LIMIT 1"))):
            values = [part.partition(b"=")[2] for part in settings.split(b",")]
            made = tuple([row[COLUMNS.index(v[1:-1].decode())] if v[:1] == b"`" else _value(v) for v in values])
            if made != row:
                self._write(self._open.store.update, index, row[ID], made)
                changed += 1
        return Outcome(changed)

    def _insert(self, sql: bytes, index: int) -> Outcome:
        upsert = sql.endswith(_UPSERT)
        text = sql[: -len(_UPSERT)] if upsert else sql
        rows = [tuple(map(_value, row.split(b","))) for row in text[1:-1].split(b"),(")]
        before = self._open.store.copy() if len(rows) > 1 else None
        affected = 0
        try:
            for row in rows:
                affected += self._upsert(row, index) if upsert else self._write(self._open.store.insert, index, row)
        except ServerError:
            if before is not None:  # a statement does all or nothing
                self._open.store = before
            raise
        return Outcome(affected)

    def _upsert(self, row: Row, index: int) -> int:
        store = self._open.store
        identity = row[ID] if row[ID] in store.rows else store.holders.get(row[U])
        if identity is None:
            return self._write(store.insert, index, row)
        made = (identity, *row[1:])
        if made == store.rows[identity]:
            return 0
        self._write(store.update, index, identity, made)
        return 2

    def _write(self, does: Callable[..., None], index: int, *what: object) -> int:
        try:
            does(*what)
        except KeyError:
            raise ServerError(_DUPLICATE, "Duplicate entry", index, "simulation") from None
        return 1

    def _record(self, sql: bytes, index: int) -> Outcome:
        names, _, values = sql.partition(b") VALUES (")
        rows = values[:-1].split(b"),(")
        self._open.log += [names + b"|" + row for row in rows]
        return Outcome(len(rows))

    def _hold(self, sql: bytes, index: int) -> Outcome:
        names, _, values = sql.partition(b") VALUES (")
        held = dict(zip(names.split(b","), values[:-1].split(b","), strict=True))
        table, row_key, new_key = (_text(held[name]) for name in (b"table_name", b"row_key", b"new_key"))
        self._open.held.append((table, row_key, new_key))
        return _ONE

    def _held(self, where: bytes, index: int) -> Outcome:
        held = (self._work or self._database.state).held
        return Outcome(len(held), [pack_text_row(row) for row in held])

    def _still_held(self, where: bytes, index: int) -> Outcome:
        wanted = {(bytes.fromhex(t.decode()), bytes.fromhex(k.decode())) for t, k in _NAMED.findall(where)}
        found = any((table, key) in wanted for table, *keys in self._open.held for key in keys)
        return Outcome(int(found), [pack_text_row([b"1"])] if found else [])

    def _executed(self, sql: bytes, index: int) -> Outcome:
        return Outcome(1, [pack_text_row([b"", self._database.position.encode()])])


_DONE, _ONE = Outcome(0), Outcome(1)
_NUMBERS = (b"epoch", b"sequence", b"commit_time_us", b"kafka_offset", b"seen")
_WHOLE: dict[bytes, Callable[[Link, bytes, int], Outcome]] = {
    b"BEGIN": Link._begin,
    b"COMMIT": Link._commit,
    b"ROLLBACK": Link._rollback,
    RESET: Link._set,
    STRICT: Link._set,
    b"SELECT @@global.gtid_owned, @@global.gtid_executed": Link._executed,
}
_STATEMENTS: tuple[tuple[bytes, Callable[[Link, bytes, int], Outcome]], ...] = (
    (_FENCE, Link._fence),
    (_SELECT, Link._select),
    (_INSERT, Link._insert),
    (_DELETE, Link._delete),
    (_UPDATE, Link._update),
    (b"ROLLBACK TO SAVEPOINT ", Link._back),
    (b"SAVEPOINT ", Link._savepoint),
    (_LOG, Link._record),
    (_SELECT_ONE, Link._select_one),
    (_HELD, Link._held),
    (_STILL_HELD, Link._still_held),
    (_HOLD, Link._hold),
)


def log_entries(log: list[bytes]) -> list[tuple[tuple[bytes, bytes], ...]]:
    """The entries of a conflict log, without what differs from run to run."""
    entries = []
    for entry in log:
        names, _, values = entry.partition(b"|")
        pairs = zip(names.decode().split(", "), values.split(b","), strict=True)
        entries.append(tuple([(name.strip(), _text(value)) for name, value in pairs if name.strip() not in _BESIDE]))
    return entries


def _value(literal: bytes) -> int | None:
    return None if literal == b"NULL" else int(literal)


def _holds(row: Row, condition: bytes) -> bool:
    """Whether a column is exactly as the condition says."""
    match = _EXACTLY.fullmatch(condition)
    if match is None:
        raise Broken(f"a condition that no server of the simulation knows: {condition!r}")
    value = row[COLUMNS.index((match[1] or match[2]).decode())]
    return value is None if match[1] else value is not None and b"%d" % value == bytes.fromhex(match[3].decode())


def _text(literal: bytes) -> bytes:
    if literal.startswith(b"_utf8mb4 x'"):
        return bytes.fromhex(literal[11:-1].decode())
    return literal.strip(b"'")
