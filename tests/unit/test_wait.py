"""`replicator wait` keeps its time, whatever Kafka does."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from replicator.cli.wait import wait
from replicator.errors import UsageError, WaitTimeout

GTID = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7"


def config(folder: Path, kafka_port: int) -> Path:
    """A pair whose origin is never asked."""
    path = folder / "replicator.yaml"
    path.write_text(
        "sites:\n"
        f"  east: {{database: {{port: 1}}, kafka: {{bootstrap_servers: ['127.0.0.1:{kafka_port}']}}}}\n"
        "  west: {database: {port: 1}}\n"
        "pairs: [{name: shop, origin: east, target: west}]\n"
        "http: {listen: '127.0.0.1:1'}\n"
    )
    return path


@pytest.mark.parametrize("listens", [True, False])
def test_the_timeout_is_kept_where_kafka_does_not_answer(tmp_path: Path, listens: bool) -> None:
    """Neither a broker that hangs nor one that is not there makes it last longer; what is said is that nobody knows."""
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        if listens:
            broker.listen()
        path = config(tmp_path, broker.getsockname()[1])
        began = time.monotonic()
        done = CliRunner().invoke(wait, ["-c", str(path), "--pair", "shop", "--gtid", GTID, "--timeout", "1"])
        assert time.monotonic() - began < 5
    assert isinstance(done.exception, WaitTimeout) and done.exception.exit_code == 3
    assert "is unknown" in done.exception.what and "Kafka" in done.exception.where


def test_the_timeout_is_kept_where_the_origin_does_not_answer(tmp_path: Path) -> None:
    """A server that takes the connection and says nothing."""
    with socket.socket() as database:
        database.bind(("127.0.0.1", 0))
        database.listen()
        path = config(tmp_path, 1)
        path.write_text(path.read_text().replace("{port: 1}", f"{{port: {database.getsockname()[1]}}}", 1))
        began = time.monotonic()
        done = CliRunner().invoke(wait, ["-c", str(path), "--pair", "shop", "--timeout", "1"])
        assert time.monotonic() - began < 5
    assert isinstance(done.exception, WaitTimeout) and done.exception.exit_code == 3
    assert "cannot ask the origin" in done.exception.what


@pytest.mark.parametrize("gtid", ["x:1", "", " , "])
def test_a_gtid_that_is_none_is_wrong_use(tmp_path: Path, gtid: str) -> None:
    """Said at once, before anybody is asked; nothing at all is no success."""
    done = CliRunner().invoke(wait, ["-c", str(config(tmp_path, 1)), "--pair", "shop", "--gtid", gtid])
    assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
