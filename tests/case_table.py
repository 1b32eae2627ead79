"""Writes docs/CASES.md: which case ran on which servers, from the record that ``tests/integration/test_cases.py`` leaves.

``python -m tests.case_table``. Only what ran and passed is claimed; a combination that a case is not made for shows ``–``.
"""

from __future__ import annotations

import fcntl
import json
import sys

from dev.cache import REPOSITORY
from tests.case_runner import FLAVORS, cases

__all__ = ["RECORD", "record"]

RECORD = REPOSITORY / ".cache" / "cases.json"
PAGE = REPOSITORY / "docs" / "CASES.md"
COMBINATIONS = [(origin, target) for origin in FLAVORS for target in FLAVORS] + [("mysql97", "mysql97")]
_MARKS = {"passed": "✓", "failed": "✗"}
_HEAD = """# What arrives unchanged

Each line is a folder of `tests/cases`; each column a pair of servers, origin → target, on which it ran. ✓: rows, structure and
answers were the same at the target, byte for byte. –: the case needs what one of the servers does not have. This page is
generated from the cases that ran (`python -m tests.case_table`).

"""


def record(name: str, origin: str, target: str, passed: bool) -> None:
    """Remember how a case went; several runs may do so at once."""
    RECORD.parent.mkdir(exist_ok=True)
    with RECORD.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        known.setdefault(name, {})[f"{origin}>{target}"] = "passed" if passed else "failed"
        fresh = RECORD.with_suffix(".new")
        fresh.write_text(json.dumps(known, indent=1, sort_keys=True))
        fresh.replace(RECORD)


def page() -> str:
    """The page's text."""
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    names = {"mysql": "MySQL 8.0", "mysql97": "MySQL 9.7", "mariadb": "MariaDB 10.11"}
    head = ["case", "what it shows", *[f"{names[origin]} → {names[target]}" for origin, target in COMBINATIONS]]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for case in cases():
        marks = []
        for origin, target in COMBINATIONS:
            made = case.runs_on(origin, target)
            outcome = known.get(case.name, {}).get(f"{origin}>{target}")
            marks.append(_MARKS.get(outcome or "", "not run") if made else "–")
        lines.append("| " + " | ".join([f"`{case.name}`", case.about.replace("|", "\\|"), *marks]) + " |")
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    print(PAGE.relative_to(REPOSITORY))
    return 0


if __name__ == "__main__":
    sys.exit(main())
