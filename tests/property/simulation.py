"""Seeded simulation of two or three sites that all write, to see whether they end equal.

    python -m tests.property.simulation --schedules 100000 [--profile NAME] [--seed N] [--jobs N]

A schedule is one seed: it decides what each site writes, when each flow delivers and how many transactions at once, where the
applier crashes or meets a deadlock, what is delivered twice, and how wrong the clocks are. A profile is a set of policies, with
the conditions under which they are documented to converge. At the end everything is delivered, and all sites must hold the same
rows. What applies the transactions is the real planner, writer and conflict code (see ``sites``).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from conflict import Row
from replicator.errors import ReplicatorError
from tests.property.applications import write
from tests.property.database import Broken, Crash, N, log_entries
from tests.property.profiles import CONVERGING, DIVERGING, Profile
from tests.property.sites import Site, Trouble
from tests.property.streams import streams_of

__all__ = ["Manner", "Outcome", "compare", "find_failure", "main", "run_schedule"]

_STEPS = 36
_CHUNK = 100
_BROKEN = "broken:"


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
            seeds = f"{options.seed} to {options.seed + share - 1}"
            print(f"ok      {profile.name}: {share} schedules, seeds {seeds}, {took_s:.1f} s", flush=True)
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
