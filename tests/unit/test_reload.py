"""Which streams a reload restarts: those whose workers would otherwise go on by the file of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from replicator.config import Config, load_config
from replicator.service.supervisor import _differs

SITES = ("a", "b", "c")
AB = {"name": "ab", "origin": "a", "target": "b", "mode": "bidirectional", "conflicts": {"default": "site_priority"}}
TIMES = {"name": "times", "origin": "a", "target": "b", "conflicts": {"default": "latest_timestamp"}}
CB = {"name": "cb", "origin": "c", "target": "b"}
CA = {"name": "ca", "origin": "c", "target": "a"}


def config(*pairs: dict[str, Any], kafka: int = 1) -> Config:
    """Three sites with these pairs; ``kafka`` is the port of b's cluster."""
    ports = {"a": 1, "b": kafka, "c": 1}
    sites = {s: {"database": {"port": 1}, "kafka": {"bootstrap_servers": [f"127.0.0.1:{ports[s]}"]}} for s in SITES}
    return load_config(Path("replicator.yaml"), text=yaml.safe_dump({"sites": sites, "pairs": list(pairs)}))


def restarted(before: Config, after: Config) -> list[str]:
    """The streams of both that a reload restarts."""
    known = {str(stream.id): stream for stream in before.streams()}
    return [str(s.id) for s in after.streams() if str(s.id) in known and _differs(known[str(s.id)], s)]


def test_what_did_not_change_goes_on() -> None:
    """The same file again restarts nothing."""
    assert restarted(config(AB, CB, CA), config(AB, CB, CA)) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # c's changes come to a by the new flow, so no longer by b's, which b's own applier reads to know b's writers.
        (config(AB, CB), config(AB, CB, CA), {"ab.a-b.main", "ab.b-a.main"}),
        # Commit times of b's rows are told by its binlog no more: c's changes come to it too.
        (config(TIMES), config(TIMES, CB), {"times.a-b.main"}),
        # The applier at b reads the stream back, whose topic is elsewhere now.
        (config(AB, kafka=1), config(AB, kafka=2), {"ab.a-b.main", "ab.b-a.main"}),
    ],
)
def test_what_a_worker_leans_on_restarts_it(before: Config, after: Config, expected: set[str]) -> None:
    """Another pair may change who hears of whose changes, another site where the stream back is."""
    assert set(restarted(before, after)) == expected
