"""Every type of conflict under every policy that makes sense for it: what is written, remembered and recorded."""

from __future__ import annotations

from typing import Any

import pytest

from conflict import (
    ABSENT,
    Action,
    Change,
    ColumnInfo,
    ColumnKind,
    ConflictType,
    Decision,
    LocalRow,
    Policies,
    PolicyError,
    Provenance,
    TableInfo,
    decide,
    decide_structural,
    parse_policies,
)
from conflict.rules import FITS, PolicyName

TABLE = TableInfo(
    "shop",
    "user",
    (
        ColumnInfo("id", ColumnKind.INTEGER, nullable=False),
        ColumnInfo("email", ColumnKind.TEXT),
        ColumnInfo("name", ColumnKind.TEXT),
        ColumnInfo("updated_at", ColumnKind.TEMPORAL),
    ),
    key=(0,),
    unique_keys=((1,),),
)
T1, T2, T3 = b"2024-05-01 10:00:00", b"2024-05-01 11:00:00", b"2024-05-01 12:00:00"
OLD = (1, b"a@x", b"Ann", T1)
NEW = (1, b"a@x", b"Anna", T2)
THERE = (1, b"a@x", b"Annie", T3)
RIVAL = (2, b"a@x", b"Bob", T3)
EAST = Provenance("east", 1_000, priority=1, sequence=7)
WEST_LATER = Provenance("west", 2_000, priority=2, sequence=9)
WEST_EARLIER = Provenance("west", 500, priority=2, sequence=8)

INSERT, UPDATE, DELETE = Change(None, NEW), Change(OLD, NEW), Change(OLD, None)


def settle(
    policy: Any,
    change: Change,
    local: LocalRow = ABSENT,
    others: tuple[LocalRow, ...] = (),
    *,
    origin: Provenance = EAST,
    site: str = "west",
    **options: Any,
) -> Decision:
    """Decide under one policy for everything."""
    priority = {"east": 1, "west": 2}[site]
    policies = policy if isinstance(policy, Policies) else parse_policies({"default": policy})
    options = {"remembering": True, **options}
    return decide(
        change, local, others, policies=policies, table=TABLE, origin=origin, site=site, site_priority=priority, **options
    )


def outcome(decision: Decision) -> tuple[ConflictType, Action]:
    """The conflict and what is done about it."""
    assert decision.record is not None
    return decision.record.conflict, decision.action


SITUATIONS: dict[ConflictType, tuple[Change, LocalRow, tuple[LocalRow, ...]]] = {
    ConflictType.INSERT_EXISTS: (INSERT, LocalRow(THERE, WEST_LATER), ()),
    ConflictType.UPDATE_MISSING: (UPDATE, LocalRow(None, WEST_LATER), ()),
    ConflictType.UPDATE_DIFFERING: (UPDATE, LocalRow(THERE, WEST_LATER), ()),
    ConflictType.DELETE_MISSING: (DELETE, ABSENT, ()),
    ConflictType.DELETE_DIFFERING: (DELETE, LocalRow(THERE, WEST_LATER), ()),
    ConflictType.MULTIPLE_UNIQUE_CONFLICTS: (INSERT, ABSENT, (LocalRow(RIVAL, WEST_LATER),)),
}

WRITES = {
    ConflictType.INSERT_EXISTS: Action.WRITE_UPDATE,
    ConflictType.UPDATE_MISSING: Action.WRITE_INSERT,
    ConflictType.UPDATE_DIFFERING: Action.WRITE_UPDATE,
    ConflictType.DELETE_MISSING: Action.SKIP,
    ConflictType.DELETE_DIFFERING: Action.WRITE_DELETE,
    ConflictType.MULTIPLE_UNIQUE_CONFLICTS: Action.WRITE_INSERT,
}
STAYS = {
    ConflictType.INSERT_EXISTS: Action.KEEP,
    ConflictType.UPDATE_MISSING: Action.SKIP,
    ConflictType.UPDATE_DIFFERING: Action.KEEP,
    ConflictType.DELETE_MISSING: Action.SKIP,
    ConflictType.DELETE_DIFFERING: Action.KEEP,
    ConflictType.MULTIPLE_UNIQUE_CONFLICTS: Action.SKIP,
}


@pytest.mark.parametrize("conflict", SITUATIONS)
def test_nothing_configured_halts(conflict: ConflictType) -> None:
    """Without a policy every conflict stops the flow, and nothing is written or remembered."""
    change, local, others = SITUATIONS[conflict]
    decision = settle({}, change, local, others)
    assert outcome(decision) == (conflict, Action.HALT)
    assert (decision.row, decision.delete_first, decision.provenance) == (None, (), None)
    assert decision.record is not None and "no policy" in decision.record.reason


@pytest.mark.parametrize("conflict", SITUATIONS)
@pytest.mark.parametrize("word", ["quarantine", "halt"])
def test_words_that_do_not_decide(conflict: ConflictType, word: str) -> None:
    """Quarantine and halt write nothing and remember nobody."""
    change, local, others = SITUATIONS[conflict]
    decision = settle(word, change, local, others)
    assert outcome(decision) == (conflict, Action(word))
    assert (decision.row, decision.delete_first, decision.provenance) == (None, (), None)


@pytest.mark.parametrize("conflict", SITUATIONS)
def test_apply_origin_writes_the_change(conflict: ConflictType) -> None:
    """The after image is written over whatever is there; a row that holds its unique key goes first."""
    change, local, others = SITUATIONS[conflict]
    decision = settle("apply_origin", change, local, others)
    assert outcome(decision) == (conflict, WRITES[conflict])
    assert decision.row == (None if change is DELETE else NEW)
    assert decision.delete_first == ((RIVAL,) if conflict is ConflictType.MULTIPLE_UNIQUE_CONFLICTS else ())
    assert decision.provenance == EAST


@pytest.mark.parametrize("conflict", SITUATIONS)
def test_keep_target_writes_nothing(conflict: ConflictType) -> None:
    """The target stays as it is, also rows that hold a unique key of the change."""
    change, local, others = SITUATIONS[conflict]
    decision = settle("keep_target", change, local, others)
    assert outcome(decision) == (conflict, STAYS[conflict])
    assert (decision.row, decision.delete_first) == (None, ())


@pytest.mark.parametrize("conflict", [c for c in SITUATIONS if c is not ConflictType.DELETE_MISSING])
@pytest.mark.parametrize(("writer", "wins"), [(WEST_LATER, False), (WEST_EARLIER, True), (None, True)])
def test_latest_by_commit_time(conflict: ConflictType, writer: Provenance | None, wins: bool) -> None:
    """The later commit stays, of rows and of deletes; a writer that is not remembered is an old one."""
    change, local, others = SITUATIONS[conflict]
    local = LocalRow(local.row, writer) if not others else local
    others = tuple([LocalRow(o.row, writer) for o in others])
    decision = settle("latest_timestamp", change, local, others)
    assert outcome(decision) == (conflict, (WRITES if wins else STAYS)[conflict])
    assert decision.provenance == EAST, "who lost is remembered too, wherever it is the later one"


@pytest.mark.parametrize("conflict", [ConflictType.INSERT_EXISTS, ConflictType.UPDATE_DIFFERING, ConflictType.DELETE_DIFFERING])
@pytest.mark.parametrize(("theirs", "wins"), [(T1, True), (T3, False), (None, True)])
def test_latest_by_column(conflict: ConflictType, theirs: bytes | None, wins: bool) -> None:
    """The later value in the column stays; NULL is the earliest; commit times play no part."""
    change, _, _ = SITUATIONS[conflict]
    row = (1, b"a@x", b"Annie", theirs)
    decision = settle({"policy": "latest_timestamp", "column": "Updated_At"}, change, LocalRow(row, WEST_LATER))
    assert outcome(decision) == (conflict, (WRITES if wins else STAYS)[conflict])


def test_a_delete_counts_as_just_after_the_version_that_it_found() -> None:
    """By column: a delete wins over the version it found even if other columns differ, and loses to any later version."""
    policy = {"policy": "latest_timestamp", "column": "updated_at"}
    assert settle(policy, DELETE, LocalRow((1, b"a@x", b"other", T1))).action is Action.WRITE_DELETE
    assert settle(policy, DELETE, LocalRow((1, b"a@x", b"other", T2))).action is Action.KEEP
    assert settle(policy, UPDATE, LocalRow(None, WEST_LATER, deleted=OLD)).action is Action.WRITE_INSERT
    assert settle(policy, UPDATE, LocalRow(None, WEST_LATER, deleted=NEW)).action is Action.SKIP


@pytest.mark.parametrize(
    ("theirs", "wins"),
    [
        (Provenance("west", 1_000, priority=2), True),
        (Provenance("west", 1_000, priority=0), False),
        (Provenance("west", 1_000, priority=1), True),
        (Provenance("eas", 1_000, priority=1), False),
        (Provenance("eastern", 1_000, priority=1), True),
    ],
)
def test_ties_go_by_priority_then_name(theirs: Provenance, wins: bool) -> None:
    """At equal times the lower priority number wins, then the alphabetically first name, so that both sides agree."""
    here = settle("latest_timestamp", UPDATE, LocalRow(THERE, theirs))
    there = settle("latest_timestamp", UPDATE, LocalRow(THERE, EAST), origin=theirs)
    assert (here.action is Action.WRITE_UPDATE, there.action is Action.WRITE_UPDATE) == (wins, not wins)


def test_knowledge_overrules_clocks() -> None:
    """A change made in knowledge of the row wins though its commit time is earlier; so does a later one of the same site."""
    assert settle("latest_timestamp", UPDATE, LocalRow(THERE, WEST_LATER, unseen=False)).action is Action.WRITE_UPDATE
    assert settle("latest_timestamp", UPDATE, LocalRow(THERE, WEST_LATER, unseen=True)).action is Action.KEEP
    same = Provenance("east", 9_000, priority=1)
    assert settle("latest_timestamp", UPDATE, LocalRow(THERE, same)).action is Action.WRITE_UPDATE


@pytest.mark.parametrize("conflict", [ConflictType.INSERT_EXISTS, ConflictType.UPDATE_DIFFERING, ConflictType.DELETE_DIFFERING])
def test_a_difference_that_no_stream_explains_is_settled_by_the_rows(conflict: ConflictType) -> None:
    """The origin knew all that was written here, but the row is another: changed past the binlog, or left out once."""
    change, _, _ = SITUATIONS[conflict]
    later, earlier = ((1, b"a@x", b"Annie", at) for at in (T3, T1))
    column = {"policy": "latest_timestamp", "column": "updated_at"}
    assert outcome(settle(column, change, LocalRow(later, unseen=False))) == (conflict, STAYS[conflict])
    assert outcome(settle(column, change, LocalRow(earlier, unseen=False))) == (conflict, WRITES[conflict])
    ours = Provenance("east", EAST.commit_time_us, priority=3)
    assert outcome(settle("site_priority", change, LocalRow(earlier, unseen=False), origin=ours)) == (conflict, STAYS[conflict])
    assert outcome(settle("site_priority", change, LocalRow(later, unseen=False))) == (conflict, WRITES[conflict])


def test_an_equal_row_that_was_written_later_is_another_row() -> None:
    """A row that changed and changed back is not mistaken for the one that the change found."""
    aba = LocalRow(OLD, WEST_LATER)
    assert outcome(settle("latest_timestamp", UPDATE, aba)) == (ConflictType.UPDATE_DIFFERING, Action.KEEP)
    assert outcome(settle("latest_timestamp", DELETE, aba)) == (ConflictType.DELETE_DIFFERING, Action.KEEP)
    assert settle("apply_origin", UPDATE, aba).record is None, "only commit times can tell"


def test_an_insert_meets_a_newer_delete() -> None:
    """A row that was deleted later than the insert was made does not come back."""
    decision = settle("latest_timestamp", INSERT, LocalRow(None, WEST_LATER))
    assert outcome(decision) == (ConflictType.UPDATE_MISSING, Action.SKIP)
    assert settle("latest_timestamp", INSERT, LocalRow(None, WEST_EARLIER)) == Decision(Action.WRITE_INSERT, NEW, provenance=EAST)


def test_a_unique_value_that_was_held_later_is_taken() -> None:
    """The value is free now, but its last holder was newer than the change: the change is superseded, and its old row goes."""
    decision = settle("latest_timestamp", UPDATE, LocalRow(OLD, WEST_EARLIER), (LocalRow(None, WEST_LATER),))
    assert outcome(decision) == (ConflictType.MULTIPLE_UNIQUE_CONFLICTS, Action.WRITE_DELETE)
    assert decision.delete_first == ()


@pytest.mark.parametrize(("site", "origin", "wins"), [("west", EAST, True), ("east", WEST_LATER, False)])
@pytest.mark.parametrize("conflict", [c for c in SITUATIONS if c is not ConflictType.DELETE_MISSING])
def test_site_priority_decides_alike_at_both_sites(conflict: ConflictType, site: str, origin: Provenance, wins: bool) -> None:
    """East's version stays at both sites; who wrote a row is taken to be the target if it is not known."""
    change, local, others = SITUATIONS[conflict]
    local = LocalRow(local.row)
    others = tuple([LocalRow(o.row) for o in others])
    decision = settle("site_priority", change, local, others, origin=origin, site=site)
    assert outcome(decision) == (conflict, (WRITES if wins else STAYS)[conflict])


@pytest.mark.parametrize(("change", "conflict"), [(UPDATE, "update_missing"), (DELETE, "delete_missing")])
def test_skip_if_missing(change: Change, conflict: str) -> None:
    """A change to a row that is not there is dropped, and recorded."""
    assert outcome(settle("skip_if_missing", change)) == (ConflictType(conflict), Action.SKIP)
    assert outcome(settle("skip_if_missing", change, LocalRow(THERE)))[1] is Action.HALT, "it says nothing about other rows"


def test_several_rows_in_the_way_all_go() -> None:
    """A change may collide with one row at its new primary key and with another by a unique key."""
    moved = Change(OLD, (2, b"b@x", b"Ann", T2))
    at_key, at_email = (2, b"q@x", b"Q", T1), (3, b"b@x", b"R", T1)
    decision = settle("apply_origin", moved, LocalRow(OLD), (LocalRow(at_key), LocalRow(at_email)))
    assert outcome(decision) == (ConflictType.MULTIPLE_UNIQUE_CONFLICTS, Action.WRITE_UPDATE)
    assert decision.delete_first == (at_key, at_email)
    assert decision.row == moved.after


def test_a_row_in_the_way_twice_goes_once() -> None:
    """One row may hold both the new primary key and the unique key."""
    moved = Change(OLD, (2, b"b@x", b"Ann", T2))
    both = (2, b"b@x", b"R", T1)
    decision = settle("apply_origin", moved, LocalRow(OLD), (LocalRow(both), LocalRow(both)))
    assert decision.delete_first == (both,)


def test_a_superseded_change_still_takes_away_what_it_replaced() -> None:
    """It loses one unique key to a newer row; the older ones it displaced, and its own old row, go all the same."""
    moved = Change(OLD, (2, b"b@x", b"Ann", T2))
    older, newer = (2, b"q@x", b"Q", T1), (3, b"b@x", b"R", T1)
    others = (LocalRow(older, WEST_EARLIER), LocalRow(newer, WEST_LATER))
    decision = settle("latest_timestamp", moved, LocalRow(OLD, WEST_EARLIER), others)
    assert outcome(decision) == (ConflictType.MULTIPLE_UNIQUE_CONFLICTS, Action.WRITE_DELETE)
    assert decision.delete_first == (older,)


def test_a_move_leaves_a_newer_row_at_its_old_key() -> None:
    """The old key was written later by another site and stays; the moved row is inserted beside it."""
    moved = Change(OLD, (2, b"b@x", b"Ann", T2))
    decision = settle("latest_timestamp", moved, LocalRow(THERE, WEST_LATER))
    assert outcome(decision) == (ConflictType.UPDATE_DIFFERING, Action.WRITE_INSERT)
    assert decision.row == moved.after
    same_email = Change(OLD, (2, b"a@x", b"Ann", T2))
    assert settle("latest_timestamp", same_email, LocalRow(THERE, WEST_LATER)).action is Action.KEEP, "it holds the email"


def test_what_fits_is_written_without_a_record() -> None:
    """No conflict: the plain effect, and its writer is remembered."""
    assert settle({}, INSERT) == Decision(Action.WRITE_INSERT, NEW, provenance=EAST)
    assert settle({}, UPDATE, LocalRow(OLD)) == Decision(Action.WRITE_UPDATE, NEW, provenance=EAST)
    assert settle({}, DELETE, LocalRow(OLD)) == Decision(Action.WRITE_DELETE, provenance=EAST)
    own = (LocalRow(OLD),)
    assert settle({}, UPDATE, LocalRow(OLD), own) == Decision(Action.WRITE_UPDATE, NEW, provenance=EAST)


def test_what_is_so_already_is_no_conflict() -> None:
    """The wanted row is there, or the row is gone and that is remembered: nothing to write, nothing to record."""
    assert settle({}, INSERT, LocalRow(NEW)) == Decision(Action.KEEP, provenance=EAST)
    assert settle({}, UPDATE, LocalRow(NEW)) == Decision(Action.KEEP, provenance=EAST)
    assert settle({}, DELETE, LocalRow(None, WEST_EARLIER)) == Decision(Action.SKIP, provenance=EAST)
    moved = Change(OLD, (2, b"b@x", b"Ann", T2))
    assert settle({}, moved, ABSENT, (LocalRow(moved.after),)) == Decision(Action.SKIP, provenance=EAST)


def test_keys_alone_compare_nothing_else() -> None:
    """Without whole before images a differing row is overwritten, and only missing rows are seen."""
    assert settle({}, UPDATE, LocalRow(THERE), full=False) == Decision(Action.WRITE_UPDATE, NEW, provenance=EAST)
    assert settle({}, DELETE, LocalRow(THERE), full=False) == Decision(Action.WRITE_DELETE, provenance=EAST)
    assert outcome(settle({}, UPDATE, ABSENT, full=False)) == (ConflictType.UPDATE_MISSING, Action.HALT)


def test_values_compare_as_stored() -> None:
    """A collation may find 'A' for 'a': the rows differ, and the row found is not another identity."""
    upper = (1, b"A@X", b"Ann", T1)
    decision = settle("apply_origin", UPDATE, LocalRow(upper), (LocalRow(upper),))
    assert outcome(decision) == (ConflictType.UPDATE_DIFFERING, Action.WRITE_UPDATE)
    assert decision.record is not None and decision.record.reason.endswith("differing: email")


@pytest.mark.parametrize("conflict", SITUATIONS)
@pytest.mark.parametrize("word", ["halt", "apply_origin", "quarantine"])
def test_observe_records_and_writes_nothing(conflict: ConflictType, word: str) -> None:
    """In a dry run the record says what would have been done, and the target stays as it is."""
    change, local, others = SITUATIONS[conflict]
    decision = settle(parse_policies({"mode": "observe", "default": word}), change, local, others)
    expected = WRITES[conflict] if word == "apply_origin" else Action(word)
    assert decision.record is not None
    assert (decision.record.observed, decision.record.decision) == (True, expected)
    assert decision.action is STAYS[conflict]
    assert (decision.row, decision.delete_first, decision.provenance) == (None, (), None)


def test_commit_times_need_memory_and_clocks_that_agree() -> None:
    """Without provenance, with clocks too far apart, or with a commit in the future: stop rather than guess."""
    local = LocalRow(THERE, WEST_LATER)
    reasons = []
    for options in ({"remembering": False}, {"clock_offset_us": lambda: -500_001}, {"now_us": EAST.commit_time_us - 500_001}):
        decision = settle("latest_timestamp", UPDATE, local, **options)
        assert outcome(decision) == (ConflictType.UPDATE_DIFFERING, Action.HALT)
        assert decision.record is not None
        reasons.append(decision.record.reason)
    assert "give latest_timestamp a column" in reasons[0]
    assert "500 ms apart" in reasons[1]
    assert "in the target's future" in reasons[2]
    fine = settle("latest_timestamp", UPDATE, local, clock_offset_us=lambda: 499_999, now_us=EAST.commit_time_us - 499_999)
    assert fine.action is Action.KEEP

    def not_asked() -> int:
        raise AssertionError("it may have to be waited for")

    by_column = {"policy": "latest_timestamp", "column": "updated_at"}
    assert settle("latest_timestamp", INSERT, ABSENT, clock_offset_us=not_asked).action is Action.WRITE_INSERT
    assert settle(by_column, UPDATE, local, remembering=False, clock_offset_us=not_asked).action is Action.KEEP


@pytest.mark.parametrize(
    ("conflict", "action"), [("foreign_key_missing", "skip"), ("target_table_missing", "skip"), ("target_column_missing", "skip")]
)
def test_structure(conflict: str, action: str) -> None:
    """What is missing besides the row: halt by default, quarantine, or leave it out."""

    def go(policy: dict[str, Any]) -> Decision:
        policies = parse_policies(policy)
        detail = "parent is missing"
        return decide_structural(ConflictType(conflict), policies=policies, table=TABLE.name, detail=detail, origin=EAST)

    assert go({}).action is Action.HALT
    assert go({"default": "apply_origin"}).action is Action.HALT, "a default that makes no sense for it is passed over"
    if conflict == "foreign_key_missing":
        assert go({"default": {conflict: "quarantine"}}).action is Action.QUARANTINE
    else:
        with pytest.raises(PolicyError, match=conflict):
            go({"default": {conflict: "quarantine"}})
        assert go({"default": "quarantine"}).action is Action.HALT
    skipped = go({"default": {conflict: "skip_if_missing"}})
    assert skipped.action is Action(action)
    assert skipped.record is not None and skipped.record.reason == "parent is missing for a change of east: left out"
    observed = go({"mode": "observe"})
    assert observed.action is Action.SKIP
    assert observed.record is not None and (observed.record.decision, observed.record.observed) == (Action.HALT, True)


def test_a_row_conflict_is_not_structural() -> None:
    """The two entry points do not mix."""
    with pytest.raises(ValueError, match="decided by decide"):
        decide_structural(ConflictType.INSERT_EXISTS, policies=Policies(), table=TABLE.name, detail="", origin=EAST)


def test_rows_of_another_shape_are_refused() -> None:
    """A row with more or fewer values than the table has columns is a caller's error."""
    with pytest.raises(ValueError, match="3 values for the 4 columns"):
        settle({}, UPDATE, LocalRow((1, b"a@x", b"Ann")))


def test_reasons_hold_no_values() -> None:
    """The reason names columns and sites; values are the conflict log's business."""
    for conflict, (change, local, others) in SITUATIONS.items():
        for name in FITS[conflict] - {PolicyName.PYTHON, PolicyName.DELTA, PolicyName.GREATEST, PolicyName.LEAST}:
            record = settle({str(conflict): str(name)}, change, local, others).record
            assert record is not None
            assert not any(value in record.reason for value in ("a@x", "Ann", "Bob", "2024"))
