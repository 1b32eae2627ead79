"""What the applications of a simulated site do to its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from conflict import Change, Row
from tests.property.database import ID, TS, A, B, N, Store, U
from tests.property.sites import Site

if TYPE_CHECKING:
    from tests.property.simulation import World

__all__ = ["write"]

_KEYS = 5


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
    ts = max(time_us, store.gone.get(key, -1) + 1)  # a key that is used again raises the timestamp too
    return _do(store, None, (key, unique, world.number(), world.number(), 0, ts))


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
