"""From binlog events to transactions, and these to the record builder. Pure; rows stay raw.

``_take`` is the one list of what each event type means to us. Nothing is skipped because it is unknown: an event is handled,
listed in ``events.NO_DATA``, or stops the flow.

A transaction's way is decided by its beginning in most cases, by its end in some (*special*):

- ours: its first rows are those of our checkpoint table, or its statement is one announced by an intent. It was applied
  here; if the target has it already, or gets it straight from its maker, it is dropped, else shipped with its site.
- prepared XA: its events are held in a spool until XA COMMIT ships them as one transaction with the commit's GTID, or XA
  ROLLBACK drops them. See ``branches``.
- with savepoints: ROLLBACK TO takes back what came after. Once it is large, its events are held in a spool to the end.
  A ROLLBACK at the end takes all back. Rows of non-transactional tables, which no rollback takes back, come in
  transactions of their own on both servers.
- read again: after a restart before a prepared XA transaction, others come that were shipped; they are dropped by GTID.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from ..errors import ConfigError, DecodeError, SourceError
from ..gtid import Position
from ..model import FLAVOR_MARIADB
from ..row.compressed import PLAIN_KIND, uncompress_query, uncompress_rows
from ..stream.wire import EVENT, NO_TABLE, QUERY
from . import events
from .branches import Branch, Progress
from .events import HEADER_BYTES, NO_DATA, ROWS, STOPPING, Begin, Xid
from .marks import Applied, Marks
from .records import RecordBuilder, Sealed
from .reshape import Reshaped
from .spool import Spool

__all__ = ["Rules", "Transactions"]

_MYSQL_GTID = struct.Struct("<16sQ17x7s")
_MARIADB_GTID = struct.Struct("<QIB")
_CHECKSUM_NONE, _CHECKSUM_CRC32 = 0, 1

_FORMAT_DESCRIPTION, _XID, _TABLE_MAP, _GTID, _XA_PREPARE, _PAYLOAD, _TAGGED, _MARIADB = 15, 16, 19, 33, 38, 40, 42, 162
_BODY = HEADER_BYTES
_MAP_BODY = HEADER_BYTES + 8  # behind table id and flags: the same map has another id after every restart
_UNWANTED = -1
FIRST_ODD = -2
_DUMMY_TABLE = b"\xff\xff\xff\x00\x00\x00"  # a rows event without rows that only ends a statement


class Judge(Protocol):
    """Says which statements count."""

    def ships(self, payload: bytes, where: str) -> bool:
        """Whether a statement is shipped. Raises SourceError to stop."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one flow wants of its origin's binlog."""

    flavor: str
    wants: Callable[[str, str], bool]
    statements: Judge
    marks: Marks
    direct: frozenset[str] = frozenset()
    reshape: Callable[[str, str, bytes], Reshaped | None] = lambda schema, table, body: None


class Transactions:
    """The open transaction and what is known between transactions."""

    def __init__(
        self,
        rules: Rules,
        *,
        read: Position,
        resume: Position,
        sequence: int,
        record_bytes: int,
        emit: Callable[[Sealed], None],
        where: str = "",
    ) -> None:
        self._rules = rules
        self._mariadb = rules.flavor == FLAVOR_MARIADB
        self._place = where
        self._progress = Progress(rules.flavor, read, resume)
        self.position = read
        self.records = RecordBuilder(
            record_bytes=record_bytes, sequence=sequence, emit=emit, positions=self._progress.texts
        )
        self._sids: dict[bytes, tuple[str, bytes]] = {}
        self._odd: list[tuple[bytes, Reshaped | None, int]] = []
        self._odd_of = 0
        self._tables: dict[bytes, int] = {}
        self.heartbeat_time_us = 0
        """Commit time of the last heartbeat row of this stream that came by."""
        self._checksum: bool | None = None  # unknown until the first FORMAT_DESCRIPTION
        self._forget()

    def _forget(self) -> None:
        """No transaction is open."""
        self._open = False
        self._block = False
        self._special = False
        self._again = False
        self._drop = False
        self._statements = self._drops = 0
        self._beat_us = 0
        self._xa: Xid | None = None
        self._spool: Spool | None = None
        self._savepoints: list[tuple[str, int]] = []
        self._advance: tuple[Any, Any] = ("", 0)
        self._tables.clear()

    def restart(self) -> str:
        """The connection was lost: forget the open transaction. Returns the position to request the binlog from."""
        if self._open:
            self.records.drop_transaction()
        if self.records.due:
            self.records.settle()
        self.records.seal()
        if self._spool is not None:
            self._spool.close()
        self._forget()
        self._checksum = None
        return self._progress.restart()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._open

    def resume_position(self) -> str:
        """From where to request the binlog after a restart: before transactions that are prepared."""
        return self._progress.texts()[0]

    @property
    def rereading(self) -> bool:
        """Whether transactions come that were shipped before a restart."""
        return self._progress.rereading

    # --- every event type ---

    def _take(self, kind: int, event: bytes) -> None:
        """Handle one event, with its header and without checksum."""
        try:
            self._dispatch(kind, event)
        except (SourceError, DecodeError, struct.error) as error:
            if isinstance(error, SourceError) and error.where:
                raise
            what = f"an event of type {kind} is malformed" if isinstance(error, struct.error) else error.what
            remedy = "" if isinstance(error, struct.error) else error.remedy
            retry = isinstance(error, SourceError) and error.retry
            raise SourceError(
                what, where=self._where(event), remedy=remedy or "check the origin's binlog with mysqlbinlog", retry=retry
            ) from error

    def _dispatch(self, kind: int, event: bytes) -> None:
        if kind in ROWS:
            self._rows(kind, event)
        elif kind == _TABLE_MAP:
            if not self._open:
                self._fail("a table map outside of a transaction", event)
            table_map = event[_MAP_BODY:]
            index = self.records.known.get(table_map)
            self._tables[event[_BODY : _BODY + 6]] = self._new_map(table_map) if index is None else index
        elif kind == QUERY:
            self._query(event[:4], event[_BODY:])
        elif kind == _GTID:
            self._begin_mysql(event)
        elif kind == _MARIADB:
            self._begin_mariadb(event)
        elif kind == _TAGGED:
            begin = events.tagged_gtid(event[_BODY:], *_seconds_and_server(event))
            key, _, number = begin.gtid.decode().rpartition(":")
            self._begin(begin, key, int(number))
        elif kind == _XID:
            self._commit()
        elif kind == _XA_PREPARE:
            self._prepare(*events.xa_prepare(event[_BODY:]))
        elif kind == _PAYLOAD:
            for inner in events.payload_events(event[_BODY:]):
                self._dispatch(inner[4], inner)
        elif kind in PLAIN_KIND:
            self._compressed(kind, event)
        elif kind == _FORMAT_DESCRIPTION:
            self._describe(event)
        elif kind not in NO_DATA:
            what, remedy = STOPPING.get(kind, (f"an event of unknown type {kind}", "upgrade replicator"))
            raise SourceError(f"the binlog holds {what}", where=self._where(event), remedy=remedy)

    def _where(self, event: bytes) -> str:
        end = int.from_bytes(event[13:17], "little")
        gtid = self.records.gtid.decode() if self._open else "none"
        return f"{self._place}, GTID {gtid}, binlog end position {end}".lstrip(", ")

    def _fail(self, what: str, event: bytes) -> NoReturn:
        raise SourceError(f"the binlog holds {what}", where=self._where(event), remedy="check it with mysqlbinlog")

    def _describe(self, event: bytes) -> None:
        # Always sent with a checksum; the byte before it names the algorithm of the events that follow.
        algorithm = event[-1] if self._checksum else event[-5]
        if algorithm not in (_CHECKSUM_NONE, _CHECKSUM_CRC32):
            self._fail(f"events with an unknown checksum algorithm {algorithm}", event)
        self._checksum = algorithm == _CHECKSUM_CRC32

    def _compressed(self, kind: int, event: bytes) -> None:
        plain = PLAIN_KIND[kind]
        body = event[_BODY:]
        body = uncompress_query(body) if plain == QUERY else uncompress_rows(body, kind)
        self._dispatch(plain, event[:_BODY] + body)

    # --- tables and rows ---

    def _new_map(self, body: bytes) -> int:
        """The index of a table map that this record has not met: of the shipped map, or a negative one."""
        schema, table = events.table_name(body)
        records = self.records
        rules = self._rules
        index = _UNWANTED
        if rules.marks.concerns(schema, table):
            index = self._new_odd(body, None, 0)
        elif rules.wants(schema, table):
            reshaped = rules.reshape(schema, table, body)
            index = records.add_map(body if reshaped is None else reshaped.body)
            if reshaped is not None:
                index = self._new_odd(body, reshaped, index)
        records.known[body] = index
        return index

    def _new_odd(self, body: bytes, reshaped: Reshaped | None, index: int) -> int:
        if self._odd_of != self.records.number:  # a new record: its indexes are new
            self._odd_of = self.records.number
            self._odd.clear()
        self._odd.append((body, reshaped, index))
        return FIRST_ODD - len(self._odd) + 1

    def _rows(self, kind: int, event: bytes) -> None:
        table_id = event[_BODY : _BODY + 6]
        index = self._tables.get(table_id)
        if index is None:
            if table_id == _DUMMY_TABLE:
                return
            self._fail(f"rows for table id {int.from_bytes(table_id, 'little')} without a table map", event)
        if not self._open:
            self._fail("rows outside of a transaction", event)
        if index >= 0:
            self._add(kind, index, event[_BODY:])
        elif index <= FIRST_ODD:
            self._odd_rows(index, kind, event[_BODY:])

    def _add(self, kind: int, index: int, payload: bytes) -> None:
        records = self.records
        records.parts += (EVENT.pack(kind, index, len(payload)), payload)
        records.size += EVENT.size + len(payload)
        if records.size > records.limit:
            self._spill()

    def _odd_rows(self, index: int, kind: int, payload: bytes) -> None:
        body, reshaped, shipped = self._odd[FIRST_ODD - index]
        if reshaped is not None:
            try:
                for new_kind, new_payload in reshaped.events(kind, payload):
                    self._add(new_kind, shipped, new_payload)
            except (DecodeError, ConfigError) as error:
                raise SourceError(error.what, where=error.where or self._gtid_place(), remedy=error.remedy) from error
            return
        found = self._rules.marks.rows(body, kind, payload, self._gtid_place())
        if isinstance(found, Applied):
            self.records.seen = found.seen or self.records.seen
            self._came_from(found)
        elif found:
            self._beat_us = found
            self._special = True

    def _gtid_place(self) -> str:
        return f"{self._place}, GTID {self.records.gtid.decode()}".lstrip(", ")

    def _came_from(self, applied: Applied) -> None:
        """The open transaction was applied here by replication."""
        self._special = True
        if applied.site in self._rules.direct:
            self._drop = True
            return
        if self.records.is_large:
            raise SourceError(
                "a replicated transaction does not begin with its checkpoint row",
                where=self._gtid_place(),
                remedy="upgrade the applier of this site",
            )
        self.records.site = applied.site.encode()
        self.records.time_us = applied.commit_time_us or self.records.time_us

    def _spill(self) -> None:
        """The open transaction's unsent events are many: send them in chunks, or put them where they wait."""
        records = self.records
        if not self._special:
            records.spill()
        elif self._again or self._drop:
            if self._xa is None:
                records.take_run()
            else:
                self._hold()
        elif self._xa is not None or self._savepoints:
            self._hold()
        else:
            records.spill()

    def _hold(self) -> None:
        if self._spool is None:
            self._spool = Spool()
        self._spool.append(self.records.take_run(), self.records.maps)

    def _replay(self, spool: Spool) -> None:
        """Add what was held to the open transaction."""
        maps = spool.table_maps
        indexes: dict[int, int] = {NO_TABLE: NO_TABLE}
        for kind, table, payload in spool.events():
            index = indexes.get(table)
            if index is None:
                index = indexes[table] = self._shipped_map(maps[table])
            self.records.append(kind, index, payload)
        spool.close()

    def _shipped_map(self, body: bytes) -> int:
        """The index of a map that is shipped just so."""
        records = self.records
        try:
            return records.maps.index(body)
        except ValueError:
            return records.add_map(body)

    # --- transactions ---

    def _begin_mysql(self, event: bytes) -> None:
        if len(event) < _BODY + 49:
            begin = events.mysql_gtid(event[_BODY:], *_seconds_and_server(event))
            key, _, number = begin.gtid.decode().rpartition(":")
            self._begin(begin, key, int(number))
            return
        sid, number, time = _MYSQL_GTID.unpack_from(event, _BODY + 1)
        names = self._sids.get(sid)
        if names is None:
            key = events.mysql_gtid(event[_BODY:], 0, 0).gtid.decode().rpartition(":")[0]
            names = self._sids[sid] = (key, key.encode() + b":")
        time_us = int.from_bytes(time, "little")
        if time_us >> 55:  # the top bit says that the original time follows
            time_us = int.from_bytes(event[_BODY + 49 : _BODY + 56], "little")
        if self._open:
            self._fail("a transaction that begins before the last one ended", event)
        records = self.records
        records.gtid = names[1] + b"%d" % number
        records.time_us = time_us
        records.open_transaction()
        self._open = True
        self._advance = (names[0], number)
        if self._progress.rereading:
            self._catch_up()

    def _begin_mariadb(self, event: bytes) -> None:
        if len(event) < _BODY + 13:
            self._fail("a GTID event that is cut short", event)
        number, domain, flags = _MARIADB_GTID.unpack_from(event, _BODY)
        seconds, server_id = _seconds_and_server(event)
        if flags & 0xC0:
            self._begin(events.mariadb_gtid(event[_BODY:], seconds, server_id), domain, (server_id, number))
            return
        if self._open:
            self._fail("a transaction that begins before the last one ended", event)
        records = self.records
        records.gtid = b"%d-%d-%d" % (domain, server_id, number)
        records.time_us = seconds * 1_000_000
        records.open_transaction()
        self._open = True
        self._block = not flags & 1  # standalone: one statement, no COMMIT follows
        self._advance = (domain, (server_id, number))
        if self._progress.rereading:
            self._catch_up()

    def _begin(self, begin: Begin, key: Any, last: Any) -> None:
        if self._open:
            raise SourceError("a transaction begins before the last one ended")
        records = self.records
        records.gtid, records.time_us = begin.gtid, begin.commit_time_us
        records.open_transaction()
        self._open = True
        self._block = begin.block
        self._advance = (key, last)
        if begin.prepares is not None:
            self._xa = begin.prepares
            self._special = True
        if self._progress.rereading:
            self._catch_up()

    def _catch_up(self) -> None:
        """What was shipped before a restart is not shipped again."""
        if self.position.contains(self.records.gtid.decode()):
            self._again = self._special = True

    def _commit(self) -> None:
        """The open transaction is complete."""
        if not self._open:
            raise SourceError("a transaction ends that never began")
        records = self.records
        if self._special:
            self._commit_special()
            return
        records.close_transaction()
        self.position.advance(*self._advance)
        self._open = self._block = False
        self._statements = self._drops = 0
        self._tables.clear()
        if records.due:
            records.settle()
        if self._progress.rereading:
            self._progress.passed(self.records.gtid.decode())

    def _commit_special(self) -> None:
        records = self.records
        spool, beat_us, again = self._spool, self._beat_us, self._again
        if again or self._drop:
            records.drop_transaction()
            if spool is not None:
                spool.close()
        else:
            if spool is not None:
                self._hold()
                self._replay(spool)
            records.close_transaction()
        self._moved(again)
        if records.due:
            records.settle()
        if beat_us and not again:
            # MariaDB's commit times are whole seconds; the row's own time is finer, where the clocks agree.
            fine = self._mariadb and abs(beat_us - records.time_us) < 2_000_000
            self.heartbeat_time_us = beat_us if fine else records.time_us
            records.emit_heartbeat(self.heartbeat_time_us)

    def _moved(self, again: bool) -> None:
        """The position moves over the open transaction, which is no longer open."""
        if not again:
            self.position.advance(*self._advance)
        self._forget()
        if self._progress.rereading:
            self._progress.passed(self.records.gtid.decode())

    # --- statements ---

    def _query(self, timestamp: bytes, body: bytes) -> None:
        if not self._open:
            raise SourceError("the binlog holds a statement outside of a transaction", remedy="set gtid_mode=ON")
        thread_id, _, statement = events.query_parts(body)
        if statement == b"BEGIN":
            self._block = True
        elif statement == b"COMMIT":
            self._commit()
        elif statement == b"ROLLBACK":
            self._roll_back()
        elif statement.startswith(b"SAVEPOINT "):
            self._savepoint(statement[10:])
        elif statement.startswith(b"ROLLBACK TO "):
            self._roll_back_to(statement[12:])
        elif statement.startswith(b"RELEASE SAVEPOINT "):
            pass  # it could be rolled back to no more: no harm in remembering it
        elif statement.startswith(b"XA "):
            self._xa_statement(statement)
        else:
            drops = statement.startswith(b"DROP TABLE ")
            self._statement(timestamp + body, thread_id, int.from_bytes(timestamp, "little"), drops=drops)

    def _statement(self, payload: bytes, thread_id: int, timestamp: int, *, drops: bool) -> None:
        site = self._rules.marks.site_of(thread_id, timestamp)
        if site:
            self._came_from(Applied(site, timestamp * 1_000_000))
        if not (self._drop or self._again) and self._rules.statements.ships(payload, self._gtid_place()):
            self._statements += 1
            self._drops += drops
            self._add(QUERY, NO_TABLE, payload)
        if not self._block:
            self._commit()

    def _savepoint(self, name: bytes) -> None:
        self._special = True
        self._savepoints.append((name.decode("utf-8", "replace").casefold(), self._run_bytes))

    @property
    def _run_bytes(self) -> int:
        """Bytes of the open transaction's run: sent, held and not yet sent."""
        return self.records.sent_run + (self._spool.size if self._spool is not None else 0) + self.records.size

    def _roll_back_to(self, name: bytes) -> None:
        wanted = name.decode("utf-8", "replace").casefold()
        while self._savepoints and self._savepoints[-1][0] != wanted:
            self._savepoints.pop()
        if not self._savepoints:
            raise SourceError("the binlog holds a ROLLBACK TO a savepoint that was not set")
        keep = self._savepoints[-1][1] - self.records.sent_run
        if keep < 0:
            raise SourceError("a ROLLBACK TO takes back what was sent already", remedy="report it as a defect")
        spool, records = self._spool, self.records
        if spool is not None:
            if keep < spool.size:
                records.take_run()
                spool.truncate(keep)
                return
            keep -= spool.size
        while records.size > keep:
            payload = records.parts.pop()
            records.parts.pop()
            records.size -= EVENT.size + len(payload)

    def _roll_back(self) -> None:
        """The transaction was rolled back, though it is in the binlog; all of its rows are of transactional tables."""
        if self._statements and self._mariadb and not self._tables and self._drops == self._statements:
            self._commit()  # the DROP TABLE of a CREATE OR REPLACE that failed: no rollback brings the old table back
            return
        if self._statements:
            raise SourceError(
                "the binlog holds a rolled back transaction with DDL in it",
                remedy="make the tables at origin and target alike, and start the stream anew behind it",
            )
        again = self._again
        self.records.drop_transaction()
        if self._spool is not None:
            self._spool.close()
        self._moved(again)
        if self.records.due:
            self.records.settle()

    # --- XA ---

    def _xa_statement(self, statement: bytes) -> None:
        verb, xid = events.xa_statement(statement)
        if verb == b"START":
            self._xa = xid
            self._block = self._special = True
        elif verb in (b"COMMIT", b"ROLLBACK"):
            self._resolve(xid, commit=verb == b"COMMIT")

    def _prepare(self, one_phase: bool, xid: Xid) -> None:
        """The group ends; its events wait for XA COMMIT or XA ROLLBACK, unless it commits in one phase."""
        if not self._open:
            raise SourceError("an XA transaction is prepared that never began")
        if one_phase:
            self._commit()
            return
        records = self.records
        self._hold()
        records.drop_transaction()
        assert self._spool is not None
        branch = Branch(records.gtid.decode(), None, self._spool, records.site, self._drop)
        self._progress.prepare(xid, self._advance[0], branch)
        self._spool = None
        self._moved(self._again)
        if records.due:
            records.settle()

    def _resolve(self, xid: Xid, *, commit: bool) -> None:
        branch = self._progress.resolve(xid)
        if branch is None:
            if not self._again and commit:
                raise SourceError(
                    "an XA COMMIT of a transaction that was prepared before the stream's beginning",
                    remedy="do at the target what it did, and start the stream anew behind it (docs/WHAT-IF.md)",
                )
        elif commit and not (self._again or branch.dropped):
            self.records.site = branch.site
            self._replay(branch.spool)
        else:
            branch.spool.close()
        self._commit()


def _seconds_and_server(event: bytes) -> tuple[int, int]:
    return int.from_bytes(event[:4], "little"), int.from_bytes(event[5:9], "little")
