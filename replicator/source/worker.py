"""The source's main loop: bytes of the binlog become records of the stream, each acknowledged by Kafka.

Read ``Source.run`` first. The topic is the source's checkpoint: ``takeover`` finds where it ends and claims it. A lost
connection to the origin is opened anew behind what was read; whatever Kafka refuses ends the run, and the next one takes the
stream over again.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..context import Waits
from ..control import Control, Wish
from ..errors import DatabaseError, KafkaFailure, SourceError
from ..gtid import parse_position
from ..model import Role, State
from ..stream.acks import AckReader
from ..stream.client import kafka_place
from ..stream.producer import ControlRecord, RecordProducer
from ..stream.topics import TopicWatch, ensure_topics
from ..stream.wire import Kind, RecordHeader, pack_record
from .assembler import Assembler, Rules
from .connection import BinlogConnection
from .division import division_of
from .marks import Marks
from .origin import Origin
from .pulse import Pulse
from .records import Sealed
from .reshape import Reshaped, reshape
from .statements import Statements
from .takeover import take_over

if TYPE_CHECKING:
    from ..config import StreamConfig
    from ..context import Worker

__all__ = ["run_source"]

_TICK_S = 0.1
_CONTROL_S = 1.0
_ACKS_S = 0.25
_POSITION_S = 0.25
_POSITION_BOTH_WAYS_S = 0.01
"""How long a position may be ahead of the last record before a record tells it. An applier of a bidirectional pair waits for
it where commit times decide (``apply.local``)."""
_REST_S = 0.05
"""How long complete transactions wait for the rest of one whose beginning was received with them."""
_END_S = 0.001
"""How long the origin is waited for at a time while a record is due, but for that rest."""
_FILL_S = 0.005
"""How long a record that is due may go on filling while the binlog has more."""
_DRAIN_S = 8.0
_SILENCE_S = 5.0
"""After so long without an acknowledgement the topic itself is looked at."""
_UNACKNOWLEDGED_S = 10.0
"""After so long nobody is told that this streams, although the cluster answers."""
_BACKOFF_MAX_S = 10.0


def run_source(stream: StreamConfig, worker: Worker) -> None:
    """Ship the stream until ``worker.stop`` is set; everything sent is then acknowledged.

    Raises SourceError for what cannot be shipped without loss, with everything before it shipped; HistoryLostError,
    FencedError; DatabaseError and KafkaFailure where trying again may help.
    """
    with ExitStack() as resources:
        Source(stream, worker, resources).run()


class Source:
    """One stream's source, wired up, with the stream taken over."""

    def __init__(self, stream: StreamConfig, worker: Worker, resources: ExitStack) -> None:
        self._stream = stream
        self._worker = worker
        self._reporter = worker.reporter
        self._waits = Waits(self._reporter, "binlog", "kafka")
        self._control = Control(stream, Role.SOURCE)
        self._wish = Wish()
        resources.callback(self._control.close)
        self._origin = Origin(stream)
        resources.callback(self._origin.close)
        self._origin.check()
        ensure_topics(stream)
        self._topic = TopicWatch(stream)
        self._producer = RecordProducer(stream)
        resources.callback(self._producer.close)
        self._acks = AckReader(stream)
        resources.callback(self._acks.close)
        facts = self._origin.facts
        self._flavor = facts.flavor
        known = self._origin.known_stream()
        self._tail = take_over(stream, self._producer, flavor=facts.flavor, begin=self._origin.begin, known_id=known)
        self._reporter.epoch = self._tail.epoch
        self._origin.heartbeat(self._tail.stream_id, self._tail.epoch)
        self._pulse = Pulse(stream, worker, self._tail.stream_id, self._tail.epoch)
        resources.callback(self._pulse.close)
        self._resume = self._tail.resume
        self._assembler = self._assemble()
        self._connection: BinlogConnection | None = None
        resources.callback(self._disconnect)
        self._heard_at = 0.0
        self._acknowledged_at = time.monotonic()
        self._kafka_away = False
        self._waiting_since = 0.0
        self._sealed_at = 0.0
        self._more = False
        """Whether the origin had sent more than was received last: only then it is behind, or may be."""
        self._told = (self._tail.resume, self._tail.shipped)
        self._division = division_of(stream, stream.id.stream)
        self._beat_told_us = 0
        self._due = dict.fromkeys(("beat", "control", "acks", "position", "remember", "topic"), 0.0)
        self._newest: ControlRecord | None = None
        self._remembered: ControlRecord | None = None
        worker.log.info(
            "stream taken over", epoch=self._tail.epoch, sequence=self._tail.sequence, position=self._tail.resume
        )

    def _assemble(self) -> Assembler:
        stream, tail = self._stream, self._tail
        facts = self._origin.facts
        marks = Marks(stream.id, facts.flavor)
        for connection_id, second, site in self._origin.intents():
            marks.intent(connection_id, second, site)
        statements = Statements(
            stream.tables, flavor=facts.flavor, version=facts.version, lower_names=facts.lower_names
        )
        rules = Rules(
            flavor=facts.flavor,
            wants=stream.tables.wants,
            statements=statements,
            marks=marks,
            direct=stream.direct,
            reshape=self._reshape,
        )
        assembler = Assembler(
            rules,
            read=parse_position(facts.flavor, tail.shipped or tail.resume),
            resume=parse_position(facts.flavor, tail.resume),
            sequence=tail.sequence,
            record_bytes=stream.source.record_bytes,
            emit=self._emit,
            where=f"site {stream.origin.name}",
        )
        records = assembler.records
        records.seen = tail.seen
        records.keeps_time = stream.pair.mode == "bidirectional" or stream.target_log is not None
        # What is further ahead the policies refuse to decide by.
        records.ahead_us = max(records.ahead_us, 1000 * stream.policies.clock_offset_ms_max)
        records.carry_time(tail.time_us)
        return assembler

    def _reshape(self, schema: str, table: str, body: bytes) -> Reshaped | None:
        mapping = self._stream.mapping
        return reshape(body, self._flavor, mapping) if mapping.changes_rows(schema, table) else None

    def run(self) -> None:
        """The main loop."""
        backoff_s = 0.1
        while not self._worker.stop.is_set():
            self._reporter.tick()
            if self._held():
                continue
            try:
                if self._connection is None:
                    self._connect()
                self._read()
                backoff_s = 0.1
            except DatabaseError as error:
                self._lose(error)
                self._worker.stop.wait(backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)
            except SourceError:
                self._finish()  # what came before it is shipped whole
                raise
            self._chores()
        self._finish()

    def _connect(self) -> None:
        """Request the binlog behind what was read."""
        stream = self._stream
        self._origin.check()
        self._origin.check_has(self._assembler.position)
        read_timeout = stream.source.read_timeout_s
        settings = {"connect_timeout": 5, "read_timeout": read_timeout, **stream.origin.database.connect_args()}
        self._connection = BinlogConnection(
            settings,
            flavor=self._flavor,
            server_id=stream.server_id,
            position=self._resume,
            heartbeat_s=min(1.0, read_timeout / 3),
        )
        self._heard_at = time.monotonic()
        self._reporter.set_state(State.STREAMING, "streaming")
        self._worker.log.info("reading the binlog", position=self._resume)

    def _read(self) -> None:
        """Receive once, and ship what is ready; an open record is sealed when nothing more is there."""
        connection, records = self._connection, self._assembler.records
        assert connection is not None
        # A record behind a pause goes at once; those that follow closely are fewer and larger, because each costs the whole way
        # some milliseconds of processor time.
        due_at = self._sealed_at + self._stream.source.linger_ms / 1000
        began = time.monotonic()
        patience_s = _TICK_S
        if records.waiting:
            patience_s = min(max(due_at - began, 0.0), _TICK_S)
            if patience_s and not self._more:
                time.sleep(patience_s)  # and read once what comes meanwhile, instead of transaction by transaction
                patience_s = 0.0
            if self._assembler.in_transaction:
                patience_s = max(patience_s, _END_S)
        readable = connection.wait(patience_s)
        self._waits.add("binlog", time.monotonic() - began)
        if readable:
            self._assembler.feed(connection.receive())
            self._heard_at = time.monotonic()
            self._note_progress()
            self._more = connection.wait(0)
            if self._more and time.monotonic() < due_at + _FILL_S:
                return  # the open record may fill: its size cuts it
        elif time.monotonic() - self._heard_at > self._stream.source.read_timeout_s:
            raise DatabaseError(
                f"the origin was silent for {self._stream.source.read_timeout_s:g} s", where=f"site {self._stream.origin.name}"
            )
        if not records.waiting:
            self._waiting_since = 0.0
            return
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if self._assembler.in_transaction:
            due_at = max(due_at, self._waiting_since + _REST_S)  # its rest is about to come
        if now >= due_at:
            records.seal()
            self._waiting_since = 0.0
            self._sealed_at = now

    def _note_progress(self) -> None:
        records = self._assembler.records
        known = self._reporter.stages.get("read")
        if known is None or known.sequence != records.sequence:
            self._reporter.stage("read", records.sequence, records.last_gtid.decode(), records.last_time_us)
        beat_us = self._assembler.heartbeat_time_us
        if beat_us != self._beat_told_us:
            self._beat_told_us = beat_us
            self._reporter.stage("read", records.sequence, records.last_gtid.decode(), beat_us)

    def _lose(self, error: DatabaseError) -> None:
        """The connection is gone: forget the open transaction, and come back behind what was read."""
        self._disconnect()
        self._resume = self._assembler.restart()
        self._reporter.fail(error, State.RETRYING)
        self._reporter.count("reconnects")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- records ---

    def _emit(self, sealed: Sealed) -> None:
        """Send one record; waits while too much is on its way."""
        tail = self._tail
        header = RecordHeader(
            sealed.kind,
            tail.stream_id,
            tail.epoch,
            tail.source_id,
            sealed.first,
            sealed.last,
            sealed.resume,
            self._flavor,
            sealed.origin_time_us,
            sealed.chunk,
            sealed.payload_bytes,
            sealed.payload_crc,
            sealed.shipped,
            sealed.seen,
        )
        value = pack_record(header, sealed.body, level=self._stream.source.compression_level)
        if sealed.kind != Kind.HEARTBEAT:
            self._worker.pauses.hit("source:read-not-sent")
        began = time.monotonic()
        self._producer.send(value, (header, sealed.gtid), waiting=self._while_waiting)
        self._waits.add("kafka", time.monotonic() - began)
        self._told = (sealed.resume, sealed.shipped)
        self._reporter.count("records_sent")
        self._reporter.count("bytes_sent", len(value))
        if sealed.kind != Kind.HEARTBEAT:
            self._worker.pauses.hit("source:sent-not-acknowledged")
        self._acknowledged()

    def _acknowledged(self) -> None:
        self._note_acknowledged(self._producer.acknowledged())

    def _note_acknowledged(self, done: list[tuple[tuple[RecordHeader, str], int]]) -> None:
        if done:
            self._acknowledged_at = time.monotonic()
            if self._kafka_away and self._connection is not None and self._reporter.state is State.RETRYING:
                self._reporter.set_state(State.STREAMING, "streaming")
            self._kafka_away = False
        for (header, gtid), offset in done:
            if header.kind != Kind.HEARTBEAT:
                self._worker.pauses.hit("source:acknowledged")
            known = self._reporter.stages.get("acknowledged")
            gtid = gtid or (known.gtid if known else "")
            if header.origin_time_us and header.kind != Kind.CHUNK:
                self._reporter.stage("acknowledged", header.last_sequence, gtid, header.origin_time_us)
            if header.kind != Kind.CHUNK:
                self._newest = ControlRecord(
                    header.stream_id,
                    header.epoch,
                    header.source_id,
                    header.last_sequence,
                    gtid,
                    header.resume,
                    self._flavor,
                    offset,
                    header.shipped,
                    header.seen,
                    self._assembler.records.newest_us,
                    self._division,
                )

    def _finish(self) -> None:
        """Ship what is complete, and wait until Kafka has it."""
        self._disconnect()
        self._resume = self._assembler.restart()
        self._note_acknowledged(self._producer.drain(_DRAIN_S))
        self._remember()
        self._producer.flush_control(2)

    def _remember(self) -> None:
        if self._newest is not None and self._newest is not self._remembered:
            self._producer.remember(self._newest)
            self._remembered = self._newest

    # --- what is done now and then ---

    @staticmethod
    def _limit(binlog: int, kafka: int) -> str:
        """What limits the source, by its shares of waiting."""
        if kafka >= 50:
            return f"limited by Kafka ({kafka} % of the time it was waited for)"
        if binlog >= 50:
            return f"caught up ({binlog} % of the time the origin sent nothing)"
        return f"limited by its own processor time (waited {binlog} % for the origin, {kafka} % for Kafka)"

    def _chores(self) -> None:
        now = time.monotonic()
        self._waits.tell(self._limit)
        self._acknowledged()
        if not self._producer.pending:
            self._acknowledged_at = now
        if self._is_due("beat", now, self._stream.source.heartbeat_seconds):
            self._beat()
        if self._is_due("remember", now, _CONTROL_S):
            self._remember()
            self._reporter.position = str(self._assembler.position)
        self._look_at_topic(now)
        if self._is_due("acks", now, _ACKS_S):
            self._read_acks()
        both_ways = self._stream.pair.mode == "bidirectional"
        if self._is_due("position", now, _POSITION_BOTH_WAYS_S if both_ways else _POSITION_S):
            self._tell_position()

    def _while_waiting(self) -> None:
        """Much is on its way, and Kafka does not take it."""
        self._reporter.tick()
        self._look_at_topic(time.monotonic())

    def _look_at_topic(self, now: float) -> None:
        silent_s = now - self._acknowledged_at
        if silent_s <= _SILENCE_S or not self._is_due("topic", now, _SILENCE_S):
            return
        away = self._topic.look()
        if away is None and silent_s > _UNACKNOWLEDGED_S:
            away = KafkaFailure(
                f"Kafka has acknowledged nothing for {silent_s:.0f} s",
                where=f"topic {self._stream.id.topic}, {kafka_place(self._stream.kafka)}",
                remedy="check that enough replicas are in sync (min.insync.replicas), and its disks",
            )
        if away is not None and self._reporter.state is State.STREAMING:
            self._kafka_away = True
            self._reporter.fail(away, State.RETRYING)  # the producer goes on trying by itself

    def _is_due(self, name: str, now: float, every_s: float) -> bool:
        if now < self._due[name]:
            return False
        self._due[name] = now + every_s
        return True

    def _beat(self) -> None:
        """Where the origin is read-only there are no heartbeat rows: a record tells at least that the source is there."""
        if not self._pulse.writable and self._connection is not None and not self._assembler.in_transaction:
            self._assembler.records.emit_heartbeat(0)

    def _tell_position(self) -> None:
        """Let the position pass on where transactions were read that the flow does not carry."""
        assembler = self._assembler
        if self._connection is None or assembler.in_transaction or assembler.records.waiting:
            return
        if str(assembler.position) != (self._told[1] or self._told[0]):
            assembler.records.emit_heartbeat(0)

    def _read_acks(self) -> None:
        try:
            ack = self._acks.latest()
        except KafkaFailure:
            return  # the producer notices too, if it lasts
        if ack is not None and ack.stream_id == self._tail.stream_id:
            self._reporter.stage("confirmed", ack.sequence, ack.gtid, ack.origin_time_us)

    def _held(self) -> bool:
        """Hold still where an operator asked to; True while held."""
        try:
            self._wish = self._control.poll()
        except DatabaseError as error:  # the binlog connection tells whether the origin is away
            self._worker.log.warning("cannot ask for an operator's wish", error=error.what)
        wish = self._wish
        if not wish.paused:
            return False
        if self._reporter.state is not State.PAUSED:
            self._finish()
            self._reporter.set_state(State.PAUSED, f"paused: {wish.reason or 'no reason given'}")
        self._chores()
        self._worker.stop.wait(_CONTROL_S / 2)
        return True
