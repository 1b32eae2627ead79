"""From pairs to flows and streams, and what is wrong with them taken together.

A flow carries what its origin committed and what its origin received from others, unless the target gets that straight
from its maker (``direct``). So a site's transactions may come to another site by one way only: two ways would apply them
twice, and that is an error here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .config_pairs import Pair
from .config_yaml import Key, Problem
from .filter import Pattern, TableFilter, globs_meet, parse_pattern
from .model import MAIN_STREAM

__all__ = ["Flow", "check_flows", "check_streams", "direct_sites", "filters_meet", "flows_of", "stream_filters", "unheard_sites"]


@dataclass(frozen=True)
class Flow:
    """One direction of a pair; ``key`` is where the pair stands in the file."""

    pair: Pair
    origin: str
    target: str
    key: Key = field(compare=False)
    tables: TableFilter = field(compare=False)

    def __str__(self) -> str:
        return f"{self.pair.name}.{self.origin}-{self.target}"


def flows_of(pairs: Sequence[tuple[Key, Pair]]) -> list[Flow]:
    """All flows, in the file's order."""
    return [
        Flow(pair, origin, target, key, pair.tables.filter()) for key, pair in pairs for origin, target in pair.flows()
    ]


def stream_filters(pair: Pair) -> dict[str, TableFilter]:
    """The tables of each stream: together exactly the pair's, each table in one of them."""
    whole = pair.tables.filter()
    parts = {name: TableFilter(s.include, s.exclude, within=whole) for name, s in pair.streams.items()}
    rest = TableFilter(pair.tables.include, pair.tables.exclude, minus=tuple(parts.values()))
    return {MAIN_STREAM: rest, **parts}


def direct_sites(flow: Flow, flows: Sequence[Flow]) -> frozenset[str]:
    """The sites whose own transactions the flow must not carry: its target, and those with a flow of their own to it."""
    straight = {
        other.origin
        for other in flows
        if other.target == flow.target and other.origin != flow.origin and filters_meet(other.tables, flow.tables)
    }
    return frozenset({flow.target, *straight})


def unheard_sites(flow: Flow, flows: Sequence[Flow]) -> frozenset[str]:
    """The sites whose changes reach the target past this flow, and that the flow of its pair back leaves out.

    Who reads the flow back then knows some of the target's writers, not all.
    """
    back = next((f for f in flows if f.pair is flow.pair and (f.origin, f.target) == (flow.target, flow.origin)), None)
    if back is None:
        return frozenset()
    left_out = direct_sites(back, flows) - {flow.origin}
    return frozenset(
        maker
        for maker in left_out
        if any(
            other.origin != flow.origin and filters_meet(other.tables, flow.tables)
            for other in _arrivals(maker, flows).get(flow.target, ())
        )
    )


def check_flows(flows: Sequence[Flow]) -> Iterator[Problem]:
    """What several flows do to each other."""
    seen: dict[str, Flow] = {}
    for flow in flows:
        first = seen.setdefault(str(flow), flow)
        if first is not flow and first.pair.name != flow.pair.name:
            yield Problem(flow.key, f"its flow {flow} has the same name as one of pair {first.pair.name}", "rename the pair")
    reported: set[frozenset[str]] = set()
    for i, flow in enumerate(flows):
        for other in flows[:i]:
            if (other.origin, other.target) != (flow.origin, flow.target) or other.pair is flow.pair:
                continue
            if not filters_meet(other.tables, flow.tables):
                continue
            pair_names = frozenset((other.pair.name, flow.pair.name))
            if pair_names not in reported:
                reported.add(pair_names)
                yield Problem(
                    (*flow.key, "tables"),
                    f"pair {other.pair.name} carries some of the same tables from {flow.origin} to {flow.target} already",
                    "make the two pairs' tables disjoint by include and exclude, or remove one pair",
                )
    yield from _check_ways(flows)


def _check_ways(flows: Sequence[Flow]) -> Iterator[Problem]:
    """Follow each site's transactions through all flows."""
    for maker in dict.fromkeys(flow.origin for flow in flows):
        arrivals = _arrivals(maker, flows)
        for target, ways in arrivals.items():
            yield from _check_arrivals(maker, target, ways)
        yield from _check_partly(maker, flows, (maker, *arrivals))


def _arrivals(maker: str, flows: Sequence[Flow]) -> dict[str, list[Flow]]:
    """By site that the maker's own transactions reach: the flows by which they come."""
    direct = {id(flow): direct_sites(flow, flows) for flow in flows}
    arrivals: dict[str, list[Flow]] = defaultdict(list)
    reached = [maker]
    for site in reached:  # grows while we go
        for flow in flows:
            if flow.origin != site or maker in direct[id(flow)] or flow in arrivals[flow.target]:
                continue
            arrivals[flow.target].append(flow)
            if flow.target not in reached:
                reached.append(flow.target)
    return arrivals


def _check_arrivals(maker: str, target: str, ways: Sequence[Flow]) -> Iterator[Problem]:
    for i, flow in enumerate(ways):
        for other in ways[:i]:
            if flow.origin != other.origin and filters_meet(flow.tables, other.tables):
                yield Problem(
                    flow.key,
                    f"changes made at {maker} would reach {target} twice, by {other} and by {flow}",
                    "remove one of the two ways, or make their tables disjoint",
                )


def _check_partly(maker: str, flows: Sequence[Flow], reached: Sequence[str]) -> Iterator[Problem]:
    """A flow leaves out a direct site's transactions whole; the direct flow must then carry all of their tables."""
    for straight in flows:
        if straight.origin != maker:
            continue
        for flow in flows:
            if flow.target != straight.target or flow.origin == maker or flow.origin not in reached:
                continue
            if not filters_meet(flow.tables, straight.tables) or _same(flow.tables, straight.tables):
                continue
            if flow.origin in _reach(maker, flows, without=flow.target):
                yield Problem(
                    (*flow.key, "tables"),
                    f"{maker} has its own flow {straight} to {flow.target}, for other tables than {flow}; "
                    f"what of {maker}'s changes only {flow} carries would be lost",
                    "give both pairs the same tables, or disjoint ones",
                )


def _reach(maker: str, flows: Sequence[Flow], *, without: str) -> set[str]:
    reached = [maker]
    for site in reached:
        reached += [f.target for f in flows if f.origin == site and f.target != without and f.target not in reached]
    return set(reached)


def check_streams(key: Key, pair: Pair) -> Iterator[Problem]:
    """Streams must lie within the pair's tables and must not overlap."""
    filters = {name: TableFilter(s.include, s.exclude) for name, s in pair.streams.items()}
    whole = pair.tables.filter()
    names = list(filters)
    for i, name in enumerate(names):
        if not filters_meet(filters[name], whole):
            yield Problem(
                (*key, "streams", name),
                f"the stream {name} carries no table of the pair",
                "its include must lie within the pair's tables",
            )
        for other in names[:i]:
            if filters_meet(filters[name], filters[other], within=whole):
                yield Problem(
                    (*key, "streams", name),
                    f"the streams {other} and {name} may both carry the same table",
                    "make their tables disjoint by include and exclude",
                )


def _same(a: TableFilter, b: TableFilter) -> bool:
    return set(a.include) == set(b.include) and set(a.exclude) == set(b.exclude)


def filters_meet(a: TableFilter, b: TableFilter, *, within: TableFilter | None = None) -> bool:
    """Whether some table may be wanted by both; errs towards yes."""
    excluded = [parse_pattern(text) for f in (a, b, within) if f for text in f.exclude]
    for left in map(parse_pattern, a.include):
        for right in map(parse_pattern, b.include):
            if not (globs_meet(left.schema, right.schema) and globs_meet(left.table, right.table)):
                continue
            if any(_covers(out, left) or _covers(out, right) for out in excluded):
                continue
            return True
    return False


def _covers(big: Pattern, small: Pattern) -> bool:
    return _glob_covers(big.schema, small.schema) and _glob_covers(big.table, small.table)


def _glob_covers(big: str, small: str) -> bool:
    """Whether every name of ``small`` is one of ``big``; errs towards no."""
    if big == small or big == "*":
        return True
    if not any(c in small for c in "*?["):
        return fnmatchcase(small, big)
    head = big.removesuffix("*")
    return big.endswith("*") and not any(c in head for c in "*?[") and small.startswith(head)
