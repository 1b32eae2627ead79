"""Conflict types, detection, policies and merging, as pure functions: no I/O, nothing of ``replicator``.

``parse_policies`` reads what is configured, ``Policies.validate`` checks it against a table, and ``decide`` (or, for what is
wrong with the structure, ``decide_structural``) says for one change what to write and what to record.
"""

from .engine import decide, decide_structural
from .hooks import Answer, HookConflict
from .policy import Policies, PolicyError, Problem, parse_policies
from .rules import Policy, PolicyName
from .stamps import is_unseen, registers, supersedes
from .table import ColumnInfo, ColumnKind, TableInfo
from .types import ABSENT, Action, Change, ChangeKind, ConflictType, Decision, LocalRow, Provenance, Record, Row

__all__ = [
    "ABSENT",
    "Action",
    "Answer",
    "Change",
    "ChangeKind",
    "ColumnInfo",
    "ColumnKind",
    "ConflictType",
    "Decision",
    "HookConflict",
    "LocalRow",
    "Policies",
    "Policy",
    "PolicyError",
    "PolicyName",
    "Problem",
    "Provenance",
    "Record",
    "Row",
    "TableInfo",
    "decide",
    "decide_structural",
    "is_unseen",
    "parse_policies",
    "registers",
    "supersedes",
]
