"""Seeded simulation of two or three sites that all write, to see whether they end equal.

    python -m tests.property.simulation --schedules 100000 [--profile NAME] [--seed N]

A schedule is one seed: it decides what each site writes, when each flow delivers, where the applier crashes, what is
delivered twice, and how wrong the clocks are. A profile is a set of policies, with the conditions under which they are
documented to converge; ``DIVERGING`` holds those that are documented not to, each with the reason. At the end everything is
delivered, and all sites must hold the same rows.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from conflict import Change, Row
from replicator.errors import ReplicatorError
from tests.property.database import ID, TS, A, B, Broken, Crash, N, Store, U, log_entries
from tests.property.sites import Memory, Site, Trouble
from tests.property.streams import streams_of

__all__ = [
    "ALIKE",
    "CONVERGING",
    "DIVERGING",
    "Manner",
    "Outcome",
    "Profile",
    "compare",
    "find_failure",
    "main",
    "run_schedule",
]

_STEPS = 36
_KEYS = 5
_DAY_US = 10_000_000
_CHUNK = 100
_BROKEN = "broken:"

DELETE_WINS = {"update_missing": "skip_if_missing", "delete_differing": "apply_origin", "delete_missing": "skip_if_missing"}


@dataclass(frozen=True)
class Profile:
    """What the sites may write, and how conflicts are settled."""

    name: str
    conflicts: Mapping[str, Any]
    sites: int = 2
    operations: tuple[str, ...] = ("insert", "set", "delete", "move", "claim", "swap")
    why: str = ""
    """For a profile that does not converge: why not."""
    initial_rows: int = 3
    reuse_keys: bool = True
    """Whether a primary key may be used again after its row was deleted."""
    exact: bool = False
    """Whether a memory of all writers knows exactly what the origin had not seen; of local changes that is always known."""
    forgetful: bool = False
    memory: str = Memory.ALL
    """What sites remember of who wrote what; ``forgetful`` ones forget what is gone."""
    wait_for_clock: bool = True
    """Whether the applier waits until its own clock has passed the transaction's commit time."""
    skew_us: int = 400_000
    tick_us: int = 1
    """The resolution of commit times."""
    sums: bool = False
    """Whether the counters must come to the sum of everything that was added."""
    by_key: bool = False
    """Whether whole rows are not compared."""
    one_way: bool = False
    """Whether only the first site's changes are carried; the other one's rows are then its own affair."""


@dataclass(frozen=True)
class Manner:
    """How the appliers go about it: none of this may change what a site holds in the end, or records."""

    together: bool = True
    """Whether transactions that are delivered at once become one batch."""
    refusals: int | None = None
    """0: a batch is written as planned where it fits; 1: settled as a whole in any case, where that can be; 2: in any case in its
    parts, down to single changes; None: mostly 0, sometimes the others."""
    troubles: bool = True
    """Whether appliers crash, meet deadlocks, and read again what they had applied."""


USUAL = Manner()
CHANGE_BY_CHANGE = Manner(together=False, refusals=2, troubles=False)


@dataclass
class Outcome:
    """How one schedule ended; ``problem`` is empty if all is well."""

    problem: str = ""
    decisions: int = 0
    transactions: int = 0
    rows: dict[str, dict[object, Row]] = field(default_factory=dict)
    records: dict[str, list[Any]] = field(default_factory=dict)
    """What each site's conflict log holds, as it was written."""
    held: dict[str, list[Any]] = field(default_factory=dict)
    """What each site's quarantine holds."""
    counted: Counter[str] = field(default_factory=Counter)
    """How batches were written."""


class World:
    """The sites of one schedule, their clocks, and everything that is under way between them."""

    def __init__(self, profile: Profile, seed: int, manner: Manner = USUAL) -> None:
        self.profile = profile
        self.manner = manner
        self.random = random.Random(seed)
        self.now_us = 1_000_000
        self.fresh = 1000
        self.used: dict[object, int] = {}
        self.added: dict[object, int] = {}
        names = ("east", "west", "north")[: profile.sites]
        streams = streams_of(profile.conflicts, names, "one_way" if profile.one_way else "bidirectional")
        policies = next(iter(streams.values())).policies
        self.sites = [
            Site(name, i, policies, profile.memory, profile.exact, profile.forgetful) for i, name in enumerate(names, 1)
        ]
        for site in self.sites:
            site.ship(streams)
        for site in self.sites:
            site.follow(self.sites, streams)
        self.skew_us = {s.name: self.random.randint(-profile.skew_us, profile.skew_us) for s in self.sites}
        for i in range(profile.initial_rows):
            row: Row = (i, i, 0, 0, 10, 0)
            self.added[i] = 10
            self.used[i] = 1
            for site in self.sites:
                site.store.insert(row)

    def clock(self, site: Site) -> int:
        """The time by a site's own clock, as a commit would carry it."""
        time_us = self.now_us + self.skew_us[site.name]
        return time_us - time_us % self.profile.tick_us

    def number(self) -> int:
        """A value that nobody wrote before."""
        self.fresh += 1
        return self.fresh

    def run(self) -> Outcome:
        """Play the schedule, then deliver everything."""
        for _ in range(_STEPS):
            self.now_us += self.random.randint(1, 100_000)
            site = self.random.choice(self.sites)
            if self.random.random() < 0.45:
                write(self, site)
            else:
                origin = self.random.choice([s for s in self.sites if s is not site])
                self.deliver(origin, site, calm=not self.manner.troubles)
        pending = True
        while pending:
            pending = False
            for site in self.random.sample(self.sites, len(self.sites)):
                for origin in self.sites:
                    if origin.name in site.appliers and site.applied(origin.name) < len(origin.log):
                        self.deliver(origin, site, calm=True)
                        pending = True
        return self.outcome()

    def deliver(self, origin: Site, site: Site, *, calm: bool) -> None:
        """Let a site apply the next transactions of another; unless calm, perhaps crash in it, or read old ones again."""
        applier = site.appliers.get(origin.name)
        if applier is None:
            return
        luck, refused = random.Random(self.random.random()), self.manner.refusals
        if not calm and luck.random() < 0.1:
            applier.restart(again=luck.randint(1, 4))
        done = site.applied(origin.name)
        count = min(self.random.choice((1, 1, 2, 3, 5)), len(origin.log) - done)
        if count <= 0:
            return
        last = origin.log[done + count - 1].provenance.commit_time_us
        while self.profile.wait_for_clock and self.clock(site) <= last:
            self.now_us += max(1, last + self.profile.tick_us - self.clock(site))
        trouble = Trouble(refusals=luck.choice((0,) * 13 + (1, 2)) if refused is None else refused)
        if not calm:
            trouble.crash_at = luck.choice((None,) * 6 + (-1, 0, luck.randint(1, 6)))
            trouble.deadlock_at = luck.choice((None,) * 9 + (luck.randint(1, 6),))
        try:
            for _ in range(1 if self.manner.together else count):
                applier.take(count if self.manner.together else 1, replace(trouble))
        except Crash:
            applier.restart(again=luck.randint(0, 2))

    def outcome(self) -> Outcome:
        """Compare the sites."""
        rows = {s.name: s.store.rows for s in self.sites}
        end = Outcome(transactions=sum(len(s.log) for s in self.sites), rows=rows)
        end.records = {s.name: s.database.state.log for s in self.sites}
        end.held = {s.name: s.database.state.held for s in self.sites}
        end.decisions = sum(len(records) for records in end.records.values())
        for site in self.sites:
            end.counted += site.counted
        first = self.sites[0]
        for other in self.sites[1:]:
            if other.store.rows != first.store.rows and not self.profile.one_way:
                end.problem = f"{first.name} and {other.name} differ"
        if self.profile.sums and not end.problem:
            for key, row in first.store.rows.items():
                if row[N] != self.added[key]:
                    end.problem = f"counter of {key} is {row[N]} instead of {self.added[key]}"
        return end


def write(world: World, site: Site) -> None:
    """One local transaction of one to three operations, as an application at that site would make it."""
    time_us = max(world.clock(site), site.last_time_us)
    changes: list[Change] = []
    for _ in range(world.random.choice((1, 1, 1, 2, 3))):
        operation = world.random.choice(world.profile.operations)
        changes += _OPERATIONS[operation](world, site.store, time_us)
    if changes:
        site.commit(tuple(changes), time_us)


def _do(store: Store, before: Row | None, after: Row | None) -> list[Change]:
    if before is None:
        assert after is not None
        store.insert(after)
    elif after is None:
        store.delete(before[ID])
    else:
        store.update(before[ID], after)
    return [Change(before, after)]


def _pick(world: World, store: Store) -> Row | None:
    return store.rows[world.random.choice(sorted(store.rows))] if store.rows else None


def _with(row: Row, time_us: int, values: Mapping[int, object]) -> Row:
    """The row with other values, and its timestamp raised, as a careful application does."""
    made = list(row)
    for ordinal, value in values.items():
        made[ordinal] = value
    old = row[TS]
    assert isinstance(old, int)
    made[TS] = max(time_us, old + 1)
    return tuple(made)


def _free_key(world: World, store: Store) -> int | None:
    limit = _KEYS if world.profile.reuse_keys else 10_000
    free = [k for k in range(limit if limit == _KEYS else _KEYS * 3) if k not in store.rows]
    if not world.profile.reuse_keys:
        free = [k for k in free if k not in world.used]
    return world.random.choice(free) if free else None


def _free_unique(world: World, store: Store) -> int | None:
    """A free value of the unique key, or NULL."""
    free = [u for u in range(_KEYS) if u not in store.holders]
    return world.random.choice([*free, None])


def _insert(world: World, store: Store, time_us: int) -> list[Change]:
    key = _free_key(world, store)
    if key is None:
        return []
    world.used[key] = 1
    unique = _free_unique(world, store) if "claim" in world.profile.operations else None
    return _do(store, None, (key, unique, world.number(), world.number(), 0, time_us))


def _set(world: World, store: Store, time_us: int) -> list[Change]:
    row = _pick(world, store)
    if row is None:
        return []
    columns = world.random.choice(((A,), (B,), (A, B)))
    return _do(store, row, _with(row, time_us, {c: world.number() for c in columns}))


def _flip(world: World, store: Store, time_us: int) -> list[Change]:
    """Set a column to one of two values and leave the timestamp alone: old states come back."""
    row = _pick(world, store)
    if row is None:
        return []
    return _do(store, row, (*row[:A], world.random.randint(0, 1), *row[A + 1 :]))


def _delete(world: World, store: Store, time_us: int) -> list[Change]:
    row = _pick(world, store)
    return [] if row is None else _do(store, row, None)


def _move(world: World, store: Store, time_us: int) -> list[Change]:
    row, key = _pick(world, store), _free_key(world, store)
    if row is None or key is None:
        return []
    world.used[key] = 1
    return _do(store, row, _with(row, time_us, {ID: key}))


def _claim(world: World, store: Store, time_us: int) -> list[Change]:
    row = _pick(world, store)
    if row is None:
        return []
    return _do(store, row, _with(row, time_us, {U: _free_unique(world, store)}))


def _swap(world: World, store: Store, time_us: int) -> list[Change]:
    """Two rows exchange their unique values, by way of NULL."""
    if len(store.rows) < 2:
        return []
    one, two = (store.rows[k] for k in world.random.sample(sorted(store.rows), 2))
    parked = _with(one, time_us, {U: None})
    return [
        *_do(store, one, parked),
        *_do(store, two, _with(two, time_us, {U: one[U]})),
        *_do(store, parked, _with(parked, time_us, {U: two[U]})),
    ]


def _add(world: World, store: Store, time_us: int) -> list[Change]:
    row = _pick(world, store)
    if row is None:
        return []
    amount = world.random.randint(-3, 7)
    world.added[row[ID]] = world.added.get(row[ID], 0) + amount
    number = row[N]
    assert isinstance(number, int)
    return _do(store, row, (*row[:N], number + amount, *row[N + 1 :]))


def _raise(world: World, store: Store, time_us: int) -> list[Change]:
    row = _pick(world, store)
    if row is None:
        return []
    number = row[N]
    assert isinstance(number, int)
    return _do(store, row, (*row[:N], number + world.random.randint(1, 9), *row[N + 1 :]))


_OPERATIONS: dict[str, Callable[[World, Store, int], list[Change]]] = {
    "insert": _insert,
    "set": _set,
    "flip": _flip,
    "delete": _delete,
    "move": _move,
    "claim": _claim,
    "swap": _swap,
    "add": _add,
    "raise": _raise,
}

LATEST = {"default": "latest_timestamp"}
BY_COLUMN = {"default": {"policy": "latest_timestamp", "column": "ts"}}
BY_COLUMN_UNTIL_DELETED = {
    "default": {**DELETE_WINS, **dict.fromkeys(("insert_exists", "update_differing"), BY_COLUMN["default"])}
}
PRIORITY = {"default": "site_priority"}
MERGE = {"default": {**DELETE_WINS, "update_differing": "merge_columns"}}
DELTA = {"default": {**DELETE_WINS, "update_differing": {"policy": "delta", "columns": ["n"]}}}
GREATEST = {"default": {**DELETE_WINS, "update_differing": {"policy": "greatest", "columns": ["n"]}}}
ALL_PLUS_FLIP = ("insert", "set", "flip", "delete", "move", "claim", "swap")
PLAIN = ("insert", "set", "delete")

BARE: dict[str, Any] = {"memory": Memory.NONE, "reuse_keys": False, "wait_for_clock": False}
"""The least that an applier can do: no memory of writers, no look at clocks; and applications that use a key once."""

CONVERGING = (
    Profile("latest, two sites", LATEST, operations=ALL_PLUS_FLIP),
    Profile("latest, three sites", LATEST, sites=3, operations=ALL_PLUS_FLIP),
    Profile("latest, three sites, equal commit times", LATEST, sites=3, operations=ALL_PLUS_FLIP, tick_us=500_000),
    Profile("latest, exact knowledge, any clocks", LATEST, operations=ALL_PLUS_FLIP, exact=True, wait_for_clock=False,
            skew_us=60 * _DAY_US),
    Profile("latest, exact knowledge of local changes alone", LATEST, operations=ALL_PLUS_FLIP, memory=Memory.LOCAL,
            wait_for_clock=False, skew_us=60 * _DAY_US),
    Profile("latest by column, exact knowledge of local changes alone", BY_COLUMN, operations=PLAIN,
            memory=Memory.LOCAL, wait_for_clock=False),
    Profile("priority, exact knowledge of local changes alone", PRIORITY, operations=ALL_PLUS_FLIP,
            memory=Memory.LOCAL, wait_for_clock=False),
    Profile("latest by column, two sites", BY_COLUMN, operations=PLAIN),
    Profile("latest by column, three sites", BY_COLUMN, sites=3, operations=PLAIN),
    Profile("priority, exact knowledge", PRIORITY, operations=ALL_PLUS_FLIP, exact=True, wait_for_clock=False),
    Profile("latest by column, deletes win, keys not used again", BY_COLUMN_UNTIL_DELETED, operations=PLAIN, **BARE),
    Profile("priority, keys not used again", PRIORITY, operations=PLAIN, **BARE),
    Profile("merge, keys not used again", MERGE, operations=PLAIN, **BARE),
    Profile("delta, two sites", DELTA, operations=("add",), sums=True, **BARE),
    Profile("delta, three sites", DELTA, sites=3, operations=("add",), sums=True, **BARE),
    Profile("delta with deletes, three sites", DELTA, sites=3, operations=("add",) * 6 + ("delete",), sums=True, **BARE),
    Profile("delta and merge, two sites", DELTA, operations=("add", "set", "add", "set", "delete"), sums=True,
            initial_rows=6, **BARE),
    Profile("greatest of what only grows, three sites", GREATEST, sites=3, operations=("raise",) * 6 + ("delete",), **BARE),
)  # fmt: skip
"""Policies that converge, under these conditions."""

DIVERGING = (
    Profile("apply_origin both ways", {"default": "apply_origin"}, why="each site takes the other's version"),
    Profile("keep_target both ways", {"default": "keep_target"}, why="each site keeps its own version"),
    Profile("latest without memory of deletes", LATEST, forgetful=True, why="an old change finds no row, and comes back"),
    Profile("latest, three sites, clocks apart", LATEST, sites=3, wait_for_clock=False, skew_us=_DAY_US,
            why="a change made in knowledge of another may carry an earlier time"),
    Profile("latest by column without raising it", BY_COLUMN, operations=("flip",),
            why="different versions with the same timestamp"),
    Profile("latest by column, unique keys", BY_COLUMN, why="what held a unique key before has no timestamp any more"),
    Profile("latest by column, no memory, updates win over deletes", BY_COLUMN, operations=PLAIN, memory=Memory.NONE,
            reuse_keys=False, why="an older change brings a row back where it was deleted, and is beaten elsewhere"),
    Profile("latest by column, deletes win, three sites", BY_COLUMN_UNTIL_DELETED, sites=3, operations=PLAIN,
            reuse_keys=False, memory=Memory.NONE, why="an update may overtake the insert that made its row"),
    Profile("priority, three sites", PRIORITY, sites=3, operations=PLAIN,
            why="priority is no order in time: the same three changes settle differently in another order"),
    Profile("priority, keys used again", PRIORITY, operations=PLAIN, why="a new row is taken for the old one"),
    Profile("merge, three sites", MERGE, sites=3, operations=("set",), why="as for priority, column by column"),
    Profile("merge by latest", {"default": {"update_differing": {"policy": "merge_columns", "clash": "latest_timestamp"},
            **DELETE_WINS}}, operations=("set",), why="commit times are known of rows, not of columns"),
    Profile("merge, updates win over deletes",
            {"default": {"update_differing": "merge_columns", "update_missing": "apply_origin",
                         "delete_differing": "keep_target", "delete_missing": "skip_if_missing"}},
            operations=("set", "delete"), why="a row comes back with half of what was merged"),
    Profile("delta, rows inserted at both sites", {"default": {**DELTA["default"], "insert_exists": "site_priority"}},
            operations=("insert", "add"), initial_rows=0, why="the sums start from different numbers"),
    Profile("delta, updates win over deletes",
            {"default": {"update_differing": {"policy": "delta", "columns": ["n"]}, "update_missing": "apply_origin",
                         "delete_differing": "keep_target", "delete_missing": "skip_if_missing"}},
            operations=("add", "delete"), why="a row comes back without what others had added"),
    Profile("greatest of what also falls", GREATEST, operations=("add",), why="a fall that fits is written as it is"),
)  # fmt: skip
"""Policies that do not converge, or not without their conditions: a schedule that shows it is found quickly."""


ONE_WAY: dict[str, Any] = {"one_way": True, "memory": Memory.NONE}

ALIKE = (
    Profile("one way, apply_origin", {"default": "apply_origin", "tables": {"shop.item": {"detect": "full"}}}, **ONE_WAY),
    Profile("one way, apply_origin, by key", {"default": "apply_origin"}, by_key=True, **ONE_WAY),
    Profile("one way, keep_target", {"default": "keep_target"}, **ONE_WAY),
    Profile("one way, merge", {"default": {"update_differing": "merge_columns", "default": "apply_origin"}}, **ONE_WAY),
    Profile("one way, quarantine", {"default": "quarantine"}, **ONE_WAY),
    Profile("both ways, quarantine", {"default": "quarantine"}, memory=Memory.NONE),
    Profile("both ways, delta", {"default": {**DELTA["default"], "default": "quarantine"}},
            operations=("add",) * 3 + ("set", "delete", "insert"), memory=Memory.NONE),
)  # fmt: skip
"""Policies under which sites stay different; but how their transactions are put together must make no difference."""


def run_schedule(profile: Profile, seed: int, manner: Manner = USUAL) -> Outcome:
    """Play one schedule; a decision that cannot be carried out is its problem too."""
    try:
        return World(profile, seed, manner).run()
    except (Broken, ReplicatorError) as e:
        return Outcome(problem=f"{_BROKEN} {e}")


def find_failure(profile: Profile, first_seed: int, count: int) -> tuple[int, Outcome] | None:
    """The first seed whose schedule does not end well, and how it ended."""
    for seed in range(first_seed, first_seed + count):
        outcome = run_schedule(profile, seed)
        if outcome.problem:
            return seed, outcome
    return None


def compare(profile: Profile, seed: int, *others: Manner) -> str:
    """Play a schedule change by change, and in other manners: what a site then holds or has recorded otherwise; "" if nothing.

    By key alone, the record of a collision may be missing: one with a row that the batch itself overwrites, unseen.
    """
    expected = run_schedule(profile, seed, CHANGE_BY_CHANGE)
    if expected.problem.startswith(_BROKEN):
        return expected.problem
    for manner in others:
        outcome = run_schedule(profile, seed, manner)
        if outcome.problem.startswith(_BROKEN):
            return f"{manner}: {outcome.problem}"
        for name in outcome.rows:
            if outcome.rows[name] != expected.rows[name]:
                return f"{manner}: {name} holds other rows"
            if not profile.by_key and log_entries(outcome.records[name]) != log_entries(expected.records[name]):
                return f"{manner}: {name} recorded something else"
            if outcome.held[name] != expected.held[name]:
                return f"{manner}: {name} put something else aside"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Run schedules of all converging profiles (or one) and print the first seed of each that fails."""
    parser = argparse.ArgumentParser(description="simulate sites that all write, and compare them at the end")
    parser.add_argument("--schedules", type=int, default=100_000, help="over all profiles together")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--profile", default="", help="only the profiles whose name contains this, diverging ones too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(arguments)
    known = (*CONVERGING, *DIVERGING) if options.profile else CONVERGING
    chosen = [p for p in known if options.profile in p.name]
    if not chosen:
        parser.error("no such profile; known are: " + "; ".join(p.name for p in (*CONVERGING, *DIVERGING)))
    share = -(-options.schedules // len(chosen))
    failed = 0
    for profile in chosen:
        started = time.monotonic()
        failure = _find_failure(profile, options.seed, share, options.jobs)
        took_s = time.monotonic() - started
        if failure is None:
            print(f"ok      {profile.name}: {share} schedules from seed {options.seed}, {took_s:.1f} s", flush=True)
            continue
        failed += 1
        seed, outcome = failure
        print(f"FAILED  {profile.name}: seed {seed}: {outcome.problem}", flush=True)
        for name, rows in outcome.rows.items():
            print(f"        {name}: {sorted(rows.values(), key=repr)}")
    return 1 if failed else 0


def _find_failure(profile: Profile, first_seed: int, count: int, jobs: int) -> tuple[int, Outcome] | None:
    """As ``find_failure``, in several processes."""
    if jobs == 1:
        return find_failure(profile, first_seed, count)
    starts = range(first_seed, first_seed + count, _CHUNK)
    with ProcessPoolExecutor(jobs) as pool:
        pending = [pool.submit(find_failure, profile, s, min(_CHUNK, first_seed + count - s)) for s in starts]
        for future in pending:
            failure = future.result()
            if failure is not None:
                pool.shutdown(cancel_futures=True)
                return failure
    return None


if __name__ == "__main__":
    sys.exit(main())
