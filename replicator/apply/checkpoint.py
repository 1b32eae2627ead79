"""The checkpoint of a stream in the target database: loaded at start, then written first in every transaction of rows.

Each connection (*slot*) of the applier has a row of its own; the row with the highest sequence is the checkpoint, because
batches commit in order. The row's ``owner`` is the fence: a takeover writes a new one, and the statement of an applier that
lost the stream then changes no row.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pymysql
from msgspec.structs import replace

from .. import meta
from ..context import now_us
from ..errors import DatabaseError, FencedError
from ..stream.reader import ReaderState, RecordEnd, StreamReader, Txn

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Checkpoint", "Fence"]


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """What has been applied. ``sequence`` 0 and an empty ``stream_id`` mean nothing yet; ``kafka_offset`` is where to read on."""

    stream_id: str = ""
    epoch: int = 0
    source_id: str = ""
    sequence: int = 0
    gtid: str = ""
    site: str = ""
    commit_time_us: int = 0
    position: str = ""
    kafka_offset: int = 0
    seen: int = 0
    """How far the origin had applied the stream back, as of its last transaction."""

    @property
    def state(self) -> ReaderState | None:
        """What the stream's reader goes on from; None where nothing was applied."""
        if not self.stream_id:
            return None
        return ReaderState(self.stream_id, self.epoch, self.source_id, self.sequence)

    def after(self, txn: Txn, reader: StreamReader, site: str) -> Checkpoint:
        """Once this transaction, first committed at ``site``, is applied: a restart finds it in its record, and drops it."""
        return Checkpoint(
            reader.stream_id,
            txn.epoch,
            reader.source_id,
            txn.sequence,
            txn.gtid,
            site,
            txn.commit_time_us,
            self.position,
            self.kafka_offset,
            max(txn.seen, self.seen),
        )

    def behind(self, end: RecordEnd) -> Checkpoint:
        """Once all of a record is applied: the position is complete, and a restart need not read the record again."""
        state = end.state
        return replace(
            self,
            position=end.position,
            kafka_offset=end.restart_offset,
            stream_id=state.stream_id,
            epoch=state.epoch,
            source_id=state.source_id,
        )


class Fence:
    """Holds the stream for this process: a named lock at the target, and the owner token in the slots' rows."""

    def __init__(self, stream: StreamConfig) -> None:
        self._flow, self._name = stream.id.flow, stream.id.stream
        self._site = stream.target.name
        self.owner = uuid.uuid4().hex
        digest = hashlib.sha256(f"{self._flow}\0{self._name}".encode()).hexdigest()[:32]
        self._lock = f"replicator.{digest}"
        self.statements = f"replicator.{digest}.ddl"
        """A named lock that is held by whoever runs a statement of the stream, see ``ddl``."""
        try:
            self._connection: pymysql.Connection[Any] = pymysql.connect(
                **{"connect_timeout": 10, "read_timeout": 60, **stream.target.database.connect_args()},
                charset="utf8mb4",
                autocommit=True,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise self._trouble(error) from error

    def take(self, slots: int) -> Checkpoint:
        """Take the stream over and load its checkpoint. Raises FencedError where another applier holds it."""
        try:
            meta.ensure(self._connection)
            with self._connection.cursor() as cursor:
                cursor.execute("SET SESSION wait_timeout=31536000")
                cursor.execute("SELECT GET_LOCK(%s, 2)", (self._lock,))
                if cursor.fetchone() != (1,):
                    cursor.execute("SELECT IS_USED_LOCK(%s)", (self._lock,))
                    holder = cursor.fetchone()
                    raise FencedError(
                        f"another applier holds the stream {self._flow}.{self._name}",
                        where=f"site {self._site}, connection {holder[0] if holder else 'unknown'}",
                        remedy="run one applier for each stream; this one waits and takes over when the other one ends",
                        retry=True,
                    )
                for slot in range(slots):
                    cursor.execute(
                        f"INSERT IGNORE INTO {meta.CHECKPOINT} VALUES (%s,%s,%s,'','',0,'',0,'','',0,'',0,0,0)",
                        (self._flow, self._name, slot),
                    )
                cursor.execute(
                    f"UPDATE {meta.CHECKPOINT} SET owner=%s WHERE flow=%s AND stream=%s", (self.owner, self._flow, self._name)
                )
                cursor.execute(
                    "SELECT stream_id, epoch, source_id, sequence, gtid, site, commit_time_us, position, kafka_offset, seen"
                    f" FROM {meta.CHECKPOINT} WHERE flow=%s AND stream=%s"
                    " ORDER BY sequence DESC, kafka_offset DESC LIMIT 1",
                    (self._flow, self._name),
                )
                row = cursor.fetchone()
        except (pymysql.MySQLError, OSError) as error:
            raise self._trouble(error) from error
        return Checkpoint(*row) if row else Checkpoint()

    def statement(self, slot: int, to: Checkpoint) -> bytes:
        """The first statement of a transaction: it must affect one row, or the stream is somebody else's."""
        values = (
            f"stream_id={_text(to.stream_id)},epoch={to.epoch},source_id={_text(to.source_id)},sequence={to.sequence},"
            f"gtid={_text(to.gtid)},site={_text(to.site)},commit_time_us={to.commit_time_us},position={_text(to.position)},"
            f"kafka_offset={to.kafka_offset},updated_us={now_us()},seen={to.seen}"
        )
        where = f"flow={_text(self._flow)} AND stream={_text(self._name)} AND slot={slot} AND owner='{self.owner}'"
        return f"UPDATE {meta.CHECKPOINT} SET {values} WHERE {where}".encode()

    def lost(self) -> FencedError:
        """The error for a statement that affected no row."""
        return FencedError(
            f"another applier took the stream {self._flow}.{self._name} over",
            where=f"site {self._site}",
            remedy="run one applier for each stream; this one has rolled back what it held and waits",
            retry=True,
        )

    def close(self) -> None:
        """Give the stream back; safe to call twice."""
        self._connection._force_close()  # type: ignore[attr-defined]

    def _trouble(self, error: Exception) -> DatabaseError:
        words = error.args[1] if len(error.args) > 1 else type(error).__name__
        return DatabaseError(
            f"cannot load the checkpoint: {words}",
            where=f"site {self._site}",
            remedy="check that the target's database runs, and the user's grants on the schema replicator",
        )


def _text(value: str) -> str:
    """A string literal for a session with ``SET NAMES binary``; names of sites may hold any character."""
    return "_utf8mb4 x'" + value.encode().hex() + "'" if value else "''"
