"""The decision: a change that does not fit, what the target holds, and the policies give what to write and to record.

The caller (an applier) calls ``decide`` for one change after the other, with the current rows read and locked, carries out
the decision, remembers its provenance, and writes its record, all in one database transaction. Nothing here does I/O, except
that a ``python:`` policy runs the user's function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .detect import blockers, detect
from .hooks import ANSWER_WORDS, HookConflict, HookError
from .merge import Undecidable, merge
from .policy import Policies
from .ranked import settle_rows
from .rules import THREE_WAY, Group, Policy, PolicyName
from .stamps import supersedes
from .table import TableInfo, TableName
from .types import Action, Change, ConflictType, Decision, LocalRow, Provenance, Record, Row, key_of
from .values import holds, order_key, same_row, same_value

__all__ = ["decide", "decide_structural"]


_UNEXPLAINED = (ConflictType.INSERT_EXISTS, ConflictType.UPDATE_DIFFERING, ConflictType.DELETE_DIFFERING)


@dataclass(frozen=True, slots=True)
class _Situation:
    """One change with everything that its decision may depend on; the arguments of ``decide``."""

    change: Change
    local: LocalRow
    others: tuple[LocalRow, ...]
    policies: Policies
    table: TableInfo
    origin: Provenance
    site: str
    site_priority: int


def decide(
    change: Change,
    local: LocalRow,
    others: Sequence[LocalRow] = (),
    *,
    policies: Policies,
    table: TableInfo,
    origin: Provenance,
    site: str,
    site_priority: int = 0,
    full: bool = True,
    remembering: bool = False,
    now_us: int | None = None,
    clock_offset_us: Callable[[], int | None] = lambda: None,
) -> Decision:
    """Decide one change at the site ``site`` (the target, with its priority).

    ``local`` is what is at the change's old key, ``others`` what is at the other keys that it wants: the row, or the memory
    of the last row, at each unique key of ``change.after`` and at the new key of a change that moves its row. ``origin`` is
    who made the change. ``full`` compares whole before images. ``remembering`` says that the caller keeps the
    provenance of every key that was written, locally or by replication, so that an unknown writer is an old one; without it,
    policies that compare commit times halt rather than guess. ``now_us`` is the target's clock, and ``clock_offset_us`` gives
    the measured offset between both, and may wait for it: only policies that compare commit times ask, and halt beyond the
    configured limit.

    Raises ValueError if an image has not as many values as the table has columns.
    """
    for image in (change.before, change.after, local.row, *(o.row for o in others)):
        if image is not None and len(image) != len(table.columns):
            raise ValueError(f"a row of {len(image)} values for the {len(table.columns)} columns of {'.'.join(table.name)}")
    situation = _Situation(change, local, tuple(others), policies, table, origin, site, site_priority)
    found = detect(
        change,
        local,
        others,
        table=table,
        full=full,
        counting=policies.counting(table.name),
        later=lambda one, conflict: _later(one, policies.policy_for(conflict, table.name), situation),
    )
    if found.already:
        # Of two deletes the later one has to be remembered, which only the timestamp column tells.
        newer = _later(local, policies.policy_for(ConflictType.DELETE_MISSING, table.name), situation)
        return Decision(Action.SKIP if local.row is None else Action.KEEP, provenance=None if newer else origin)
    if found.conflict is None:
        return _write(change, origin)
    if found.conflict in _UNEXPLAINED and local.unseen is False and local.provenance is None:
        # The origin knew all that was written here, and yet the row is not as it found it: it became so past all streams.
        situation = replace(situation, local=replace(local, unseen=None))
    policy = policies.policy_for(found.conflict, table.name)
    trouble = ""
    if policy.by_commit_time:
        trouble = _clock_trouble(policies, origin, now_us, clock_offset_us) if remembering else _NO_MEMORY
    decision = _stop(Action.HALT, trouble) if trouble else _settle(found.conflict, policy, situation)
    return _recorded(found.conflict, policy, decision, situation, found.differing)


def decide_structural(
    conflict: ConflictType, *, policies: Policies, table: TableName, detail: str, origin: Provenance
) -> Decision:
    """Decide what the structure of the target, or a row of another table, stands in the way of.

    ``detail`` says what is wrong, without values. ``skip`` means: drop the change (``foreign_key_missing``,
    ``target_table_missing``), or write the row without the missing columns (``target_column_missing``).
    """
    if not conflict.structural:
        raise ValueError(f"{conflict} is decided by decide()")
    policy = policies.policy_for(conflict, table)
    action, reason = {
        PolicyName.SKIP_IF_MISSING: (Action.SKIP, "left out"),
        PolicyName.QUARANTINE: (Action.QUARANTINE, "put aside"),
        PolicyName.HALT: (Action.HALT, "stopped"),
    }[policy.name]
    if policies.observe:
        record = Record(
            conflict, str(policy), action, f"{detail} for a change of {origin.site}: would be {reason}", observed=True
        )
        return Decision(Action.SKIP, record=record)
    return Decision(
        action, record=Record(conflict, str(policy), action, f"{detail} for a change of {origin.site}: {reason}")
    )


def _write(change: Change, origin: Provenance) -> Decision:
    """The plain effect of a change that fits."""
    if change.after is None:
        return Decision(Action.WRITE_DELETE, provenance=origin)
    action = Action.WRITE_INSERT if change.before is None else Action.WRITE_UPDATE
    return Decision(action, change.after, provenance=origin)


def _recorded(
    conflict: ConflictType, policy: Policy, outcome: tuple[Decision, str], s: _Situation, differing: tuple[int, ...]
) -> Decision:
    decision, reason = outcome
    if differing:
        reason = f"{reason}; differing: {s.table.names(differing)}"
    record = Record(conflict, str(policy), decision.action, reason, observed=s.policies.observe)
    if s.policies.observe:
        return Decision(Action.SKIP if s.local.row is None else Action.KEEP, record=record)
    return replace(decision, record=record)


def _settle(conflict: ConflictType, policy: Policy, s: _Situation) -> tuple[Decision, str]:
    if policy.name is PolicyName.HALT:
        return _stop(Action.HALT, "stopped, as configured" if policy.path else "stopped: no policy is configured")
    if policy.name is PolicyName.QUARANTINE:
        return _stop(Action.QUARANTINE, "put aside, as configured")
    if policy.name is PolicyName.PYTHON:
        return _by_hook(conflict, policy, s)
    try:
        return _by_columns(policy, s) if policy.name in THREE_WAY else _by_rank(policy.name, policy.column, s)
    except Undecidable as e:
        return _stop(Action.HALT if e.halt else Action.QUARANTINE, str(e))


def _by_rank(name: PolicyName, column: str | None, s: _Situation) -> tuple[Decision, str]:
    wins = _ranking(name, column, s)
    decision = settle_rows(s.change, s.local, s.others, table=s.table, wins=wins)
    written = decision.action in (Action.WRITE_INSERT, Action.WRITE_UPDATE) or (
        decision.action in (Action.WRITE_DELETE, Action.SKIP) and s.change.after is None
    )
    ordered = name is PolicyName.SITE_PRIORITY or (name is PolicyName.LATEST_TIMESTAMP and column is None)
    reason = _reason(name, column, decision, s, written=written)
    return replace(decision, provenance=s.origin if written or ordered else None), reason


def _reason(name: PolicyName, column: str | None, decision: Decision, s: _Situation, *, written: bool) -> str:
    winner = f"the change of {s.origin.site}" if written else f"the target {s.site}"
    by = f"{name} of {column}" if column else str(name)
    text = f"{winner} stays by {by}"
    if decision.action is Action.WRITE_DELETE and s.change.after is not None:
        text = f"the change is superseded at one of its unique keys, and the row it replaced goes, by {by}"
    if decision.delete_first:
        text += f"; {len(decision.delete_first)} row(s) displaced by their unique keys"
    return text


def _ranking(name: PolicyName, column: str | None, s: _Situation) -> Callable[[LocalRow], bool]:
    """Whether the change wins against what is, or was, at one key."""
    if name is PolicyName.APPLY_ORIGIN:
        return lambda _: True
    if name in (PolicyName.KEEP_TARGET, PolicyName.SKIP_IF_MISSING):
        return lambda _: False
    if name is PolicyName.SITE_PRIORITY:
        return lambda one: _higher_priority(one, s)
    if column is None:
        return lambda one: supersedes(s.origin, one.provenance, unseen=one.unseen)
    ordinal = s.table.ordinal(column)
    if ordinal is None:
        raise Undecidable(f"the table has no column {column}")
    return lambda one: _later_by_column(one, ordinal, s)


def _higher_priority(one: LocalRow, s: _Situation) -> bool:
    """Whether the origin's site has the higher priority, where the change was made without knowledge of what is here."""
    expected = one is s.local and s.change.before is not None
    if one.row is None and one.unseen is None and not expected:
        return True  # memory of a row that is gone: the origin may well have known that, so it must not stand in the way
    return supersedes(s.origin, one.provenance or _home(s), unseen=one.unseen, by_time=False)


def _home(s: _Situation) -> Provenance:
    """The target as a writer: one that is not known is taken to be local, as the origin's own would fit its changes."""
    return Provenance(s.site, 0, priority=s.site_priority)


def _later_by_column(one: LocalRow, ordinal: int, s: _Situation) -> bool:
    """Compare timestamp columns. A delete counts as made just after the version that it found.

    Equal ones go by site priority and name; a writer that is not known is taken to be the target's own. What the change's
    own site wrote before is older, whatever the column says.
    """
    if one.unseen is False or (one.provenance is not None and one.provenance.site == s.origin.site):
        return True
    held = one.row if one.row is not None else one.deleted
    if held is None:  # no row to compare with: nothing is known, or only who deleted it
        return supersedes(s.origin, one.provenance, unseen=one.unseen)
    image = s.change.after if s.change.after is not None else s.change.before
    assert image is not None
    kind = s.table.columns[ordinal].kind
    try:
        mine = (order_key(kind, image[ordinal]), s.change.after is None)
        theirs = (order_key(kind, held[ordinal]), one.row is None)
    except ValueError:
        raise Undecidable(f"the values of column {s.table.columns[ordinal].name} cannot be compared") from None
    if mine != theirs:
        return mine > theirs
    return supersedes(s.origin, one.provenance or _home(s), by_time=False)


def _by_columns(policy: Policy, s: _Situation) -> tuple[Decision, str]:
    current = s.local.row
    assert current is not None and s.change.after is not None, "merging is only allowed where both rows are there"

    def wins(group: Group) -> bool:
        if group.name is PolicyName.SITE_PRIORITY:  # who wrote the row last need not have written these columns
            return supersedes(s.origin, _home(s), by_time=False)
        return _ranking(group.name, group.column, s)(s.local)

    merged = merge(s.change, current, policy, s.table, wins)
    parts = [
        f"{label} {s.table.names(ordinals)}"
        for label, ordinals in (("from the change", merged.from_change), ("calculated", merged.calculated))
        if ordinals
    ]
    reason = f"merged: {'; '.join(parts) or 'nothing of the change is left'}"
    if merged.clashes:
        reason += f"; both sides changed {s.table.names(merged.clashes)}"
    # One writer is remembered of a row. Where columns tell what is later, a unit that the change lost, or did not touch, is still
    # the target's own: the next change must compare it too.
    by_column = any(group.name is PolicyName.LATEST_TIMESTAMP for group in policy.groups)
    provenance = None if by_column else s.origin
    if same_row(merged.row, current):
        return Decision(Action.KEEP, provenance=provenance), reason
    return Decision(Action.WRITE_UPDATE, merged.row, provenance=provenance), reason


def _by_hook(conflict: ConflictType, policy: Policy, s: _Situation) -> tuple[Decision, str]:
    rivals = tuple([o.row for o in blockers(s.local, s.others, s.table) if o.row is not None])
    told = HookConflict(conflict, s.table, s.change, s.local.row, rivals, s.origin, s.local.provenance, s.site)
    try:
        answer = s.policies.hooks.call(policy.hook, told, policy.limit_ms)
        return _obey(answer, conflict, s)
    except HookError as e:
        return _stop(Action.QUARANTINE, f"put aside: {e}")


def _obey(answer: object, conflict: ConflictType, s: _Situation) -> tuple[Decision, str]:
    if isinstance(answer, str):
        if answer not in ANSWER_WORDS:
            raise HookError("the hook returned a word that is no answer")
        if answer in (PolicyName.QUARANTINE, PolicyName.HALT):
            return _stop(Action(answer), "as the hook said")
        decision, _ = _by_rank(PolicyName(answer), None, s)
        return decision, f"{answer}, as the hook said"
    if not isinstance(answer, Mapping):
        raise HookError(f"the hook returned a {type(answer).__name__}, which is no answer")
    row = _row_of_hook(answer, conflict, s)
    if s.local.row is not None and same_row(row, s.local.row):
        return Decision(Action.KEEP, provenance=s.origin), "the hook left the row as it is"
    action = Action.WRITE_INSERT if s.local.row is None else Action.WRITE_UPDATE
    return Decision(action, row, provenance=s.origin), "the hook made the row"


def _row_of_hook(answer: Mapping[object, object], conflict: ConflictType, s: _Situation) -> Row:
    base = s.local.row if s.local.row is not None else s.change.after
    if base is None or conflict is ConflictType.MULTIPLE_UNIQUE_CONFLICTS:
        raise HookError(f"the hook returned values, which is no answer to {conflict}")
    row = list(base)
    known = [image for image in (s.local.row, s.change.after) if image is not None]
    for name, value in answer.items():
        ordinal = s.table.ordinal(name) if isinstance(name, str) else None
        if ordinal is None:
            raise HookError("the hook returned a column that the table has not")
        if isinstance(value, bool) or not (value is None or isinstance(value, int | float | bytes)):
            raise HookError(f"the hook returned a {type(value).__name__} for column {s.table.columns[ordinal].name}")
        if value is None and not s.table.columns[ordinal].nullable:
            raise HookError(f"the hook returned NULL for column {s.table.columns[ordinal].name}, which cannot be NULL")
        if not holds(s.table.columns[ordinal], value) and not any(same_value(value, image[ordinal]) for image in known):
            raise HookError(f"the hook returned a value that column {s.table.columns[ordinal].name} cannot hold")
        row[ordinal] = value
    made = tuple(row)
    for key in (s.table.key, *s.table.unique_keys):
        if key_of(made, key) not in [key_of(image, key) for image in known]:
            raise HookError(f"the hook made a new key ({s.table.names(key)})")
    return made


def _stop(action: Action, reason: str) -> tuple[Decision, str]:
    return Decision(action), reason


def _later(one: LocalRow, policy: Policy, s: _Situation) -> bool:
    """Whether what is, or was, at one key is newer than the change although its values do not say so."""
    if policy.name is not PolicyName.LATEST_TIMESTAMP:
        return False
    if policy.column is None:
        return not supersedes(s.origin, one.provenance)
    return one.row is None and one.deleted is not None and not _ranking(policy.name, policy.column, s)(one)


_NO_MEMORY = "stopped: commit times of the target's rows are not known here; give latest_timestamp a column"


def _clock_trouble(
    policies: Policies, origin: Provenance, now_us: int | None, clock_offset_us: Callable[[], int | None]
) -> str:
    """Why commit times may not be compared now; empty if they may."""
    limit_us = policies.clock_offset_ms_max * 1000
    if now_us is not None and origin.commit_time_us > now_us + limit_us:
        ahead_ms = (origin.commit_time_us - now_us) // 1000
        return f"stopped: the change was committed {ahead_ms} ms in the target's future, more than clock_offset_ms_max"
    offset_us = clock_offset_us()
    if offset_us is not None and abs(offset_us) > limit_us:
        return f"stopped: the sites' clocks are {abs(offset_us) // 1000} ms apart, more than clock_offset_ms_max"
    return ""
