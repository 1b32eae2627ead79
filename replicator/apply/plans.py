"""The plans of an applier: how each table map of the stream is written into the target's table, looked up once.

Where the target has no such table, or not all of the columns, a policy may leave out what has no place; what was left out is
recorded with the rest of the batch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from conflict.rules import PolicyName
from conflict.types import ConflictType, Record

from ..errors import ApplyError, ConfigError, StructureHalt
from ..model import qualified
from ..row.tablemap import parse_table_map
from ..row.types import TableMap
from ..stream.reader import Txn
from ..stream.wire import read_events
from .batch import ANYTHING, KINDS, Planner, Statement
from .journal import Journal
from .missing import Missing
from .plan import TablePlan, make_plan
from .shape import shape_of
from .target import Targets

if TYPE_CHECKING:
    from ..config import StreamConfig

__all__ = ["Plans", "PlansByIndex", "plan_transaction"]

_PACKET_BYTES = 4 << 20


class Plans:
    """Plans by table map; shared by all writers of an applier. ``checks``: a table that the policies do not fit has none."""

    def __init__(self, stream: StreamConfig, targets: Targets, *, checks: bool = False) -> None:
        self._stream = stream
        self._checks = checks
        self.targets = targets
        self.flavor = ""
        """Of the origin's server; set before the first transaction."""
        self._plans: dict[bytes, tuple[TablePlan | None, Missing | None]] = {}
        self._version = -1
        self._lock = threading.Lock()
        self._detect = stream.apply.detect or stream.pair.detect
        self._last = PlansByIndex(self, (), -1)

    def of(self, table_maps: Sequence[bytes]) -> PlansByIndex:
        """The plans by table map index, each made when it is asked for: a record may name tables that its DDL creates first."""
        last = self._last
        if last.table_maps is not table_maps or last.version != self.targets.version:
            last = self._last = PlansByIndex(self, table_maps, self.targets.version)
        return last

    def get(self, body: bytes) -> TablePlan | None:
        """The plan of one table map, None where a policy leaves the table out; raises ApplyError where the target has no such
        table or column and none does, and ConfigError where a policy does not fit it.
        """
        return self.look(body)[0]

    def look(self, body: bytes) -> tuple[TablePlan | None, Missing | None]:
        """The plan of one table map, and what of it the target has no place for."""
        with self._lock:
            self._renew()
            if body not in self._plans:
                try:
                    self._plans[body] = self._make(body)
                except (ApplyError, ConfigError):
                    self.targets.forget()  # a statement may have run there since
                    self._renew()
                    try:
                        self._plans[body] = self._make(body)
                    except StructureHalt as halt:
                        halt.table_map = body
                        raise
            return self._plans[body]

    def _renew(self) -> None:
        if self._version != self.targets.version:
            self._plans.clear()
            self._version = self.targets.version

    @property
    def lacks(self) -> bool:
        """Whether something was left out by the plans that hold now."""
        return any(missing is not None for _, missing in self._plans.values())

    def forget(self) -> None:
        """The target's tables may have changed: ask again."""
        with self._lock:
            self.targets.forget()

    def target_name(self, schema: str, table: str) -> tuple[str, str]:
        """What an origin's table is called at the target."""
        return self._stream.mapping.target_table(schema, table)

    def target_schema(self, schema: str) -> str:
        """What an origin's database is called at the target."""
        return self._stream.mapping.target_schema(schema) if schema else ""

    def _make(self, body: bytes) -> tuple[TablePlan | None, Missing | None]:
        table_map = parse_table_map(body, self.flavor)
        schema, name = self.target_name(table_map.schema, table_map.table)
        target = self.targets.find(schema, name)
        if target is None:
            if self._leaves_out(ConflictType.TARGET_TABLE_MISSING, table_map):
                return None, Missing(self._stream, body, self.flavor, schema, name, ())
            raise StructureHalt(
                f"target_table_missing: the target has no table {qualified(schema, name)}",
                where=f"site {self._stream.target.name}",
                remedy="create the table at the target as it is at the origin (or exclude it from the pair, or set the policy "
                "skip_if_missing), then `replicator resume`",
            )
        if target.triggers:
            raise ApplyError(
                f"the target's table {target.quoted} has triggers that would act twice: {', '.join(target.triggers)}",
                where=f"site {self._stream.target.name}",
                remedy="their effects arrive by themselves: drop them at the target, or guard them (docs/DDL.md); then "
                "`replicator resume`",
            )
        skip = self._leaves_out(ConflictType.TARGET_COLUMN_MISSING, table_map)
        plan = make_plan(body, self.flavor, target, full=self._full(table_map), skip_missing=skip)
        if self._checks and plan.identity:  # else rows are found by all of their values, and policies settle no columns
            self._check(plan)
        missing = Missing(self._stream, body, self.flavor, schema, name, plan.lacking) if plan.lacking else None
        return (None if missing and self._stream.policies.observe else plan), missing

    def lacking(self, halt: StructureHalt) -> Missing:
        """What the target has no place for."""
        table_map = parse_table_map(halt.table_map, self.flavor)
        names = self.target_name(table_map.schema, table_map.table)
        return Missing(self._stream, halt.table_map, self.flavor, *names, (halt.column,) if halt.column else ())

    def _check(self, plan: TablePlan) -> None:
        """Raise ConfigError where policies do not fit the columns that are written; of others they may say what they like."""
        source = plan.map
        rules = self._stream.mapping.rules(source.schema, source.table)
        others = {column.name.casefold() for i, column in enumerate(source.columns) if i not in plan.written}
        others.update(name.casefold() for name in (rules.drop_columns if rules is not None else ()))
        # Not every table need have what a default for all of them names, nor every row a NULL that a column may hold: where it
        # comes to that, the change goes to quarantine.
        info = shape_of(plan).info
        info = replace(info, columns=tuple([replace(column, nullable=False) for column in info.columns]))
        misfits = self._stream.misfits(info, but=others, default_columns=False)
        if misfits:
            raise ConfigError(
                "\n".join([f"{what}; {remedy}" for what, remedy in misfits]),
                where=f"table {source.qualified}, before its first change",
                remedy="correct the policy and reload the configuration (SIGHUP), or mend the table and `replicator resume`",
            )

    def _leaves_out(self, conflict: ConflictType, table_map: TableMap) -> bool:
        policies = self._stream.policies
        policy = policies.policy_for(conflict, (table_map.schema, table_map.table))
        return policies.observe or policy.name is PolicyName.SKIP_IF_MISSING

    def _full(self, table_map: TableMap) -> bool:
        detect = self._stream.policies.detect((table_map.schema, table_map.table)) or self._detect
        if detect is not None:
            return detect == "full"
        if self._stream.pair.mode == "bidirectional":
            return True
        return bool(self._stream.policies.needs_full((table_map.schema, table_map.table)))


class PlansByIndex(dict[int, "TablePlan | None"]):
    """The plans of one run of table maps, filled when asked for."""

    def __init__(self, plans: Plans, table_maps: Sequence[bytes], version: int) -> None:
        self._plans = plans
        self.table_maps = table_maps
        self.version = version
        self.missing: dict[int, Missing] = {}
        """What the target has no place for, by table map index; known once the plan was asked for."""

    def __missing__(self, index: int) -> TablePlan | None:
        plan, missing = self._plans.look(self.table_maps[index])
        self[index] = plan
        if missing is not None:
            self.missing[index] = missing
        return plan


    def record_of(self, halt: StructureHalt, txn: Txn) -> bytes:
        """The SQL that records the first change of a transaction that has no place at the target."""
        for event in read_events(txn.events):
            if event.type in KINDS and self.table_maps[event.table] == halt.table_map:
                return self._plans.lacking(halt).halt(txn, event.type, event.payload)
        return b""


def plan_transaction(planner: Planner, plans: PlansByIndex, txn: Txn) -> None:
    """Plan the changes of a transaction, and the record of what is left out of it."""
    planner.made_for(plans.version)
    try:
        planner.add(plans, txn.events)
    except StructureHalt as halt:
        halt.entry = plans.record_of(halt, txn)
        raise
    if plans.missing:
        found = list(_left_out(plans, txn))
        planner.extra += [Statement(sql, ANYTHING) for sql in Journal.entries([entry for _, entry, _ in found], _PACKET_BYTES)]
        planner.left_out += [(record, name) for record, _, name in found]


def _left_out(plans: PlansByIndex, txn: Txn) -> Iterator[tuple[Record, bytes, str]]:
    """What is recorded of the changes for which the target has no place: as a record, as a row of the log, and its table."""
    for event in read_events(txn.events):
        if event.type in KINDS and event.table in plans.missing:
            missing = plans.missing[event.table]
            for record, entry in missing.entries(txn, event.type, event.payload):
                yield record, entry, missing.name
