"""The statements of a batch: their form and their size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from replicator.apply.batch import ANYTHING, Statement, StatementLimits, _delete_statements, _passing_statements
from replicator.apply.net import TableNet
from replicator.apply.writer import Writer
from tests.unit.plan_samples import plan


def test_a_key_of_several_columns_is_spelled_out() -> None:
    """MariaDB deletes by ``(a, b) IN ((1, 2))`` reading the whole table."""
    several = plan(primary=("k", "u"), uniques=())
    assert several.where_keys([(b"1", b"2")]) == b"(`k`=1 AND `u`=2)"
    assert several.where_keys([(b"1", b"2"), (b"3", b"4")]) == b"(`k`=1 AND `u`=2 OR `k`=3 AND `u`=4)"
    assert plan().where_keys([b"1", b"2"]) == b"`k` IN (1,2)"


def test_statements_of_long_keys_stay_within_the_limit() -> None:
    """Five hundred keys of 3 kB were one statement of 1.5 MB, which the target's max_allowed_packet may not take."""
    limits = StatementLimits(bytes=64 << 10)
    of = plan(text_key=True, key_length=3000)
    images = [(b"'%03d%b'" % (n, b"x" * 2900), b"%d" % n, b"1") for n in range(100)]
    made = _delete_statements(of, [[image, None, None] for image in images], limits)
    assert sum(statement.rows for statement in made) == 100
    assert max(len(statement.sql) for statement in made) <= limits.bytes
    short = _delete_statements(plan(), [[(b"%d" % n, b"1", b"1"), None, None] for n in range(500)], limits)
    assert [statement.rows for statement in short] == [500], "numbers are as many as ever"


def test_conditions_on_long_unique_keys_stay_within_the_limit() -> None:
    """The rows that came and went are looked for by their whole keys too."""
    limits = StatementLimits(bytes=64 << 10)
    net = TableNet(plan(text_key=True, key_length=3000, primary=(), uniques=[("k",)]))
    for n in range(100):
        image = (b"'%03d%b'" % (n, b"x" * 2900), b"%d" % n, b"1")
        net.insert(image)
        net.delete(image, None)
    made = list(_passing_statements(net, limits))
    assert len(made) > 1 and max(len(statement.sql) for statement in made) <= limits.bytes


def test_rows_a_statement_can_be_told() -> None:
    """Two counters: statements that write rows, and these rows."""

    counted: dict[str, float] = {}
    writer: Any = Writer.__new__(Writer)
    writer._reporter = SimpleNamespace(count=lambda name, by: counted.update({name: counted.get(name, 0) + by}))
    writer._count([Statement(b"BEGIN", ANYTHING), Statement(b"INSERT", ANYTHING, 3), Statement(b"DELETE", ANYTHING, 1)])
    assert counted == {"statements": 2, "statement_rows": 4}
