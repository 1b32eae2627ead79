"""`wait`, `inspect`, `pause`, `resume`, `skip`, `status` on real servers; acknowledgements and records are made by hand."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer

from dev import DatabaseServer, free_port
from replicator.cli.main import main
from replicator.config import StreamConfig, load_config
from replicator.control import Control
from replicator.model import Role
from replicator.stream.acks import Ack, AckPublisher
from replicator.stream.wire import Kind, RecordHeader, Transaction, pack_body, pack_event, pack_record
from tests.harness import Farm, execute

pytestmark = pytest.mark.servers

UUID = "11111111-2222-3333-4444-555555555555"


class Flow:
    """A configured flow `p` whose daemons do not run."""

    def __init__(self, folder: Path, server: DatabaseServer, bootstrap: str, name: str) -> None:
        self.path = folder / "replicator.yaml"
        self.name = name
        database = {"port": server.port, "user": "root", "password": "root"}
        kafka = {"bootstrap_servers": [bootstrap]}
        sites = {site: {"database": database, "kafka": kafka} for site in ("east", "west")}
        pair = {"name": name, "mode": "bidirectional", "origin": "east", "target": "west"}
        http = {"listen": f"127.0.0.1:{free_port()}"}
        self.path.write_text(yaml.safe_dump({"sites": sites, "pairs": [pair], "http": http}))
        self.forth, self.back = load_config(self.path).streams()
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        topics = [s.id.topic for s in (self.forth, self.back)]  # those of acknowledgements are made by who publishes
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1} for topic in topics})
        admin.close()

    def run(self, command: str, *options: str) -> int:
        """Run a command on the pair; its exit code."""
        return main([command, "-c", str(self.path), "--pair", self.name, *options])

    def acknowledge(self, stream: StreamConfig, position: str, after_s: float = 0) -> None:
        """As its applier would."""

        def publish() -> None:
            time.sleep(after_s)
            publisher = AckPublisher(stream)
            publisher.publish(Ack("id", 1, 1, "", position, 1, 1))
            publisher.flush()
            publisher.close()

        thread = threading.Thread(target=publish)
        thread.start()
        if not after_s:
            thread.join()

    def produce(self, *values: bytes) -> None:
        """Records into the topic of the flow from east to west."""
        producer = KafkaProducer(**self.forth.kafka.client_args())
        for value in values:
            producer.send(self.forth.id.topic, value=value, partition=0).get(timeout=20)
        producer.close()


@pytest.fixture
def flow(request: pytest.FixtureRequest, tmp_path: Path, server: DatabaseServer, farm: Farm) -> Flow:
    """A flow of its own for each test."""
    return Flow(tmp_path, server, farm.kafka().bootstrap, f"w{abs(hash(request.node.nodeid)) % 10**9}")


def position(server: DatabaseServer) -> str:
    """All that the server has committed."""
    column = "@@global.gtid_executed" if server.flavor == "mysql" else "@@global.gtid_binlog_pos"
    return str(execute(server, f"SELECT {column}")[0][0])


def test_wait_returns_when_the_position_is_acknowledged(flow: Flow, server: DatabaseServer, capsys: Any) -> None:
    """Not before: the acknowledgement comes while it waits. Both flows count unless one is chosen."""
    execute(server, f"CREATE DATABASE IF NOT EXISTS {flow.name}", f"DROP DATABASE {flow.name}")
    now = position(server)
    flow.acknowledge(flow.forth, now, after_s=1.5)
    started = time.monotonic()
    assert flow.run("wait", "--flow", "east-west", "--timeout", "30", "--json") == 0
    assert time.monotonic() - started > 1.4
    assert json.loads(capsys.readouterr().out)["applied"][0]["stream"] == str(flow.forth.id)
    assert flow.run("wait", "--timeout", "0.5") == 3
    flow.acknowledge(flow.back, now)
    assert flow.run("wait", "--timeout", "30") == 0


def test_wait_for_a_gtid(flow: Flow, server: DatabaseServer, capsys: Any) -> None:
    """A GTID is of the origin, so only the flow from there counts; what is missing is named when time is up."""
    form = f"{UUID}:1-{{}}" if server.flavor == "mysql" else "7-7-{}"
    wanted = f"{UUID}:9" if server.flavor == "mysql" else "7-7-9"
    flow.acknowledge(flow.forth, form.format(8))
    assert flow.run("wait", "--gtid", wanted, "--timeout", "1") == 3
    error = capsys.readouterr().err
    assert wanted in error and "to do" in error
    flow.acknowledge(flow.forth, form.format(9))
    assert flow.run("wait", "--gtid", wanted, "--timeout", "30") == 0
    assert flow.run("wait", "--gtid", "nonsense:x") == 2


def records(t: Transaction, kind: Kind = Kind.DATA, offset: int = 0) -> bytes:
    """One record with one transaction."""
    resume = f"{UUID}:1-{t.sequence}"
    header = RecordHeader(kind, "stream", 1, "source", t.sequence, t.sequence, resume, "mysql", t.commit_time_us)
    return pack_record(header, pack_body([b"\x04shop\x00\x04item\x00\x01\x03\x00\x00"], [t]))


def test_inspect_shows_every_record_and_finds_a_sequence(flow: Flow, capsys: Any) -> None:
    """In order, for people and as JSON lines; --from finds its record without reading all; a damaged one is shown and counts."""
    epoch = RecordHeader(Kind.EPOCH, "stream", 1, "source", 1, 0, "", "mysql", 0)
    made = [Transaction(n, 1_700_000_000_000_000, f"{UUID}:{n}", pack_event(30, 0, b"\0" * 20)) for n in range(1, 40)]
    flow.produce(pack_record(epoch, b""), *map(records, made))
    options = ("--flow", "east-west", "--json")
    assert flow.run("inspect", *options) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["epoch", *["data"] * 39]
    assert [line["first_sequence"] for line in lines[1:]] == list(range(1, 40))
    assert lines[3]["transactions"][0]["events"] == [{"type": "insert", "table": "shop.item", "bytes": 20}]
    assert flow.run("inspect", *options, "--from", "25", "--limit", "2") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["first_sequence"] for line in lines] == [25, 26]
    flow.produce(b"RPL\x01damaged record")
    assert flow.run("inspect", "--flow", "east-west") == 1
    shown = capsys.readouterr().out
    assert f"transaction 39, GTID {UUID}:39" in shown and "insert shop.item" in shown and "damaged:" in shown
    assert flow.run("inspect") == 2


def test_pause_resume_and_skip_reach_the_control_table(flow: Flow, capsys: Any) -> None:
    """At the worker's own site; resume counts up; skip names one transaction of one stream."""
    control = Control(flow.forth, Role.APPLIER)
    assert flow.run("pause", "--flow", "east-west", "--reason", "maintenance") == 0
    wish = control.read()
    assert wish.paused and wish.reason == "maintenance"
    assert not Control(flow.back, Role.APPLIER).read().paused
    assert flow.run("resume") == 0
    assert not control.read().paused and control.generation() == wish.generation + 1
    assert flow.run("skip", "--gtid", f"{UUID}:5", "--yes") == 2
    assert flow.run("skip", "--flow", "east-west", "--gtid", f"{UUID}:5", "--yes") == 0
    assert control.read().skip_gtid == f"{UUID}:5"
    for wrong in ("", "nonsense", f"{UUID}:5-6", f"{UUID}:5,{UUID}:7", "0-1-5,1-1-5"):
        assert flow.run("skip", "--flow", "east-west", "--gtid", wrong, "--yes") == 2
    assert flow.run("skip", "--flow", "east-west", "--gtid", "AAAAAAAA-2222-3333-4444-555555555555:7", "--yes") == 0
    assert control.read().skip_gtid == "aaaaaaaa-2222-3333-4444-555555555555:7"
    assert flow.run("pause", "--flow", "north-west") == 2
    capsys.readouterr()


def test_status_says_who_is_silent(flow: Flow, capsys: Any) -> None:
    """Exit code 1, each site with its address and what to do."""
    assert flow.run("status", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document["sites"]) == {"east", "west"} and all("error" in site for site in document["sites"].values())
    assert flow.run("status") == 1
    assert "east: unknown: no daemon answers" in capsys.readouterr().out


def test_quarantine_and_conflicts_are_empty_at_first(flow: Flow, capsys: Any) -> None:
    """Nothing was ever held: that is no error, wherever -c stands."""
    assert flow.run("conflicts", "list") == 0
    assert main(["conflicts", "list", "-c", str(flow.path), "--pair", flow.name, "--json"]) == 0
    assert "no conflicts" in capsys.readouterr().out
    assert flow.run("conflicts", "show", "77") == 2
