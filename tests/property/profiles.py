"""Policies with the conditions under which sites are documented to end equal, and others with the reason why they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.property.sites import Memory

__all__ = ["ALIKE", "CONVERGING", "DIVERGING", "Profile"]

_DAY_US = 10_000_000

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


LATEST = {"default": "latest_timestamp"}
BY_COLUMN = {"default": {"policy": "latest_timestamp", "column": "ts"}}
BY_COLUMN_UNTIL_DELETED = {
    "default": {**DELETE_WINS, **dict.fromkeys(("insert_exists", "update_differing"), BY_COLUMN["default"])}
}
PRIORITY = {"default": "site_priority"}
MERGE = {"default": {**DELETE_WINS, "update_differing": "merge_columns"}}
MERGE_BY_COLUMN = {
    "default": {
        **DELETE_WINS,
        "update_differing": {
            "policy": "merge_columns",
            "columns": {"a, b, ts": {"policy": "latest_timestamp", "column": "ts"}, "*": "site_priority"},
        },
    }
}
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
    Profile("merge by a column of the unit, exact knowledge of local changes alone", MERGE_BY_COLUMN, operations=PLAIN,
            memory=Memory.LOCAL, reuse_keys=False, wait_for_clock=False),
    Profile("merge by a column of the unit, exact knowledge, rows that stay", MERGE_BY_COLUMN, operations=("set",),
            memory=Memory.LOCAL, wait_for_clock=False),
    Profile("merge by a column of the unit, keys not used again", MERGE_BY_COLUMN, operations=PLAIN, **BARE),
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
    Profile("merge by a column of the unit, three sites", MERGE_BY_COLUMN, sites=3, operations=PLAIN,
            reuse_keys=False, memory=Memory.NONE, why="an update may overtake the insert that made its row"),
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
    Profile("one way, observed", {"mode": "observe"}, **ONE_WAY),
    Profile("both ways, quarantine", {"default": "quarantine"}, memory=Memory.NONE),
    Profile("both ways, delta", {"default": {**DELTA["default"], "default": "quarantine"}},
            operations=("add",) * 3 + ("set", "delete", "insert"), memory=Memory.NONE),
)  # fmt: skip
"""Policies under which sites stay different; but how their transactions are put together must make no difference."""
