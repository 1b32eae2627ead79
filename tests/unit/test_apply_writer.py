"""What a writer does around the statements of a batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from replicator.apply.session import ServerError
from replicator.apply.writer import Batch, Writer


class Refusing:
    """A session whose server refuses everything."""

    max_packet = 1 << 20

    def run(self, sql: bytes) -> Any:
        raise ServerError(1062, "duplicate", 0, "here")


class Disrupted(Exception):
    """Ends the attempt."""


def test_a_batch_looks_closer_before_it_disrupts_the_others() -> None:
    """Between the two no other batch may start: it would see neither."""
    nothing = SimpleNamespace(refresh=lambda session: None)
    resolver: Any = SimpleNamespace(quarantine=nothing, memory=None)
    fence: Any = SimpleNamespace(statement=lambda slot, checkpoint: b"UPDATE checkpoint")
    session: Any = Refusing()
    other: Any = None
    writer, batch = Writer(session, 0, fence, other, resolver, other), Batch()

    def disrupt() -> None:
        assert batch.looked_closer
        raise Disrupted

    with pytest.raises(Disrupted):
        writer.execute(batch, disrupt=disrupt)
