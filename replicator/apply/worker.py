"""The applier's main loop: records from the stream become batches, batches become transactions of the target.

Read ``Applier.run`` first: it polls Kafka, hands each record to the stream's reader (which checks order, gaps and epochs), and
each item of it to ``_take``. Transactions collect in a batch while more of them are at hand, and go to the pipeline as soon as
there are none, so that batches grow under backlog and shrink to single transactions when caught up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from conflict.types import Provenance

from ..context import Waits, now_us
from ..control import Control, Wish
from ..errors import ReplicatorError, StreamError, StructureHalt
from ..model import Role, State
from ..stream.acks import Ack, AckPublisher
from ..stream.consumer import RecordConsumer
from ..stream.reader import Heartbeat, Item, LargeAbort, LargeBegin, LargeEnd, LargePart, RecordEnd, StreamReader, Txn
from ..stream.topics import ensure_topics
from ..stream.wire import QUERY, event_kinds
from .batch import ANYTHING, Planner, Statement
from .checkpoint import Checkpoint, Fence
from .clocks import Clocks
from .ddl import DdlApplier
from .large import Gathered, LargeTransaction
from .local import OpenMemory, ReadLog, local_changes
from .pipeline import Pipeline
from .plans import Plans, plan_transaction
from .quarantine import Quarantine
from .resolve import Resolver
from .retention import Retention
from .session import Session
from .target import Targets, TargetWatch
from .writer import Batch, Writer

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Worker

__all__ = ["run_applier"]

_IDLE_POLL_MS = 200
_SMALL_ROWS = 500
"""A batch of fewer is written only when nothing else is on its way."""
_PAUSE_S = 0.5
_SAVE_POSITION_S = 30
_LOCK_WAIT_S = 2
_BATCH_ROWS_MIN = 50
_BATCH_ROWS_CLOSER = 500
_LOOK_S = 5.0


def run_applier(stream: StreamConfig, worker: Worker, read_log: ReadLog | None = None) -> None:
    """Apply the stream until ``worker.stop`` is set; everything begun is then committed or rolled back. ``read_log`` opens the
    target's binlog, for ``stream.target_log``.

    Raises FencedError where another applier holds the stream, StreamError, ConflictHalt, DdlError, ApplyError for what
    cannot be applied and ConfigError for a policy that does not fit its table (its position stays before it), DatabaseError and
    KafkaFailure where trying again may help.
    """
    with ExitStack() as resources:
        Applier(stream, worker, resources, read_log).run()


class Applier:
    """One stream's applier, wired up; owns the open batch."""

    def __init__(self, stream: StreamConfig, worker: Worker, resources: ExitStack, read_log: ReadLog | None) -> None:
        self._stream = stream
        self._origin = stream.origin.name
        self._worker = worker
        self._reporter = worker.reporter
        self._waits = Waits(self._reporter, "kafka", "database", "dependency")
        self._control = Control(stream, Role.APPLIER)
        resources.callback(self._control.close)
        self._fence = Fence(stream)
        resources.callback(self._fence.close)
        settings = stream.target.database.connect_args()
        site = stream.target.name
        self._checkpoint = self._fence.take(stream.apply.connections)
        self._targets = Targets(settings, site)
        resources.callback(self._targets.close)
        self._plans = Plans(stream, self._targets, checks=True)
        self._watch = TargetWatch(self._targets, Targets(settings, site))
        resources.callback(self._watch.close)
        if not self._checkpoint.stream_id:
            ensure_topics(stream)  # whoever comes first; a topic that once was there is never made anew here
        self._acks = AckPublisher(stream)
        resources.callback(self._acks.close)
        quarantine = Quarantine(stream)
        self._retention = Retention(stream, worker)
        self._clocks = Clocks(stream, self._reporter)
        resources.callback(self._clocks.close)
        self._local = local_changes(stream, self._checkpoint.seen, self._plans, read_log)
        if self._local is not None:
            resources.callback(self._local.close)
        self._writers = []
        for slot in range(stream.apply.connections):
            session = Session(settings, site=site, lock_wait_s=_LOCK_WAIT_S)
            resources.callback(session.close)
            memory = OpenMemory(self._local) if self._local is not None else None
            resolver = Resolver(stream, self._plans, self._reporter, quarantine, memory, self._clocks)
            self._writers.append(Writer(session, slot, self._fence, self._plans, resolver, self._reporter))
        self._resolver = resolver
        self._ddl = DdlApplier(stream, self._fence, self._plans, self._writers[0], worker)
        resources.callback(self._ddl.close)
        self._consumer = RecordConsumer(stream)
        resources.callback(self._consumer.close)
        self._reader = StreamReader(stream=stream.id.topic, resume=self._checkpoint.state)
        self._consumer.assign(self._checkpoint.kafka_offset if self._checkpoint.stream_id else None)
        self._pipeline = Pipeline(
            self._writers,
            committed=self._committed,
            passed=self._passed,
            before_commit=self._before_commit,
            retry_limit=stream.apply.retry_limit,
            retried=lambda: self._reporter.count("batch_retries"),
            waited=self._waits.add,
        )
        resources.callback(self._pipeline.close)
        resources.callback(self._clocks.close)  # again, before it: a writer may wait for a heartbeat
        if self._local is not None:
            resources.callback(self._local.close)  # before the pipeline, whose writers may wait for it
        self._batch = Batch()
        self._fetched: Txn | None = None
        """The last transaction that was taken, where that has not been told yet."""
        self._gathered: Gathered | None = None
        self._large: LargeTransaction | None = None
        self._caught_up = False
        """Whether what was fetched last came in just then, as nothing had been left."""
        self._saved_us = now_us()
        self._batch_rows = stream.apply.batch_rows
        self._look_at = 0.0
        self._skip_gtid = ""
        self._report_start()

    def run(self) -> None:
        """The main loop; what it stops for is recorded."""
        try:
            self._loop()
        except StructureHalt as halt:
            self._record(halt)
            raise

    def _record(self, halt: StructureHalt) -> None:
        """A conflict of structure is met while planning, where no transaction is open: it gets one of its own."""
        if halt.entry:
            missing = self._plans.lacking(halt)
            record = missing.decision(Provenance(self._origin, 0)).record
            assert record is not None
            self._resolver.count(record, missing.name)
            session = Session(self._stream.target.database.connect_args(), site=self._stream.target.name)
            try:
                session.run(halt.entry + b";COMMIT")
            finally:
                session.close()

    def _loop(self) -> None:
        if self._local is not None:
            self._local.read_ahead(self._writers[0].session, self._goes_on)
        while not self._worker.stop.is_set():
            self._reporter.tick()
            self._pipeline.check()
            self._clocks.look()
            self._retention.look()
            self._waits.tell(self._limit)
            self._look_for_missing()
            self._look_for_statements()
            if self._held_by(self._control.poll()):
                continue
            self._caught_up = self._consumer.behind == 0
            began, cause = time.monotonic(), "database" if self._batch.txns else "kafka"
            records = self._consumer.poll(self._poll_ms())
            self._waits.add(cause, time.monotonic() - began)
            behind = self._consumer.behind
            self._reporter.gauge("records_behind", behind)
            away = self._consumer.away
            if away is not None and self._reporter.state is not State.RETRYING:
                self._reporter.fail(away, State.RETRYING)  # the client goes on trying by itself
            for offset, value in records:
                for item in self._reader.feed(offset, value):
                    self._take(item)
            if records:
                self._worker.pauses.hit("applier:fetched")
            if self._batch.txns and not (records and behind):  # nothing more is there to share the batch
                if self._pays():
                    self._flush()
                else:
                    self._pipeline.wait_idle(_IDLE_POLL_MS / 1000)
        self._settle()
        self._acks.flush()

    def _pays(self) -> bool:
        """Whether the open batch, though it is not full, should be written now.

        A small one waits for those before it, which commit first anyhow: what comes meanwhile shares its transaction. So the
        busier the target is, the fewer and larger they are.
        """
        if self._pipeline.idle:
            return True
        return self._pipeline.has_room and self._batch.planner.rows >= min(_SMALL_ROWS, self._batch_rows)

    def _goes_on(self) -> bool:
        self._reporter.tick()
        return not self._worker.stop.is_set()

    def _limit(self, kafka: int, database: int, dependency: int) -> str:
        """What limits the applier, by its shares of waiting."""
        if kafka >= 50 and self._consumer.behind:
            return f"limited by Kafka or the network to it ({kafka} % of the time it was waited for)"
        if kafka >= 50:
            return f"caught up ({kafka} % of the time there was nothing to apply)"
        if database < 50:
            return f"limited by its own processor time (waited {database} % for the database, {kafka} % for Kafka)"
        told = f"limited by the target database ({database} % of the time it was waited for)"
        if dependency >= 50:
            told += f"; for {dependency} % a batch had to wait for one that changes the same rows or tables"
        return told

    def _look_for_missing(self) -> None:
        """What a policy leaves out because the target has no place for it may be there by now."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            if self._plans.lacks:
                self._plans.forget()

    def _look_for_statements(self) -> None:
        """Somebody else may have changed the target's tables: its own users where both sites write, or an operator."""
        if self._watch.changed():
            self._plans.forget()
            self._worker.log.info("the target's tables were changed by others")
            if self._local is not None:
                self._local.forget_tables()

    def _poll_ms(self) -> int:
        """How long to wait for records: not at all while a batch is open."""
        return 0 if self._batch.txns else _IDLE_POLL_MS

    def _take(self, item: Item) -> None:
        if isinstance(item, Txn):
            self._transaction(item)
        elif isinstance(item, RecordEnd):
            self._record_end(item)
        elif isinstance(item, Heartbeat):
            self._heartbeat(item)
        elif isinstance(item, LargeBegin):
            self._begin_large(item)
        elif isinstance(item, LargePart):
            self._part(item)
        elif isinstance(item, LargeEnd):
            self._end_large(item)
        elif isinstance(item, LargeAbort):
            self._abort_large()
        else:
            raise StreamError(f"an item of unknown type {type(item).__name__}")

    def _transaction(self, txn: Txn) -> None:
        self._plans.flavor = self._reader.flavor
        self._fetched = txn
        checkpoint = self._after(txn)
        if self._skip_gtid and txn.gtid == self._skip_gtid:
            self._flush()
            self._worker.log.warning("transaction skipped as asked", gtid=txn.gtid, sequence=txn.sequence)
            txn = Txn(txn.sequence, txn.gtid, txn.commit_time_us, txn.site, (), b"", txn.epoch, txn.seen)
        if QUERY in event_kinds(txn.events):
            self._flush()
            with self._database():
                self._pipeline.drain()
                self._ddl.apply(txn, checkpoint)
            if self._local is not None:
                self._local.forget_tables()
            self._checkpoint = checkpoint
            self._applied(checkpoint, txn.commit_time_us)
            return
        batch = self._batch
        if batch.txns and batch.checkpoint.site != checkpoint.site:
            self._flush()
            batch = self._batch
        try:
            plan_transaction(batch.planner, self._plans.of(txn.table_maps), txn)
        except ReplicatorError as error:
            self._flush_before()
            error.add_place(f"GTID {txn.gtid}, sequence {txn.sequence}")
            raise
        batch.txns.append(txn)
        batch.bytes += len(txn.events)
        batch.checkpoint = checkpoint
        batch.origin_time_us = txn.commit_time_us
        if batch.planner.rows >= self._batch_rows or batch.bytes >= self._stream.apply.batch_bytes:
            self._flush()

    def _flush_before(self) -> None:
        """Write what came before a transaction that cannot even be planned, without the part of it that was."""
        batch = self._batch
        batch.planner = Planner()
        for txn in batch.txns:
            plan_transaction(batch.planner, self._plans.of(txn.table_maps), txn)
        self._flush()
        self._pipeline.drain()

    def _after(self, txn: Txn) -> Checkpoint:
        """The checkpoint once this transaction is applied."""
        before = self._batch.checkpoint if self._batch.txns else self._checkpoint
        return before.after(txn, self._reader, txn.site or self._origin)

    def _flush(self) -> None:
        """Hand the open batch to the pipeline."""
        self._tell_fetched()  # before it is waited for: else the transactions that wait would not count as lag
        batch = self._batch
        if not batch.txns:
            return
        self._batch = Batch()
        batch.statements = batch.planner.statements(self._writers[0].limits)
        if len(self._writers) > 1:
            batch.footprint = batch.planner.footprint()
        batch.planner.let_go()
        self._reporter.gauge("batch_rows", batch.planner.rows)
        self._checkpoint = batch.checkpoint
        self._pipeline.submit(batch)

    def _tell_fetched(self) -> None:
        if self._fetched is not None:
            txn, self._fetched = self._fetched, None
            self._reporter.stage("fetched", txn.sequence, txn.gtid, txn.commit_time_us)

    def _settle(self) -> None:
        """Write everything complete, and down to the position behind it: nobody may come back for long."""
        self._flush()
        if self._large is None and self._gathered is None and self._checkpoint.stream_id:
            self._pass_on(save=True)
        self._pipeline.drain()

    def _record_end(self, end: RecordEnd) -> None:
        """All of a record was taken: the position is complete, and a restart need not read the record again."""
        self._tell_fetched()
        if self._batch.txns:
            self._batch.checkpoint = self._batch.checkpoint.behind(end)
            return
        if self._large is not None or self._gathered is not None:
            return
        before = self._checkpoint
        self._checkpoint = before.behind(end)
        if before.stream_id != self._checkpoint.stream_id:
            # An earlier stream of this name may have had the same sequences: what is remembered of its statements is not of ours.
            self._pass_on(save=True, statements=[Statement(self._ddl.disown(), ANYTHING)])
        else:
            self._pass_on(save=now_us() - self._saved_us > _SAVE_POSITION_S * 1_000_000)

    def _pass_on(self, *, save: bool, origin_time_us: int = 0, statements: Sequence[Statement] = ()) -> None:
        """Let the position move on behind everything submitted; written down only now and then."""
        if save:
            self._saved_us = now_us()
            self._pipeline.submit(
                Batch(checkpoint=self._checkpoint, origin_time_us=origin_time_us, statements=list(statements))
            )
        else:
            self._pipeline.pass_on(self._checkpoint, origin_time_us)

    def _heartbeat(self, beat: Heartbeat) -> None:
        """A sign of life of the origin passes all stages behind the transactions before it."""
        if beat.origin_time_us:
            self._clocks.heard(beat.origin_time_us, fresh=self._caught_up)
            state = self._reader.state
            self._reporter.stage("fetched", state.sequence, self._checkpoint.gtid, beat.origin_time_us)
            self._flush()
            # An origin that only applies acknowledges too: else all that is written here would be remembered for ever.
            self._checkpoint = replace(self._checkpoint, seen=max(self._checkpoint.seen, beat.seen))
            self._pass_on(save=False, origin_time_us=beat.origin_time_us)

    def _begin_large(self, item: LargeBegin) -> None:
        self._plans.flavor = self._reader.flavor
        self._gathered = Gathered(item)

    def _part(self, part: LargePart) -> None:
        """Chunks are gathered while the transaction would still fit into a batch; one that does not is written as it comes."""
        gathered = self._gathered
        if gathered is not None:
            gathered.add(part)
            if gathered.bytes > self._stream.apply.batch_bytes:
                self._gathered = None
                self._large = self._stream_large(gathered.begin)
                for early in gathered.parts:
                    self._large.part(early)
        elif self._large is not None:
            with self._database():
                self._large.part(part)

    @contextmanager
    def _database(self) -> Iterator[None]:
        """Count what is done inside as waiting for the database, but for the time that it computes."""
        began, used = time.monotonic(), time.thread_time()
        yield
        self._waits.add("database", max(0.0, time.monotonic() - began - (time.thread_time() - used)))

    def _stream_large(self, begin: LargeBegin) -> LargeTransaction:
        self._flush()
        self._pipeline.drain()
        txn = Txn(begin.sequence, begin.gtid, begin.commit_time_us, begin.site, (), b"", begin.epoch, begin.seen)
        self._reporter.stage("fetched", txn.sequence, txn.gtid, txn.commit_time_us)
        skip = bool(self._skip_gtid) and txn.gtid == self._skip_gtid
        checkpoint = replace(self._after(txn), kafka_offset=begin.offset)
        return LargeTransaction(txn, checkpoint, self._writers[0], self._ddl, self._worker, skip=skip)

    def _end_large(self, item: LargeEnd) -> None:
        if self._gathered is not None:
            gathered, self._gathered = self._gathered, None
            self._transaction(gathered.whole())
        elif self._large is not None:
            large, self._large = self._large, None
            with self._database():
                large.commit()
            self._checkpoint = large.checkpoint
            self._applied(large.checkpoint, large.checkpoint.commit_time_us)

    def _abort_large(self) -> None:
        self._gathered = None
        if self._large is not None:
            large, self._large = self._large, None
            large.abort()

    def _before_commit(self, _: Batch, others_written: bool) -> None:
        self._worker.pauses.hit("applier:before-commit")
        if others_written:
            self._worker.pauses.hit("applier:others-written")

    def _committed(self, batch: Batch) -> None:
        """Called by the pipeline, in order, right after each commit."""
        self._reporter.tick()
        self._worker.pauses.hit("applier:after-commit")
        self._reporter.count("rows_applied", batch.planner.rows)
        self._reporter.count("transactions_applied", len(batch.txns))
        self._reporter.count("batches")
        if batch.side_by_side:
            self._reporter.count("batches_side_by_side")
        # Locks are held while each change is looked at: while there are conflicts, batches are smaller.
        wanted = self._batch_rows * 2
        if batch.looked_closer:
            wanted = self._batch_rows // 4 if batch.slowly else min(self._batch_rows, _BATCH_ROWS_CLOSER)
        self._batch_rows = min(max(wanted, _BATCH_ROWS_MIN), self._stream.apply.batch_rows)
        self._applied(batch.checkpoint, batch.origin_time_us)

    def _passed(self, checkpoint: Checkpoint, origin_time_us: int) -> None:
        """The position moved on without anything written; a time is that of a heartbeat."""
        if self._local is not None and origin_time_us:
            self._local.passed(origin_time_us)
        self._applied(checkpoint, origin_time_us)

    def _applied(self, checkpoint: Checkpoint, origin_time_us: int) -> None:
        """Say to everyone how far the target has come."""
        if self._local is not None:
            self._local.forget(checkpoint.seen)
        known = self._reporter.stages.get("applied")
        time_us = origin_time_us or (known.origin_time_us if known else 0)
        self._reporter.stage("applied", checkpoint.sequence, checkpoint.gtid, time_us)
        self._reporter.position = checkpoint.position
        self._reporter.epoch = checkpoint.epoch
        self._acks.publish(
            Ack(
                stream_id=checkpoint.stream_id,
                epoch=checkpoint.epoch,
                sequence=checkpoint.sequence,
                gtid=checkpoint.gtid,
                position=checkpoint.position,
                origin_time_us=time_us,
                applied_time_us=now_us(),
            )
        )

    def _held_by(self, wish: Wish) -> bool:
        """Hold still where an operator asked to; True while held."""
        self._skip_gtid = wish.skip_gtid
        if not wish.paused:
            if self._reporter.state is State.PAUSED:
                self._plans.forget()  # somebody may have changed the target's tables in the meantime
            if self._reporter.state is not State.STREAMING and self._consumer.away is None:
                self._reporter.set_state(State.STREAMING, "streaming")
                self._worker.log.info("streaming", position=self._checkpoint.position, sequence=self._checkpoint.sequence)
            return False
        if self._reporter.state is not State.PAUSED:
            if self._large is not None:
                return False
            self._settle()
            self._reporter.set_state(State.PAUSED, f"paused: {wish.reason or 'no reason given'}")
            self._worker.log.info("paused", reason=wish.reason)
        self._worker.stop.wait(_PAUSE_S)
        return True

    def _report_start(self) -> None:
        """What the checkpoint says, also to the origin: a target that was restored has less than was acknowledged before."""
        checkpoint = self._checkpoint
        if checkpoint.stream_id:
            self._applied(checkpoint, checkpoint.commit_time_us)
        self._worker.log.info("checkpoint loaded", sequence=checkpoint.sequence, gtid=checkpoint.gtid)
