"""All checks, in order: servers, grants, Kafka, clocks, then what needs both sites. One failure does not hide another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from ... import meta
from ...config import Config, StreamConfig
from ...config_secret import is_loopback
from ...errors import ConfigError, ReplicatorError
from ...model import Role
from ...source.start import start_position
from .cluster import check_cluster
from .counting import check_counting
from .finding import Finding, Level, error, warning
from .grants import check_applier_grants, check_meta_grants, check_reader_grants, check_source_grants
from .policies import check_policies
from .probe import Probe
from .server import check_origin, check_server, check_target
from .tables import check_tables, check_triggers, read_tables, schemas_of

__all__ = ["run_checks"]

_CLOCK_S_MAX = 1.0


def run_checks(config: Config, site: str | None = None) -> list[Finding]:
    """Everything wrong with the whole system, or with what concerns one ``site``; errors first, each once."""
    streams = config.streams(site)
    probes: dict[str, Probe] = {}
    findings: list[Finding] = []
    try:
        for name in config.sites:
            if any(name in (s.id.origin, s.id.target) for s in streams) or name == site:
                findings += _connect(config, name, probes, ours=site in (None, name))
        mine = {name: probe for name, probe in probes.items() if site in (None, name)}
        for name, probe in mine.items():
            findings += _guarded(name, lambda name=name, probe=probe: _site(config, name, probe))  # type: ignore[misc]
        findings += _clusters(config, site, streams)
        findings += _clocks(probes, streams)
        findings += _identities(probes, streams)
        findings += _guarded("AUTO_INCREMENT", lambda: check_counting(config, site, probes))
        for stream in streams:
            findings += _guarded(stream.id.flow, lambda stream=stream: _both(config, stream, probes))  # type: ignore[misc]
            findings += _guarded(stream.id.flow, lambda stream=stream: _start(stream, probes))  # type: ignore[misc]
    finally:
        for probe in probes.values():
            probe.close()
    once = list(dict.fromkeys(findings))
    return sorted(once, key=lambda finding: finding.level is not Level.ERROR)


def _guarded(place: str, checks: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings of a group of checks; where it breaks off, that is one more."""
    found: list[Finding] = []
    try:
        found.extend(checks())
    except ReplicatorError as failure:
        found.append(error(place, failure.what, failure.remedy))
    return found


def _connect(config: Config, name: str, probes: dict[str, Probe], *, ours: bool) -> Iterator[Finding]:
    try:
        probes[name] = Probe(config.site(name))
    except ConfigError as failure:
        if ours:
            yield error(name, failure.what, failure.remedy)
        else:
            what = f"not compared with {name}: {failure.what}"
            yield warning(name, what, f"run `replicator check` where {name}'s password is known, too")
    except ReplicatorError as failure:
        yield error(name, failure.what, failure.remedy)


def _site(config: Config, name: str, probe: Probe) -> Iterator[Finding]:
    yield from check_server(probe)
    yield from check_meta_grants(probe)
    host, _ = config.http_of(name).address
    if not is_loopback(host):
        what = f"http.listen is {config.http_of(name).listen}: anybody who reaches it can read positions and errors"
        yield warning(name, what, "listen on 127.0.0.1 and put a proxy with a log-in in front")
    url = config.http_of(name).base_url
    same = [other for other in config.sites if other != name and config.http_of(other).base_url == url]
    if same:
        what = f"{url} is the address of {', '.join(same)} too: `status` and `wait` cannot ask all of their daemons"
        yield warning(name, what, f"give sites.{name}.http a url that the other sites reach, through a proxy or tunnel")
    applied = config.streams(name, Role.APPLIER)
    if config.streams(name, Role.SOURCE) or any(stream.target_log is not None for stream in applied):
        yield from check_origin(probe)  # an applier whose policies compare commit times reads the binlog too
        yield from check_source_grants(probe)
    if config.streams(name, Role.SOURCE):
        read = [schema for stream in config.streams(name, Role.SOURCE) for schema in schemas_of(stream, probe, here=True)]
        yield from check_reader_grants(probe, dict.fromkeys(read))
    if applied:
        yield from check_target(probe)
        schemas = dict.fromkeys(schema for stream in applied for schema in schemas_of(stream, probe))
        yield from check_applier_grants(probe, schemas)


def _clusters(config: Config, site: str | None, streams: list[StreamConfig]) -> Iterator[Finding]:
    for name, owner in config.sites.items():
        carried = [stream for stream in streams if stream.kafka is owner.kafka]
        if carried:
            yield from _guarded(name, lambda name=name, carried=carried: check_cluster(name, carried))  # type: ignore[misc]


def _clocks(probes: dict[str, Probe], streams: list[StreamConfig]) -> Iterator[Finding]:
    try:
        offsets = {name: probe.clock_offset_s() for name, probe in probes.items()}
    except ReplicatorError as failure:
        yield error("clocks", failure.what, failure.remedy)
        return
    remedy = "let NTP or chrony keep the time on all hosts: lag, latest_timestamp and heartbeats go by it"
    for (a, left), (b, right) in itertools.combinations(offsets.items(), 2):
        apart_ms = round(1000 * abs(left - right))
        if apart_ms > 1000 * _CLOCK_S_MAX:
            yield error(f"{a}, {b}", f"their clocks are {apart_ms / 1000:.1f} s apart", remedy)
            continue
        for stream in streams:
            limit_ms = stream.policies.clock_offset_ms_max
            if {stream.id.origin, stream.id.target} == {a, b} and stream.policies.comparing_commit_times and apart_ms > limit_ms:
                what = f"clocks {apart_ms} ms apart: latest_timestamp will halt, as clock_offset_ms_max is {limit_ms}"
                yield warning(stream.id.flow, what, remedy)
    for name, offset in offsets.items():
        if abs(offset) > _CLOCK_S_MAX:
            yield warning(name, f"its clock is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this host's", remedy)


def _identities(probes: dict[str, Probe], streams: list[StreamConfig]) -> Iterator[Finding]:
    for (a, left), (b, right) in itertools.combinations(probes.items(), 2):
        server_id = left.variables.get("server_id")
        if server_id == right.variables.get("server_id"):
            what = f"both have server_id={server_id}: their GTIDs and binlogs cannot be told apart"
            yield error(f"{a}, {b}", what, "give each its own server_id in my.cnf, and restart")
        if left.variables.get("lower_case_table_names") != right.variables.get("lower_case_table_names"):
            what = "lower_case_table_names differs: a table's name means different things"
            yield error(f"{a}, {b}", what, "initialise one of them anew with the other's setting")
        small = [int(p.variables.get("max_allowed_packet", "0")) for p in (left, right)]
        if small[0] != small[1]:
            what = f"max_allowed_packet is {small[0]} and {small[1]}: a row that fits one need not fit the other"
            yield warning(f"{a}, {b}", what, f"SET GLOBAL max_allowed_packet={max(small)}; and the same in my.cnf")
        if left.variables.get("explicit_defaults_for_timestamp") != right.variables.get("explicit_defaults_for_timestamp"):
            what = "explicit_defaults_for_timestamp differs: CREATE TABLE makes TIMESTAMP columns NULL here and NOT NULL there"
            yield warning(f"{a}, {b}", what, "SET GLOBAL explicit_defaults_for_timestamp=ON at both; and in my.cnf")
        both_ways = any({s.id.origin, s.id.target} == {a, b} and s.pair.mode == "bidirectional" for s in streams)
        domains = [p.variables.get("gtid_domain_id") for p in (left, right)]
        if both_ways and domains[0] is not None and domains[0] == domains[1]:
            what = f"both have gtid_domain_id={domains[0]}"
            yield warning(f"{a}, {b}", what, "SET GLOBAL gtid_domain_id to another number at one of them; and in my.cnf")
    for stream in [*streams, *(stream.target_log for stream in streams if stream.target_log is not None)]:
        origin = probes.get(stream.id.origin)
        if origin is not None and origin.variables.get("server_id") == str(stream.server_id):
            what = f"the reader of {stream.id} would register with the server's own server_id {stream.server_id}"
            yield error(stream.id.origin, what, "give the site another server_id in the configuration")


def _both(config: Config, stream: StreamConfig, probes: dict[str, Probe]) -> Iterator[Finding]:
    origin, target = probes.get(stream.id.origin), probes.get(stream.id.target)
    if target is not None:
        yield from check_triggers(stream, target)
    if origin is not None:
        tables = read_tables(origin, stream.tables)
        whole = stream.pair.tables.filter()
        of_pair = [*(read_tables(origin, whole) if stream.pair.streams else tables).values()]
        of_pair += [] if target is None else read_tables(target, whole).values()
        yield from check_policies(stream, tables.values(), [(table.schema, table.name) for table in of_pair])
    if origin is not None and target is not None:
        yield from check_tables(stream, origin, target, started=_started(stream, target))


def _start(stream: StreamConfig, probes: dict[str, Probe]) -> Iterator[Finding]:
    """What the source would find; where the stream began already, `start` means nothing any more."""
    origin, target = probes.get(stream.id.origin), probes.get(stream.id.target)
    if origin is None or stream.start in ("earliest", "latest") or _remembers(stream, origin, meta.HEARTBEAT):
        return
    if target is not None and _started(stream, target):
        return
    try:
        start_position(stream, origin.flavor, origin.rows)
    except ConfigError as failure:
        yield error(stream.id.flow, f"{failure.where}: {failure.what}", failure.remedy)


def _started(stream: StreamConfig, target: Probe) -> bool:
    """Whether the stream has a checkpoint at its target."""
    return _remembers(stream, target, meta.CHECKPOINT, " AND sequence > 0")


def _remembers(stream: StreamConfig, probe: Probe, table: str, condition: str = "") -> bool:
    """Whether one of our tables has a row of the stream."""
    present = probe.value(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=%s AND table_name=%s",
        *table.replace("`", "").split("."),
    )
    if not present:
        return False
    query = f"SELECT COUNT(*) FROM {table} WHERE flow=%s AND stream=%s{condition}"
    return bool(probe.value(query, stream.id.flow, stream.id.stream))
