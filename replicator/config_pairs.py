"""A pair as configured: direction, tables, DDL policy, and how its source and applier work."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .config_mapping import Mapping
from .config_secret import Model
from .config_sites import Name
from .errors import DecodeError
from .filter import TableFilter, parse_pattern
from .gtid import MariaDbPosition, MySqlGtidSet
from .model import MAIN_STREAM

__all__ = ["FILE_AND_POSITION", "Apply", "DdlPolicy", "LagLimits", "Pair", "SourceSettings", "StreamTables", "Tables"]


def _pattern(text: str) -> str:
    try:
        parse_pattern(text)
    except ValueError as error:
        raise ValueError(f"{error}; remedy: write it as schema.table, for example shop.*") from None
    return text


FILE_AND_POSITION = re.compile(r"(?P<file>[^:]+\.\d{6,}):(?P<position>\d+)")
"""MariaDB only: the source turns it into a GTID position (``source.start``)."""


def _start(text: str) -> str:
    if text == "snapshot":
        raise ValueError(
            "there is no snapshot yet; remedy: load the target from a dump that names its GTID position, and give that as start "
            "(docs/OPERATING.md)"
        )
    if text in ("earliest", "latest") or FILE_AND_POSITION.fullmatch(text):
        return text
    for form in (MySqlGtidSet, MariaDbPosition):
        try:
            if str(form(text)):
                return text
        except DecodeError:
            pass
    raise ValueError("not a start; remedy: earliest, latest, a GTID set of the origin, or file:position of a MariaDB")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Pattern = Annotated[str, AfterValidator(_pattern)]
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(_listed)]


class Tables(Model):
    """Which tables: globs over `schema.table`."""

    include: Annotated[Patterns, Field(min_length=1)] = ("*.*",)
    """Globs over `schema.table`; system schemas never match."""
    exclude: Patterns = ()
    """Wins over `include`."""

    def filter(self) -> TableFilter:
        """As the filter that answers for each table."""
        return TableFilter(self.include, self.exclude)


class StreamTables(Model):
    """The tables of one stream: a part of the pair's."""

    include: Annotated[Patterns, Field(min_length=1)]
    """Its tables, within the pair's; no other stream may have them."""
    exclude: Patterns = ()
    """Wins over `include`."""


DdlAction = Literal["apply", "ignore", "halt"]


class DdlPolicy(Model):
    """What happens to DDL statements at the target, by class.

    ``default`` is for tables, indexes, views, databases and partitions. Triggers, routines and events are ignored unless
    named (or unless the default is `halt`), because they would act twice. Accounts and grants are never applied.
    """

    default: DdlAction = "apply"
    """`apply`, `ignore` or `halt`; the classes below are in docs/DDL.md and default to this, but trigger, routine and event to
    `ignore`."""
    create: DdlAction | None = None
    alter: DdlAction | None = None
    drop: DdlAction | None = None
    rename: DdlAction | None = None
    truncate: DdlAction | None = None
    index: DdlAction | None = None
    view: DdlAction | None = None
    database: DdlAction | None = None
    partition: DdlAction | None = None
    trigger: DdlAction | None = None
    routine: DdlAction | None = None
    event: DdlAction | None = None
    sequence: DdlAction | None = None

    def action(self, cls: str) -> DdlAction:
        """`apply`, `ignore` or `halt` for a statement class; an unknown class halts."""
        if cls in ("user", "admin", "server", "temporary"):
            return "ignore"
        if cls == "default" or cls not in DdlPolicy.model_fields:
            return "halt"
        own: DdlAction | None = getattr(self, cls)
        if own is not None:
            return own
        if cls in ("trigger", "routine", "event") and self.default == "apply":
            return "ignore"
        return self.default


class Apply(Model):
    """How the applier works."""

    connections: int = Field(default=4, ge=1, le=64)
    """Connections that write at once."""
    commit_order: Literal["preserve", "relaxed"] = "preserve"
    """`relaxed` would let independent transactions commit out of order; at present it is accepted and works as `preserve`."""
    batch_rows: int = Field(default=5000, ge=1, le=1_000_000)
    """Row changes that one target transaction takes at most (a larger origin transaction stays whole)."""
    batch_ms: float = Field(default=5, ge=0, le=10_000)
    """Accepted, without effect at present: a batch is written as soon as nothing more is at hand."""
    batch_bytes: int = Field(default=8 << 20, ge=1 << 10, le=1 << 30)
    """Row data that one batch takes at most; a larger transaction is written piece by piece."""
    detect: Literal["full", "key"] | None = None
    """Compare the whole row before a change, or only its key; default: the pair's."""
    retry_limit: int = Field(default=10, ge=0, le=1_000_000)
    """How often one batch is tried again after deadlocks and lock timeouts before the applier starts over, with backoff."""


class SourceSettings(Model):
    """How the source works."""

    record_bytes: int = Field(default=768 << 10, ge=4 << 10, le=24 << 20)
    """Row data in one Kafka record, before compression; the broker's limit must be higher."""
    compression_level: int = Field(default=1, ge=-7, le=19)
    """Of zstd."""
    linger_ms: float = Field(default=5, ge=0, le=10_000)
    """Records that are not full follow each other at least this far apart; one behind a pause goes at once."""
    heartbeat_seconds: float = Field(default=1.0, gt=0, le=3600)
    """Default: the pair's `heartbeat_seconds`."""
    read_timeout_s: float = Field(default=30, gt=0, le=3600)
    """Silence of the binlog connection after which it counts as dead."""


class LagLimits(Model):
    """From which lag on the page and `status` show a flow as late."""

    warn_seconds: float = Field(default=30, gt=0)
    """`level` is `late` from here on."""
    critical_seconds: float = Field(default=300, gt=0)
    """`level` is `critical` from here on."""


class Pair(Model):
    """A relation between two sites."""

    name: Name
    """Part of topics, metrics and rows; cannot be changed later without starting anew."""
    mode: Literal["one_way", "bidirectional"] = "one_way"
    """`one_way` or `bidirectional`."""
    origin: str
    """A name under `sites`."""
    target: str
    """A name under `sites`."""
    kafka: str | None = None
    """The site whose cluster carries the streams; default: each flow's origin."""
    start: Annotated[str, AfterValidator(_start)] = "earliest"
    """Where a new stream begins: `earliest`, `latest` or a GTID set of the origin. In a bidirectional pair a GTID set is for the
    flow from origin to target; the flow back then starts at `latest`."""
    tables: Tables = Tables()
    """Which tables the pair carries."""
    streams: dict[Name, StreamTables] = {}
    """Splits the pair's tables: each stream is ordered in itself alone. What none of them includes goes through `main`."""
    ddl: DdlPolicy = DdlPolicy()
    """What happens with DDL at the target, by class."""
    conflicts: dict[str, Any] = {}
    """Conflict policies, see docs/CONFLICTS.md."""
    apply: Apply = Apply()
    """How the applier works."""
    source: SourceSettings = SourceSettings()
    """How the source works."""
    mapping: Mapping = Mapping()
    """Other names, masks, dropped columns and row filters; one_way only."""
    detect: Literal["full", "key"] | None = None
    """Compare whole rows, or only their keys, to notice conflicts. Default: `full` in a bidirectional pair and
    for tables whose policies need it, else `key`: then a row that was changed at the target is overwritten unnoticed."""
    heartbeat_seconds: float = Field(default=1.0, gt=0, le=3600)
    """How often the source writes its row at the origin: lag is known to this precision."""
    lag_limits: LagLimits = LagLimits()
    """When the flow counts as late."""

    @model_validator(mode="after")
    def _plausible(self) -> Pair:
        if self.origin == self.target:
            raise ValueError("origin and target are the same site; remedy: name two sites")
        if MAIN_STREAM in self.streams:
            raise ValueError("the stream main carries the rest and cannot be configured; remedy: rename or remove it")
        if self.mode == "bidirectional" and not self.mapping.empty:
            raise ValueError(
                "a bidirectional pair cannot have a mapping, because it would have to be undone on the way back; "
                "remedy: make two one_way pairs"
            )
        return self

    def flows(self) -> list[tuple[str, str]]:
        """Its directions, as (origin, target)."""
        forth = (self.origin, self.target)
        return [forth, (self.target, self.origin)] if self.mode == "bidirectional" else [forth]

    def start_of(self, origin: str) -> str:
        """Where the stream of the flow from ``origin`` begins."""
        if origin == self.origin or self.start in ("earliest", "latest"):
            return self.start
        return "latest"
