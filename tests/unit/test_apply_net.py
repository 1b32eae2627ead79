"""Merging the changes of a batch hides nothing: neither a gap between them, nor what was only there in between."""

from __future__ import annotations

from conflict import Change, Row
from replicator.apply.batch import Planner, StatementLimits
from tests.property.streams import MAP, events_of, plans_of, streams_of


def planned(*changes: tuple[Row | None, Row | None], detect: str = "full") -> Planner:
    """A batch of these changes of ``shop.item (id, u, a, b, n, ts)``, where ``id`` is the primary key and ``u`` is unique."""
    conflicts = {"default": "apply_origin", "tables": {"shop.item": {"default": "apply_origin", "detect": detect}}}
    stream = streams_of(conflicts, ("east", "west"), "bidirectional")["east", "west"]
    planner = Planner()
    planner.add({0: plans_of(stream).get(MAP)}, events_of([Change(*images) for images in changes], 1))
    return planner


def checks(planner: Planner) -> dict[str, int | None]:
    """The conditions under which no row, or so many rows, must be found before anything is written."""
    made = planner.statements(StatementLimits())
    heads = [s.sql.decode().removesuffix(" FOR UPDATE") for s in made]
    marker = "SELECT 1 FROM `shop`.`item` WHERE "
    return {h.removeprefix(marker): s.expect.affected for h, s in zip(heads, made, strict=True) if h.startswith(marker)}


def row(key: int, unique: int | None, n: int = 0) -> Row:
    """A row."""
    return (key, unique, 0, 0, n, 0)


def test_changes_with_a_gap_between_them_are_not_merged() -> None:
    """In the gap the origin applied a change of this target's: 10 → 7 and 12 → 11 is -4 in all, and not 10 → 11."""
    whole = planned((row(1, 1, 10), row(1, 1, 7)), (row(1, 1, 7), row(1, 1, 6))).statements(StatementLimits())
    assert [s.sql[:6] for s in whole] == [b"SELECT", b"INSERT"]
    gap = planned((row(1, 1, 10), row(1, 1, 7)), (row(1, 1, 12), row(1, 1, 11))).statements(StatementLimits())
    assert [s.sql[:6] for s in gap] == [b"UPDATE", b"UPDATE"]
    assert b"x'3132'" in gap[1].sql, "the second one looks for the row as its origin found it"
    gone = planned((row(1, 1, 10), row(1, 1, 7)), (row(1, 1, 12), None)).statements(StatementLimits())
    assert [s.sql[:6] for s in gone] == [b"UPDATE", b"DELETE"]


def test_by_key_alone_only_the_end_counts() -> None:
    """Nobody asks there what a row was like before."""
    made = planned((row(1, 1, 10), row(1, 1, 7)), (row(1, 1, 12), row(1, 1, 11)), detect="key").statements(StatementLimits())
    assert [s.sql[:6] for s in made] == [b"SELECT", b"INSERT"]


def test_by_key_alone_a_row_that_ends_as_it_began_is_written() -> None:
    """Nobody knows what the target has: the row may be missing there, which is a conflict, or differ, and is overwritten."""
    there_and_back = (row(1, 1, 10), row(1, 1, 7)), (row(1, 1, 7), row(1, 1, 10))
    anew = (row(1, 1, 10), None), (None, row(1, 1, 10))
    for changes in (there_and_back, anew):
        planner = planned(*changes, detect="key")
        assert checks(planner)["`id` IN (1)"] == 1
        (upsert,) = [s for s in planner.statements(StatementLimits()) if s.sql.startswith(b"INSERT")]
        assert b"(1,1,0,0,10,0) ON DUPLICATE KEY UPDATE" in upsert.sql and upsert.expect.affected is None
    assert planned((row(1, 1), row(1, 1)), detect="key").statements(StatementLimits()) == [], "one that changes nothing here"


def test_a_row_that_comes_and_goes_must_have_had_room() -> None:
    """Neither its key nor its unique value may be taken at the target: change by change that would be a conflict."""
    for detect in ("full", "key"):
        planner = planned((None, row(5, 3)), (row(5, 3), None), detect=detect)
        assert checks(planner) == {"`id` IN (5)": 0, "(`u`=3)": 0}
        assert planner.footprint().meets(planned((None, row(5, 9))).footprint())
        assert planner.footprint().meets(planned((None, row(9, 3))).footprint())
        assert not planner.footprint().meets(planned((None, row(9, 9))).footprint())


def test_a_unique_value_on_the_way_must_have_been_free() -> None:
    """Or held by the row of the batch that gave it up."""
    assert checks(planned((row(1, 1), row(1, 2)), (row(1, 2), row(1, 3)))) == {"(`u`=2)": 0}
    passed_on = (row(2, 2), row(2, None)), (row(1, 1), row(1, 2)), (row(1, 2), row(1, 3)), (row(1, 3), row(1, 4))
    assert checks(planned(*passed_on)) == {"(`u`=2 AND NOT (`id`=2)) OR (`u`=3)": 0}
    assert checks(planned((None, row(3, 7)), (row(3, 7), row(4, 7)))) == {"`id` IN (3)": 0, "(`u`=7)": 0}


def test_by_key_alone_a_row_may_not_have_held_what_it_gives_up() -> None:
    """What its change wrote in between may then collide."""
    twice = (row(1, 1), row(1, 1, 5)), (row(1, 1, 5), row(1, 2))
    assert checks(planned(*twice)) == {}
    assert checks(planned(*twice, detect="key")) == {"(`u`=1 AND NOT (`id`=1))": 0, "`id` IN (1)": 1}


def test_what_lasts_or_was_there_needs_no_look() -> None:
    """The statements that write it see to it."""
    assert checks(planned((row(1, 1), row(1, 1, 5)), (row(1, 1, 5), row(1, 1, 6)))) == {}
    assert checks(planned((None, row(1, 1)), (row(1, 1), row(1, 1, 5)))) == {}
    assert checks(planned((row(1, 1), row(1, None)), (row(1, None), row(1, 2)))) == {}
    assert checks(planned((row(1, 1), None), (None, row(1, 1)), (row(1, 1), row(1, 1, 4)))) == {}
