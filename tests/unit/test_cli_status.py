"""`replicator status`: what nobody runs is not passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from replicator.cli import status as module
from replicator.cli.status import status


@pytest.mark.parametrize("runs", [True, False])
def test_a_stream_that_a_daemon_does_not_run_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: bool) -> None:
    """It answers, and is ready, by the configuration of before."""
    sites = {
        site: {"database": {}, "kafka": {"bootstrap_servers": ["127.0.0.1:1"]}, "http": {"url": f"http://{site}"}}
        for site in ("east", "west")
    }
    path = tmp_path / "replicator.yaml"
    path.write_text(yaml.safe_dump({"sites": sites, "pairs": [{"name": "new", "origin": "east", "target": "west"}]}))

    def answer(url: str) -> dict[str, Any]:
        site = url.removeprefix("http://")
        role = {"east": "source", "west": "applier"}[site]
        stream = {
            "flow": "new.east-west",
            "stream": "main",
            "role": role,
            "state": "streaming",
            "note": "streaming",
            "lag_seconds": 0.1,
            "lag_transactions": 0,
            "stages": {},
            "position": "",
            "error": None,
        }
        flow = {"flow": "new.east-west", "pair": "new", "level": "ok", "streams": [stream]}
        return {"site": site, "ready": True, "reasons": [], "note": "", "flows": [flow] if runs or site == "east" else []}

    monkeypatch.setattr(module, "fetch_lag", answer)
    done = CliRunner().invoke(status, ["-c", str(path)], standalone_mode=False)
    assert done.return_value == (0 if runs else 1)
    assert ("applier at west, stream main: missing" in done.output) is not runs
    assert ("the daemon that answers for west does not run this" in done.output) is not runs
