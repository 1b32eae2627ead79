"""AUTO_INCREMENT: whether sites may give the same numbers to rows that meet.

Pair by pair would not do: in a chain a - b - c the rows of a and c meet, and in a ring of one-way pairs all of them do.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from ...config import Config
from .finding import Finding, few, warning
from .probe import Probe

__all__ = ["check_counting", "clashing", "writers"]

Sites = tuple[str, ...]
Counter = tuple[int, int]
"""Step and offset of the numbers that a site gives."""


def check_counting(config: Config, site: str | None, probes: Mapping[str, Probe]) -> Iterator[Finding]:
    """Of the whole system, or of what meets ``site``'s own rows; of sites without a probe nothing is known."""
    counting = {name: _counting(probe) for name, probe in probes.items()}
    counters = {name: _counter(probe) for name, probe in probes.items()}
    found: dict[tuple[Sites, Sites], list[str]] = defaultdict(list)
    for schema, table in sorted(set().union(*counting.values())):
        ways = [
            (stream.id.origin, stream.id.target)
            for stream in config.streams()
            if stream.tables.wants(schema, table) and stream.mapping.target_table(schema, table) == (schema, table)
        ]
        for sites in writers(ways):
            known = {name: counters[name] for name in sites if (schema, table) in counting.get(name, ())}
            names = clashing(known, [name for name in sites if name not in probes])
            if names and site in (None, *sites):
                found[sites, names].append(f"{schema}.{table}")
    for (sites, names), tables in found.items():
        what = f"{', '.join(names)} may give the same AUTO_INCREMENT numbers in {few(tables)}"
        offsets = ", ".join([f"{number} at {name}" for number, name in enumerate(sites, 1)])
        remedy = f"auto_increment_increment={len(sites)} at each of these sites, auto_increment_offset={offsets}, in my.cnf"
        yield warning(", ".join(sites), what, remedy)


def writers(ways: Iterable[tuple[str, str]]) -> list[Sites]:
    """The groups of sites whose own rows meet somewhere; ``ways`` are the flows that carry the table.

    A site writes where nothing comes to it, or where what it sends comes back to it through others. One that only receives rows,
    or passes them on, does not.
    """
    edges = list(dict.fromkeys(ways))
    sites = list(dict.fromkeys(itertools.chain.from_iterable(edges)))
    reached = {site: _reached(site, edges) for site in sites}
    writing = [site for site in sites if site in reached[site] or all(target != site for _, target in edges)]
    groups = dict.fromkeys([tuple([w for w in writing if w == site or site in reached[w]]) for site in sites])
    return [g for g in groups if len(g) > 1 and not any(set(g) < set(other) for other in groups)]


def clashing(counters: Mapping[str, Counter], unknown: Sequence[str] = ()) -> Sites:
    """The sites that may give a number which another one gives too; empty where their numbers are certainly apart.

    Sites of which nothing is known clash with the others where those leave them no number.
    """
    names: dict[str, None] = {}
    for (a, (step, offset)), (b, (other_step, other_offset)) in itertools.combinations(counters.items(), 2):
        ignored = offset > step or other_offset > other_step  # the server does not go by such an offset
        if ignored or (offset - other_offset) % math.gcd(step, other_step) == 0:
            names |= {a: None, b: None}
    if unknown and sum(Fraction(1, step) for step, _ in counters.values()) >= 1:
        names |= dict.fromkeys([*counters, *unknown])
    return tuple(names)


def _reached(site: str, edges: Collection[tuple[str, str]]) -> set[str]:
    """Where a site's rows come to; the site itself where they come back to it."""
    found: set[str] = set()
    new = {site}
    while new:
        new = {target for origin, target in edges if origin in new} - found
        found |= new
    return found


def _counter(probe: Probe) -> Counter:
    step, offset = (int(probe.variables.get(f"auto_increment_{word}", "1")) for word in ("increment", "offset"))
    return step, offset


def _counting(probe: Probe) -> set[tuple[str, str]]:
    """Its tables with such a column."""
    rows = probe.rows("SELECT table_schema, table_name FROM information_schema.columns WHERE extra LIKE '%auto_increment%'")
    return {(str(schema), str(table)) for schema, table in rows}
