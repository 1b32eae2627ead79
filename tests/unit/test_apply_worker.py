"""What the applier's main loop says of itself."""

from __future__ import annotations

from typing import Any

from replicator.apply.batch import Planner
from replicator.apply.worker import Applier
from replicator.apply.writer import Batch
from replicator.context import Reporter
from replicator.model import Role
from replicator.stream.reader import Txn
from tests.property.streams import streams_of


def test_what_waits_for_the_target_was_fetched() -> None:
    """A record may hold more than the pipeline takes: while it waits in the middle of one, its transactions count as lag."""
    stream = streams_of({"default": "apply_origin"}, ("east", "west"), "one_way")["east", "west"]
    waiting: list[int] = []

    class Full:
        def submit(self, batch: Batch) -> None:
            waiting.append(reporter.stages["fetched"].sequence)

    applier: Any = Applier.__new__(Applier)
    applier._reporter = reporter = Reporter(Role.APPLIER, stream.id)
    applier._writers, applier._pipeline = [type("Writer", (), {"limits": None})()], Full()
    txn = Txn(7, "g:7", 1_000_000, "", (), b"", 1)
    applier._fetched, applier._batch = txn, Batch(txns=[txn], planner=Planner())
    applier._flush()
    assert waiting == [7]
