"""What `replicator check` says of clocks, without servers: what each database's clock is ahead of ours is given."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from replicator.config import load_config
from replicator.service.check.run import _clocks


@pytest.mark.parametrize(
    ("apart_s", "policy", "said"),
    [
        (0.4, "latest_timestamp", []),
        (0.7, "latest_timestamp", ["clocks 700 ms apart: latest_timestamp will halt, as clock_offset_ms_max is 500"]),
        (0.7, "apply_origin", []),
        (1.5, "apply_origin", ["their clocks are 1.5 s apart"]),
    ],
)
def test_clocks_are_held_against_what_policies_bear(apart_s: float, policy: str, said: list[str]) -> None:
    """Where commit times decide, the flow halts beyond a limit of its own."""
    sites = {s: {"database": {"port": 1}, "kafka": {"bootstrap_servers": ["127.0.0.1:1"]}} for s in ("a", "b")}
    pairs = [{"name": "p", "origin": "a", "target": "b", "conflicts": {"default": policy}}]
    streams = load_config(Path("replicator.yaml"), text=yaml.safe_dump({"sites": sites, "pairs": pairs})).streams()
    probes: Any = {"a": SimpleNamespace(clock_offset_s=lambda: 0.0), "b": SimpleNamespace(clock_offset_s=lambda: apart_s)}
    assert [f.what for f in _clocks(probes, streams) if f.place != "b"] == said
