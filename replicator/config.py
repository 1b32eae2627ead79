"""The configuration: one YAML (or JSON) file, the same at every site. See config/example.yaml.

``load_config`` finds everything that is wrong at once. ``Config.streams`` gives the work: one ``StreamConfig`` per stream
of each flow, with everything resolved that its source and its applier must know.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr

from conflict import Policies, TableInfo
from conflict.rules import matches

from .config_conflicts import parse_conflicts
from .config_flows import Flow, check_flows, check_streams, direct_sites, filters_meet, flows_of, stream_filters, unheard_sites
from .config_mapping import Mapping, Mask, RowFilter, TableMapping
from .config_pairs import Apply, DdlPolicy, LagLimits, Pair, SourceSettings, StreamTables, Tables
from .config_problems import describe, validate
from .config_secret import Model, Secret, Tls
from .config_sites import Database, Http, Kafka, Name, Sasl, Site
from .config_yaml import Document, Key, Problem, read_document
from .errors import ConfigError, UsageError
from .filter import TableFilter
from .model import Role, StreamId

__all__ = [
    "Apply",
    "Config",
    "Database",
    "DdlPolicy",
    "Http",
    "Kafka",
    "LagLimits",
    "Mapping",
    "Mask",
    "Pair",
    "RowFilter",
    "Sasl",
    "Secret",
    "Site",
    "SourceSettings",
    "StreamConfig",
    "StreamTables",
    "TableMapping",
    "Tables",
    "Tls",
    "load_config",
]


@dataclass(frozen=True)
class StreamConfig:
    """One stream with everything its source and its applier must know."""

    id: StreamId
    pair: Pair
    origin: Site
    target: Site
    kafka: Kafka
    tables: TableFilter
    start: str
    ddl: DdlPolicy
    apply: Apply
    source: SourceSettings
    mapping: Mapping
    policies: Policies
    direct: frozenset[str]
    """Sites whose own transactions this flow must not carry: the target, and those that have a flow of their own to it."""
    unheard: frozenset[str]
    """Sites whose changes come to the target past this flow, and are not in ``reverse``: there, who wrote a row is not known."""
    site_priorities: dict[str, int]
    sites: tuple[str, ...]
    server_id: int
    """With which the source registers at the origin."""
    place: Callable[[Key], str] = field(compare=False, repr=False)
    """File and line of a key of the pair."""
    reverse: StreamConfig | None = None
    """The stream that goes back, of a pair that writes at both sites."""
    target_log: StreamConfig | None = None
    """The way back as if there were one, of a one-way pair whose policies compare commit times: its applier reads the target's
    binlog itself. None where that cannot tell all: names are mapped, or other flows come to either site."""

    def misfits(self, table: TableInfo, *, but: Collection[str] = (), default_columns: bool = True) -> list[tuple[str, str]]:
        """What of the policies does not fit a table of the origin: in which line of the file what is wrong, and what to do.

        ``but`` are columns of which nothing is said, nor of globs that mean one of them; without ``default_columns`` nor of those
        that the pair's default policies name and the table lacks.
        """
        found = []
        for problem in self.policies.validate(table):
            lacks_default = problem.path[:1] == ("default",) and table.ordinal(str(problem.value)) is None
            unheeded = any(matches(str(problem.value), name) for name in but)
            if not unheeded and (default_columns or not lacks_default):
                key = ("conflicts", *problem.path)
                found.append((f"{self.place(key)}: {'.'.join(map(str, key))}: {problem.what}", problem.remedy))
        return found

    def site(self, role: Role) -> Site:
        """Where that role of the stream runs."""
        return self.origin if role is Role.SOURCE else self.target


class Config(Model):
    """The whole file."""

    sites: Annotated[dict[Name, Site], Field(min_length=1)]
    """By name."""
    pairs: tuple[Pair, ...] = ()
    """What is carried from where to where."""
    http: Http = Http()
    """Of every site that has none of its own."""
    _path: Path = PrivateAttr(Path())
    _streams: tuple[StreamConfig, ...] = PrivateAttr(())
    _document: Document | None = PrivateAttr(None)

    def place(self, pair: Pair, key: Key) -> str:
        """File and line of a key of a pair, or of the nearest one around it that stands there."""
        at = [one.name for one in self.pairs].index(pair.name)
        line = self._document.line(("pairs", at, *key)) if self._document is not None else 1
        return f"{self._path}:{line}"

    @property
    def path(self) -> Path:
        """The file it was read from."""
        return self._path

    def streams(self, site: str | None = None, role: Role | None = None, pair: str | None = None) -> list[StreamConfig]:
        """All streams, or those that ``role`` (or any role) of ``site`` works on, or of one ``pair``.

        Raises UsageError for a site or pair that the file does not have.
        """
        if site is not None:
            self.site(site)
        if pair is not None and pair not in [p.name for p in self.pairs]:
            raise UsageError(
                f"there is no pair {pair!r}",
                where=str(self.path),
                remedy=f"use one of: {', '.join(p.name for p in self.pairs) or 'none is configured'}",
            )
        found = []
        for stream in self._streams:
            places = {Role.SOURCE: stream.id.origin, Role.APPLIER: stream.id.target}
            here = [place for r, place in places.items() if role is None or r is role]
            if (site is None or site in here) and (pair is None or stream.id.pair == pair):
                found.append(stream)
        return found

    def stream(self, stream_id: str) -> StreamConfig:
        """The stream of that name; raises UsageError where there is none."""
        for stream in self._streams:
            if str(stream.id) == stream_id:
                return stream
        names = ", ".join(str(stream.id) for stream in self._streams)
        raise UsageError(f"there is no stream {stream_id!r}", where=str(self.path), remedy=f"use one of: {names}")

    def site(self, name: str) -> Site:
        """The site of that name; raises UsageError where there is none."""
        try:
            return self.sites[name]
        except KeyError:
            names = ", ".join(self.sites)
            raise UsageError(f"there is no site {name!r}", where=str(self.path), remedy=f"use one of: {names}") from None

    def http_of(self, site: str) -> Http:
        """Where the daemon of that site answers."""
        return self.site(site).http or self.http


def load_config(path: Path, *, text: str | None = None) -> Config:
    """Read and check the file; raises ConfigError with every problem, one a line as ``file:line: key: ...``.

    With ``text`` the file's content is given, and only its place counts.
    """
    document = read_document(path, text)
    problems = list(document.problems)
    config = validate(Config, document, problems)
    sites = _site_names(document.data)
    pairs = _sound_pairs(document)
    flows = _check(sites, pairs, document.data, problems)
    _check_unsound(sites, {key for key, _ in pairs}, document.data, problems)
    policies = {key: parse_conflicts((*key, "conflicts"), pair.conflicts, problems) for key, pair in pairs}
    problems.extend(_check_knowledge(flows, policies))
    problems.extend(_check_priorities(config.sites) if config is not None else ())
    if problems:
        raise ConfigError("\n".join(describe(document, problems)))
    assert config is not None
    named = {name: site.named(name) for name, site in config.sites.items()}
    config = config.model_copy(update={"sites": named})
    config._path = path
    config._document = document
    config._streams = tuple(_streams(config, flows, policies))
    return config


def _site_names(data: Any) -> list[str]:
    sites = data.get("sites") if isinstance(data, dict) else None
    return list(sites) if isinstance(sites, dict) else []


def _sound_pairs(document: Document) -> list[tuple[Key, Pair]]:
    """Those pairs that are right in themselves, so that they can be looked at together though others are wrong."""
    data = document.data
    raw = data.get("pairs") if isinstance(data, dict) else None
    sound: list[tuple[Key, Pair]] = []
    for i, item in enumerate(raw if isinstance(raw, list) else []):
        pair = validate(Pair, document, [], ("pairs", i), item)
        if pair is not None:
            sound.append((("pairs", i), pair))
    return sound


def _check_unsound(sites: list[str], sound: set[Key], data: Any, problems: list[Problem]) -> None:
    """What can be said of pairs that are wrong in themselves: names of sites, and policies."""
    raw = data.get("pairs") if isinstance(data, dict) else None
    for i, item in enumerate(raw if isinstance(raw, list) else []):
        key: Key = ("pairs", i)
        if key in sound or not isinstance(item, dict):
            continue
        problems.extend(_unknown_sites(key, item, sites))
        conflicts = item.get("conflicts")
        if isinstance(conflicts, dict):
            parse_conflicts((*key, "conflicts"), conflicts, problems)


def _unknown_sites(key: Key, pair: dict[str, Any], sites: list[str]) -> Iterator[Problem]:
    for word in ("origin", "target", "kafka"):
        name = pair.get(word)
        if isinstance(name, str) and name not in sites:
            yield Problem((*key, word), "there is no such site", f"use one of: {', '.join(sites)}", repr(name))


def _check(sites: list[str], pairs: list[tuple[Key, Pair]], data: Any, problems: list[Problem]) -> list[Flow]:
    names: dict[str, Key] = {}
    whole = []
    for key, pair in pairs:
        if pair.name in names:
            problems.append(Problem((*key, "name"), "two pairs have this name", "rename one of them", repr(pair.name)))
        names.setdefault(pair.name, key)
        before = len(problems)
        problems.extend(_unknown_sites(key, {"origin": pair.origin, "target": pair.target, "kafka": pair.kafka}, sites))
        if len(problems) == before:
            _check_kafka(key, pair, data["sites"], problems)
            whole.append((key, pair))
        problems.extend(check_streams(key, pair))
        _check_mapping(key, pair, problems)
    flows = flows_of(whole)
    problems.extend(check_flows(flows))
    return flows


def _check_kafka(key: Key, pair: Pair, sites: dict[str, Any], problems: list[Problem]) -> None:
    for origin, _ in pair.flows():
        carrier = pair.kafka or origin
        site = sites[carrier]
        if isinstance(site, dict) and not site.get("kafka"):
            place = (*key, "kafka") if pair.kafka else key
            remedy = f"add sites.{carrier}.kafka, or name another site's cluster by kafka: in the pair"
            problems.append(Problem(place, f"the site {carrier} has no Kafka cluster to carry the streams", remedy))


def _check_knowledge(flows: list[Flow], policies: dict[Key, Policies]) -> Iterator[Problem]:
    """Commit times decide only where it is known who wrote a row last: never where other sites' changes come past the pair."""
    told = set()
    for flow in flows:
        for path in policies[flow.key].comparing_commit_times:
            key = (*flow.key, "conflicts", *path)
            others = ", ".join(sorted(unheard_sites(flow, flows)))
            if others and key not in told:
                told.add(key)
                yield Problem(
                    key,
                    f"latest_timestamp cannot know who wrote a row last at {flow.target}: changes of {others} come there by "
                    "other pairs",
                    "name a column that every write raises, use another policy, or connect the sites in a chain",
                )


def _priorities(sites: dict[str, Site]) -> dict[str, int]:
    """As given, else by the order in the file."""
    return {n: order if site.priority is None else site.priority for order, (n, site) in enumerate(sites.items(), 1)}


def _check_priorities(sites: dict[str, Site]) -> Iterator[Problem]:
    """Where two sites have the same, nobody has said who wins."""
    first: dict[int, str] = {}
    for name, priority in _priorities(sites).items():
        other = first.setdefault(priority, name)
        if other != name:
            given = name if sites[name].priority is not None else other
            what = f"the sites {other} and {name} have the same priority (default: the order in the file, from 1)"
            yield Problem(("sites", given, "priority"), what, "give each site its own", repr(priority))


def _check_mapping(key: Key, pair: Pair, problems: list[Problem]) -> None:
    """Rules for tables that the pair does not carry are mistakes; so is a name that another table has already."""
    tables = pair.tables.filter()
    for text, rules in pair.mapping.tables.items():
        schema, table = pair.mapping.names(text)
        place = (*key, "mapping", "tables", text)
        if not tables.wants(schema, table):
            problems.append(Problem(place, "the pair does not carry this table", "correct its name or the pair's tables"))
        if rules.to is not None:
            schema, table = pair.mapping.names(rules.to)
            if tables.wants(schema, table) and pair.mapping.target_table(schema, table) == (schema, table):
                what, remedy = "the pair carries a table of this name already", "choose another name, or exclude that table"
                problems.append(Problem((*place, "to"), what, remedy, repr(rules.to)))
    for schema, name in pair.mapping.databases.items():
        place = (*key, "mapping", "databases", schema)
        if name not in pair.mapping.databases and tables.wants_schema(name):
            remedy = "choose another name, or exclude that database"
            problems.append(Problem(place, "the pair carries a database of the target name already", remedy, repr(name)))


def _streams(config: Config, flows: list[Flow], policies: dict[Key, Any]) -> list[StreamConfig]:
    priorities = _priorities(config.sites)
    streams = []
    counted: dict[str, int] = {}
    for flow in flows:
        pair, origin = flow.pair, config.sites[flow.origin]
        kafka = config.sites[pair.kafka or flow.origin].kafka
        assert kafka is not None  # checked
        for name, tables in stream_filters(pair).items():
            stream_id = StreamId(pair.name, flow.origin, flow.target, name)
            source = pair.source
            if "heartbeat_seconds" not in source.model_fields_set:
                source = source.model_copy(update={"heartbeat_seconds": pair.heartbeat_seconds})
            streams.append(
                StreamConfig(
                    id=stream_id,
                    pair=pair,
                    origin=origin,
                    target=config.sites[flow.target],
                    kafka=kafka,
                    tables=tables,
                    start=pair.start_of(flow.origin),
                    ddl=pair.ddl,
                    apply=pair.apply.model_copy(update={"detect": pair.apply.detect or pair.detect}),
                    source=source,
                    mapping=pair.mapping,
                    policies=policies[flow.key],
                    direct=direct_sites(flow, flows),
                    unheard=unheard_sites(flow, flows),
                    site_priorities=priorities,
                    sites=tuple(config.sites),
                    server_id=_server_id(stream_id, origin, counted),
                    place=partial(config.place, pair),
                )
            )
    by_way = {(s.id.pair, s.id.origin, s.id.target, s.id.stream): s for s in streams}
    for at, s in enumerate(streams):
        back = by_way.get((s.id.pair, s.id.target, s.id.origin, s.id.stream))
        streams[at] = replace(s, reverse=back, target_log=_target_log(s, flows, counted))
    return streams


def _target_log(stream: StreamConfig, flows: list[Flow], counted: dict[str, int]) -> StreamConfig | None:
    pair, way = stream.pair, stream.id
    if pair.mode != "one_way" or not stream.policies.comparing_commit_times or pair.mapping.databases or pair.mapping.tables:
        return None
    others = (flow for flow in flows if flow.pair.name != pair.name and flow.target in (way.origin, way.target))
    if any(filters_meet(flow.tables, stream.tables) for flow in others):
        return None
    back = StreamId(way.pair, way.target, way.origin, way.stream)
    return replace(
        stream,
        id=back,
        origin=stream.target,
        target=stream.origin,
        direct=frozenset({way.origin}),
        server_id=_server_id(back, stream.target, counted),
    )


def _server_id(stream: StreamId, site: Site, counted: dict[str, int]) -> int:
    """With which the binlog of a site is requested for a stream: none other may have it there."""
    if site.server_id is None:
        return 2**31 + 1 + zlib.crc32(str(stream).encode()) % (2**31 - 2)
    counted[stream.origin] = counted.get(stream.origin, -1) + 1
    return site.server_id + counted[stream.origin]
