"""Asks the server which rows a new one collides with: by unique keys over prefixes, expressions or columns that only the target
has, which no comparison of the change's values can find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batch import LENIENT
from .plan import Image, TablePlan, quote
from .session import STRICT, ServerError, Session, text_row
from .writer import PASSING

if TYPE_CHECKING:
    from conflict.types import Row

    from .shape import Shape

__all__ = ["colliding"]

_KEYS_MAX = 65
"""As many rows can one collide with: more indexes no table has."""


def colliding(session: Session, plan: TablePlan, shape: Shape, image: Image) -> list[Row]:
    """The rows that hold any unique key of a literal image, locked; none where the server refuses the image for another reason.

    The image is inserted in their place, one after the other, and all of that is taken back: so they are found by the very
    indexes that refused the change, and by the server's own idea of equal. Foreign keys do nothing meanwhile. The table must have
    an identity.
    """
    names = [quote(column.name) for column in plan.key_columns]
    found_at = [b"@replicator_key%d" % number for number in range(len(names))]
    where = b" AND ".join([b"%b=%b" % pair for pair in zip(names, found_at, strict=True)])
    # All of them run, and no optimizer knows what comes of it: of columns that are never NULL, MySQL does not even ask IS NULL.
    note = b"+".join([b"LENGTH(%b:=%b)" % (at, name) for at, name in zip(found_at, names, strict=True)])
    insert = plan.insert_head + plan.row(image)
    look = b";".join(
        [
            b"SET " + b",".join([b"%b=NULL" % at for at in found_at]),
            insert + b" ON DUPLICATE KEY UPDATE %b=IF(%b=0,%b,%b)" % (names[0], note, names[0], names[0]),
            plan.select_head + where + b" FOR UPDATE",
            plan.delete_head + where,
        ]
    )
    found: list[Row] = []
    mode = LENIENT if plan.is_lenient(image) else STRICT
    session.run(b"SAVEPOINT c;SET @replicator_checks=@@foreign_key_checks,foreign_key_checks=0;" + mode)
    try:
        while len(found) < _KEYS_MAX:
            rows = session.run(look)[2].rows or []
            if not rows:
                break
            found += [shape.values_of_row(text_row(packet)) for packet in rows]
    except ServerError as error:
        if error.errno in PASSING:
            raise
        found = []
    session.run(b"ROLLBACK TO SAVEPOINT c;SET foreign_key_checks=@replicator_checks;" + STRICT)
    return found
