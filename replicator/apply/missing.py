"""What the target's structure has no place for, where a policy says to leave it out: each change of it is recorded whole.

A change of a missing table is left out; of one with a missing column, the column. The record of the change, with all of its
values, goes into ``replicator.conflict_log`` in the transaction that the change would have been in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conflict.engine import decide_structural
from conflict.types import ConflictType, Decision, Provenance, Record, Row

from ..model import qualified
from ..row.convert import value_of_text
from ..row.decode import Mode, decoder
from ..row.tablemap import parse_table_map
from ..stream.reader import Txn
from .batch import kind_of
from .journal import Journal
from .plan import Image

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Missing"]

_MODE: Mode = "text"


@dataclass(frozen=True, slots=True)
class _LogShape:
    """How the origin's rows are written into the log: all of their columns."""

    name: str
    column_names: list[str]
    key: tuple[int, ...]

    def key_values(self, row: Row) -> list[object]:
        """The values of the key at the origin, or of the whole row where it has none."""
        return [row[i] for i in self.key]


class Missing:
    """One table map of the origin whose table, or some of whose columns (``columns``), the target has not."""

    def __init__(self, stream: StreamConfig, body: bytes, flavor: str, schema: str, table: str, columns: tuple[str, ...]) -> None:
        self._stream = stream
        self._journal = Journal(stream)
        self._map = parse_table_map(body, flavor)
        self._decode = decoder(self._map, before=_MODE, after=_MODE)
        key = self._map.primary_key or tuple(range(len(self._map.columns)))
        self._shape = _LogShape(f"{schema}.{table}", [c.name for c in self._map.columns], key)
        self.conflict = ConflictType.TARGET_COLUMN_MISSING if columns else ConflictType.TARGET_TABLE_MISSING
        lacking = f"column {', '.join(columns)} of {qualified(schema, table)}" if columns else qualified(schema, table)
        self.detail = f"{lacking} is missing"

    @property
    def name(self) -> str:
        """The target's table."""
        return self._shape.name

    def decision(self, origin: Provenance) -> Decision:
        """What the policies say about a change of that site."""
        table = (self._map.schema, self._map.table)
        return decide_structural(
            self.conflict, policies=self._stream.policies, table=table, detail=self.detail, origin=origin
        )

    def entries(self, txn: Txn, kind: int, payload: bytes) -> Iterator[tuple[Record, bytes]]:
        """What to record of each change of a rows event, as rows of the log."""
        for before, after in self._decode(kind, payload):
            yield self.entry(txn, before, after)

    def entry(self, txn: Txn, before: Image | None, after: Image | None) -> tuple[Record, bytes]:
        """The same of one change, whose images are texts."""
        site = txn.site or self._stream.origin.name
        decision = self.decision(Provenance(site, txn.commit_time_us, txn.gtid, txn.sequence))
        assert decision.record is not None
        images = self._values(before), self._values(after)
        return decision.record, self._journal.row(txn, kind_of(before, after), *images, self._shape, None, decision)

    def halt(self, txn: Txn, kind: int, payload: bytes) -> bytes:
        """The SQL that records the first change of a rows event, before which the flow stops."""
        before, after = self._decode(kind, payload)[0]
        decision = self.decision(Provenance(txn.site or self._stream.origin.name, txn.commit_time_us, txn.gtid, txn.sequence))
        images = self._values(before), self._values(after)
        return self._journal.once(txn, kind_of(before, after), *images, self._shape, None, decision)

    def _values(self, texts: Image | None) -> Row | None:
        if texts is None:
            return None
        return tuple([value_of_text(c, text) for c, text in zip(self._map.columns, texts, strict=True)])
