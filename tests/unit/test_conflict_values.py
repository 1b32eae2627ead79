"""Equality as stored, order and exact differences; stamps and registers."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict import Change, ColumnInfo, ColumnKind, Provenance, TableInfo, is_unseen, registers, supersedes
from conflict.stamps import stamp
from conflict.values import add_difference, differing_columns, holds, order_key, same_row, same_value

TABLE = TableInfo("s", "t", tuple([ColumnInfo(n, ColumnKind.INTEGER) for n in "abcd"]), key=(0,), unique_keys=((1,), (2, 3)))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (None, None, True),
        (None, 0, False),
        (None, b"", False),
        (1, 1.0, False),
        (1, True, False),
        (0.0, -0.0, False),
        (math.nan, math.nan, True),
        (b"a", b"A", False),
        (b"a", b"a ", False),
        (b"1.0", b"1.00", False),
        (2**64 - 1, 2**64 - 1, True),
    ],
)
def test_equality_is_as_stored(a: object, b: object, same: bool) -> None:
    """Neither collations nor number formats make different stored values equal."""
    assert same_value(a, b) is same
    assert same_row((1, a), (1, b)) is same
    assert differing_columns((1, a), (1, b)) == (() if same else (1,))


@pytest.mark.parametrize(
    ("column", "held", "refused"),
    [
        (ColumnInfo("c", ColumnKind.INTEGER, minimum=-128, maximum=127, scale=0), [None, -128, 127], [-129, 128, 1.0, b"1"]),
        (
            ColumnInfo("c", ColumnKind.DECIMAL, minimum=Decimal("-9.99"), maximum=Decimal("9.99"), scale=2),
            [None, b"9.99", b"-9.99", b"+.5", b"1.", 9],
            [b"10.00", b"-10", b"1.001", b"abc", b"", b" 1", b"1e1", b"1_0", b"NaN", 10, 1.5],
        ),
        (ColumnInfo("c", ColumnKind.FLOAT), [None, 1.5, 2], [math.nan, math.inf, b"1.5"]),
        (ColumnInfo("c", ColumnKind.TEMPORAL), [None, b"2024-01-01"], [20240101, 1.5]),
        (ColumnInfo("c", ColumnKind.TEXT), [None, b"a"], [1, 1.5]),
        (ColumnInfo("c", ColumnKind.OTHER), [None, b"{}", 1], [1.5]),
    ],
)
def test_a_column_holds_what_is_of_its_kind_and_in_its_range(
    column: ColumnInfo, held: list[object], refused: list[object]
) -> None:
    """A value that a function or a calculation made is known not to fit before the server is asked."""
    assert [v for v in held if not holds(column, v)] == []
    assert [v for v in refused if holds(column, v)] == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ColumnKind.INTEGER, [None, -5, 0, 3, 2**64]),
        (ColumnKind.FLOAT, [None, -1.5, 0.0, 2.5]),
        (ColumnKind.DECIMAL, [None, b"-10.5", b"-9", b"0.00", b"9.99", b"10"]),
        (ColumnKind.TEMPORAL, [None, b"0000-00-00 00:00:00", b"2024-01-01 00:00:00", b"2024-01-01 00:00:00.5"]),
        (ColumnKind.TIME, [None, b"-838:59:59", b"-00:00:01.5", b"-00:00:01", b"00:00:00", b"09:00:00", b"100:00:00"]),
    ],
)
def test_order(kind: ColumnKind, values: list[object]) -> None:
    """Values sort as their type does; NULL is below everything."""
    keys = [order_key(kind, v) for v in values]
    assert all(a < b for a, b in itertools.pairwise(keys))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ColumnKind.TEXT, b"a"),
        (ColumnKind.OTHER, b"{}"),
        (ColumnKind.INTEGER, b"1"),
        (ColumnKind.DECIMAL, 1),
        (ColumnKind.DECIMAL, b"NaN"),
        (ColumnKind.DECIMAL, b"\xff"),
        (ColumnKind.TIME, b"noon"),
    ],
)
def test_no_order(kind: ColumnKind, value: object) -> None:
    """What has no order, or is not a value of the column, raises instead of sorting somehow."""
    with pytest.raises(ValueError):
        order_key(kind, value)


@given(st.integers(-(2**63), 2**64), st.integers(-(2**63), 2**64), st.integers(-(2**63), 2**64))
def test_differences_of_integers_commute(base: int, mine: int, theirs: int) -> None:
    """Both sides come to the same number, whoever adds first."""
    kind = ColumnKind.INTEGER
    assert add_difference(kind, mine, base, theirs) == add_difference(kind, theirs, base, mine) == mine + theirs - base


@given(*[st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20)] * 3)
def test_differences_of_decimals_are_exact(base: object, mine: object, theirs: object) -> None:
    """DECIMAL keeps its scale, and nothing is rounded."""
    a, b, c = (format(v, "f").encode() for v in (base, mine, theirs))
    here, there = add_difference(ColumnKind.DECIMAL, b, a, c), add_difference(ColumnKind.DECIMAL, c, a, b)
    assert here == there
    assert isinstance(here, bytes)
    assert len(here.rpartition(b".")[2]) == 4
    assert here != b"-0.0000"


def version(site: str, time_us: int, priority: int = 0, sequence: int = 0) -> Provenance:
    """A writer."""
    return Provenance(site, time_us, priority=priority, sequence=sequence)


@given(
    st.lists(
        st.tuples(st.text(max_size=3), st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=2, unique_by=lambda v: v[0]
    )
)
def test_of_two_sites_versions_exactly_one_supersedes(pair: list[tuple[str, int, int]]) -> None:
    """Both sides decide alike: of any two versions of different sites, one is newer and the other is not."""
    one, two = (version(*values) for values in pair)
    assert supersedes(one, two) is not supersedes(two, one)
    assert supersedes(one, two, by_time=False) is not supersedes(two, one, by_time=False)


def test_stamps_order_by_time_then_priority_then_name() -> None:
    """Bigger is newer: later, of the site with the lower number, of the alphabetically first site."""
    newest_first = [version("b", 2, 9), version("z", 1, 0), version("a", 1, 1), version("ab", 1, 1), version("b", 1, 1)]
    assert sorted(newest_first, key=stamp, reverse=True) == newest_first


def test_what_supersedes() -> None:
    """Nothing remembered, knowledge, and the same site's later change supersede whatever the clocks say."""
    assert supersedes(version("a", 1), None)
    assert supersedes(version("a", 1), version("b", 2), unseen=False)
    assert supersedes(version("a", 1), version("a", 2))
    assert not supersedes(version("a", 1), version("b", 2))
    assert not supersedes(version("a", 1), version("b", 2), unseen=True)


def test_unseen() -> None:
    """A version is unseen if its site's stream had not been applied so far; a site knows its own."""
    assert is_unseen(version("b", 0, sequence=5), "a", {"b": 4})
    assert not is_unseen(version("b", 0, sequence=5), "a", {"b": 5})
    assert is_unseen(version("b", 0, sequence=5), "a", {})
    assert not is_unseen(version("a", 0, sequence=5), "a", {})


def test_registers() -> None:
    """A change touches its row's identities, and the unique values that it takes; a NULL collides with nothing."""
    assert registers(Change(None, (1, 2, 3, 4)), TABLE) == (((0,), (1,)), ((1,), (2,)), ((2, 3), (3, 4)))
    assert registers(Change((1, 2, 3, 4), None), TABLE) == (((0,), (1,)),)
    assert registers(Change((1, 2, 3, 4), (5, 2, None, 4)), TABLE) == (((0,), (1,)), ((0,), (5,)), ((1,), (2,)))


def test_a_change_needs_an_image() -> None:
    """A change without images, or with images of different widths, cannot be made."""
    with pytest.raises(ValueError, match="needs a before image"):
        Change(None, None)
    with pytest.raises(ValueError, match="2 and 1 columns"):
        Change((1, 2), (1,))
