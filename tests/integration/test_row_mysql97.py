"""What only a later MySQL has: VECTOR."""

from __future__ import annotations

import pytest
from row_origin import Origin, check

from tests.harness import Farm

pytestmark = pytest.mark.servers


def test_vectors(farm: Farm) -> None:
    """VECTOR columns beside text, which share the metadata about character sets."""
    origin = Origin(farm.database("mysql97"), "v VECTOR(3), w VECTOR NOT NULL, t TEXT, b BLOB, u VARCHAR(9) CHARACTER SET gbk")
    vectors = ["[1, 2.5, -3]", "[0, -0, 1e-37]", "[3.4028234e38, 2e-38, 0.1]"]
    for vector in vectors:
        made = f"STRING_TO_VECTOR(_utf8mb4'{vector}')"
        origin.session.run(f"INSERT INTO origin VALUES (NULL, {made}, {made}, 'text', x'00', x'8140')")
    origin.session.run("INSERT INTO origin (w) VALUES (STRING_TO_VECTOR(CONCAT(_utf8mb4'[1', REPEAT(_utf8mb4',2', 2047), ']')))")
    table_map, _ = origin.rows("literal")
    assert [(c.dimensions, c.charset) for c in table_map.columns[1:3]] == [(3, 63), (2048, 63)]
    check(origin)
