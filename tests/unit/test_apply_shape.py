"""A row to write takes each column from where it came."""

from __future__ import annotations

from decimal import Decimal

import pytest

from conflict import ColumnKind
from conflict.types import Change as RowChange
from replicator.apply.plan import make_plan
from replicator.apply.shape import shape_of
from replicator.apply.target import TargetColumn, TargetTable
from replicator.row.encode import encode_table_map
from replicator.row.types import Column, TableMap, Type
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


@pytest.mark.parametrize(
    ("column", "there", "kind", "bounds"),
    [
        (Column("c", Type.TINY, nullable=True), "tinyint", ColumnKind.INTEGER, (-128, 127, 0)),
        (Column("c", Type.TINY, nullable=True), "smallint(5) unsigned", ColumnKind.INTEGER, (0, 65_535, 0)),
        (
            Column("c", Type.DECIMAL, nullable=True, precision=5, decimals=2),
            "decimal(5,2)",
            ColumnKind.DECIMAL,
            (Decimal("-999.99"), Decimal("999.99"), 2),
        ),
        (
            Column("c", Type.DECIMAL, nullable=True, precision=5, decimals=2),
            "decimal(40,3) unsigned",
            ColumnKind.DECIMAL,
            (0, Decimal("9" * 37 + ".999"), 3),
        ),
        (Column("c", Type.DATE, nullable=True), "date", ColumnKind.TEMPORAL, (None, None, None)),
    ],
)
def test_a_number_is_bounded_by_the_target_s_column(
    column: Column, there: str, kind: ColumnKind, bounds: tuple[object, object, object]
) -> None:
    """It is what has to take a sum; the origin's may be another one."""
    body = encode_table_map(TableMap("d", "t", (Column("k", Type.LONG, nullable=False), column), (0,), (0,), "mysql"))
    columns = (TargetColumn("k", "int", False, False, False, "", ""), TargetColumn("c", there, False, True, True, "", ""))
    target = TargetTable("d", "t", columns, ("k",), (), False, (), (), ())
    info = shape_of(make_plan(body, "mysql", target, full=True)).info.columns[1]
    assert (info.kind, info.minimum, info.maximum, info.scale) == (kind, *bounds)
