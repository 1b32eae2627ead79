"""A row to write takes each column from where it came."""

from __future__ import annotations

from conflict.types import Change as RowChange
from replicator.apply.shape import shape_of
from tests.unit.plan_samples import change, plan


def test_a_merged_row_is_written_by_what_each_column_was() -> None:
    """Columns that stay are not made anew, the change's are written as the change has them, and the rest is calculated."""
    of = plan()
    shape = shape_of(of)
    made = change(of, (b"1", b"5", b"10"), (b"1", b"6", b"20"))
    row_change = RowChange((1, 5, 10), (1, 6, 20))
    assert shape.literals(made, row_change, (1, 6, 27), (1, 5, 17)) == (b"`k`", b"'6'", b"27")
    assert shape.literals(made, row_change, (1, 6, 27)) == (b"'1'", b"'6'", b"27"), "nothing is there to stay"
    after = row_change.after
    assert after is not None
    assert shape.literals(made, row_change, after, (1, 5, 17)) == made.after
