"""A simulated site: its database, what it ships, and an applier for each other site.

The applier is the real one from the stream's records on: ``StreamReader``, the planner, the writer with its ways to settle what
does not fit, the quarantine, and the memory of local changes. Simulated are the database behind it, Kafka (a list of records),
and the worker with its threads: a batch is written and committed before the next one begins, on one connection.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conflict import Change, Policies, Provenance, TableInfo
from replicator.apply.batch import Expect, Statement
from replicator.apply.checkpoint import Checkpoint, Fence
from replicator.apply.local import OpenMemory
from replicator.apply.plans import plan_transaction
from replicator.apply.quarantine import Quarantine
from replicator.apply.resolve import Resolver
from replicator.apply.shape import shape_of
from replicator.apply.writer import Batch, RetryBatch, Writer
from replicator.config import StreamConfig
from replicator.context import Reporter
from replicator.errors import ConflictHalt
from replicator.model import Role
from replicator.stream.reader import RecordEnd, StreamReader, Txn
from tests.property.database import Broken, Crash, Database, Link, Store
from tests.property.memory import Everyone, Followed
from tests.property.streams import MAP, data_record, epoch_record, events_of, plans_of, position

__all__ = ["Flow", "Memory", "Site", "Transaction", "Trouble"]


@dataclass
class Trouble:
    """What befalls a batch while it is written; called with the number of each statement that touches a row."""

    crash_at: int | None = None
    """The applier dies before that statement; 0: with everything written, -1: right behind the commit."""
    deadlock_at: int | None = None
    refusals: int = 0
    """1: the batch does not fit as planned, whatever the rows are like; 2: and cannot be settled as a whole."""

    def __call__(self, number: int) -> int:
        """As ``Link`` wants it."""
        if number == self.crash_at:
            raise Crash
        if number == self.deadlock_at:
            self.deadlock_at = None
            return 1213
        return 0


class Memory:
    """What appliers remember of who wrote what."""

    NONE = "none"
    LOCAL = "local changes"
    """As the applier of a pair that writes at both sites does."""
    ALL = "all writers"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a site committed."""

    provenance: Provenance
    changes: tuple[Change, ...]


@dataclass
class Site:
    """One site: its database, and everything that it committed itself, also as the records of each stream."""

    name: str
    number: int
    policies: Policies
    memory: str
    exact: bool = False
    forgetful: bool = False
    database: Database = field(default_factory=Database)
    log: list[Transaction] = field(default_factory=list)
    records: dict[str, list[bytes]] = field(default_factory=dict)
    """By target."""
    appliers: dict[str, Flow] = field(default_factory=dict)
    """By origin."""
    last_time_us: int = 0
    everyone: Everyone | None = None
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.database.position = position(self.number, 0)
        if self.memory == Memory.ALL:
            self.everyone = Everyone(self.policies, self.exact, self.forgetful, lambda: self.store)

    @property
    def store(self) -> Store:
        """The rows that it has committed."""
        return self.database.store

    def ship(self, streams: Mapping[tuple[str, str], StreamConfig]) -> None:
        """Begin a stream to each other site that is to get one."""
        self._streams = {target: stream for (origin, target), stream in streams.items() if origin == self.name}
        self.records = {target: [epoch_record(stream, self.number)] for target, stream in self._streams.items()}

    def follow(self, sites: list[Site], streams: Mapping[tuple[str, str], StreamConfig]) -> None:
        """Apply each stream that comes; all sites ship already."""
        for origin in sites:
            stream = streams.get((origin.name, self.name))
            if stream is not None:
                self.appliers[origin.name] = Flow(stream, origin, self)

    def applied(self, origin: str) -> int:
        """How far a stream has been applied here."""
        applier = self.appliers.get(origin)
        return applier.durable.sequence if applier is not None else 0

    def commit(self, changes: tuple[Change, ...], time_us: int) -> None:
        """Commit local changes, which are already in the store."""
        self.last_time_us = max(self.last_time_us, time_us)
        sequence = len(self.log) + 1
        provenance = Provenance(self.name, self.last_time_us, "", sequence, self.number)
        self.log.append(Transaction(provenance, changes))
        self.database.position = position(self.number, sequence)
        events = events_of(changes, sequence)
        for target, records in self.records.items():
            seen = self.applied(target)
            records.append(data_record(self._streams[target], self.number, sequence, self.last_time_us, events, seen))
        if self.everyone is not None:
            self.everyone.wrote(changes, next(iter(self.appliers.values())).table, provenance)


class _Fence(Fence):
    """The statement of the real one, without its connection."""

    def __init__(self, stream: StreamConfig) -> None:
        self._flow, self._name = stream.id.flow, stream.id.stream
        self._site = stream.target.name
        self.owner = uuid.UUID(int=0).hex


class _Writer(Writer):
    """The real one, which can be told to settle nothing as a whole."""

    whole = True

    def _resolve_all(self, txns: list[Txn]) -> bool:
        return self.whole and super()._resolve_all(txns)


class Flow:
    """The applier of one stream at its target. ``take`` raises Crash where the trouble says so; ``restart`` must follow."""

    def __init__(self, stream: StreamConfig, origin: Site, site: Site) -> None:
        self._stream = stream
        self._flow = str(stream.id)
        self._origin = origin
        self._site = site
        self._fence = _Fence(stream)
        self._plans = plans_of(stream)
        self._reporter = Reporter(Role.APPLIER, stream.id)
        self._trouble = Trouble()
        self.restart()

    @property
    def table(self) -> TableInfo:
        """The one table, as ``conflict`` sees it."""
        plan = self._plans.get(MAP)
        assert plan is not None
        return shape_of(plan).info

    @property
    def durable(self) -> Checkpoint:
        """What the site's database says."""
        return self._site.database.state.checkpoints.get(self._flow, _NOTHING)

    def restart(self, again: int = 0) -> None:
        """Begin from what is durable; the last ``again`` records that were applied come once more."""
        site = self._site
        checkpoint = self._checkpoint = self.durable
        self._local: Followed | None = None
        memory: Any = site.everyone
        if site.memory == Memory.LOCAL and self._stream.policies.asks_who_wrote:
            self._local = Followed(self._stream, site.records[self._origin.name], checkpoint.seen)
            memory = OpenMemory(self._local)
        if site.everyone is not None:
            site.everyone.rolled_back()
        link: Any = Link(site.database, self._flow, lambda number: self._trouble(number))
        resolver = Resolver(self._stream, self._plans, self._reporter, Quarantine(self._stream), memory)
        self._writer = _Writer(link, 0, self._fence, self._plans, resolver, self._reporter)
        self._reader = StreamReader(stream=self._flow, resume=checkpoint.state)
        self._offset = max(0, checkpoint.kafka_offset - again) if checkpoint.stream_id else 0

    def take(self, count: int, trouble: Trouble) -> None:
        """Read on until so many transactions are there, and write them as one batch."""
        self._trouble = trouble
        records = self._origin.records[self._site.name]
        everyone = self._site.everyone
        if everyone is not None:
            everyone.origin = self._origin.name
            everyone.versions = {t.provenance.sequence: t.provenance for t in self._origin.log}
        batch = Batch(checkpoint=self._checkpoint)
        while len(batch.txns) < count and self._offset < len(records):
            for item in self._reader.feed(self._offset, records[self._offset]):
                if isinstance(item, Txn):
                    self._add(batch, item)
                elif isinstance(item, RecordEnd):
                    batch.checkpoint = batch.checkpoint.behind(item)
            self._offset += 1
        self._checkpoint = batch.checkpoint
        batch.statements = batch.planner.statements(self._writer.limits)
        if trouble.refusals:
            batch.statements.insert(0, _UNMET)
        self._writer.whole = trouble.refusals < 2
        self._write(batch)

    def _add(self, batch: Batch, txn: Txn) -> None:
        """As the worker does."""
        plan_transaction(batch.planner, self._plans.of(txn.table_maps), txn)
        batch.txns.append(txn)
        batch.checkpoint = batch.checkpoint.after(txn, self._reader, self._origin.name)

    def _write(self, batch: Batch) -> None:
        """As the pipeline does: again after a deadlock."""
        while True:
            try:
                self._writer.execute(batch, disrupt=lambda: None)
                break
            except RetryBatch:
                continue
            except ConflictHalt as halt:
                raise Broken(f"halted: {halt}") from halt
        self._trouble(0)
        self._writer.commit()
        self._trouble(-1)
        if self._local is not None:
            self._local.forget(batch.checkpoint.seen)
        counted = self._site.counted
        counted["batches"] += 1
        counted["of several"] += len(batch.txns) > 1
        counted["as planned"] += not batch.looked_closer
        counted["as a whole"] += batch.looked_closer and not batch.slowly
        counted["in parts"] += batch.slowly


_NOTHING = Checkpoint()
_UNMET = Statement(b"SELECT 1 FROM `shop`.`item` WHERE `id` IN (-1) FOR UPDATE", Expect(affected=1))
