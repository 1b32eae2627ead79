"""An operator's day with a running pair: look, wait, pause, see a stop with its remedy, skip, and find out about a row."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import pytest
import yaml

from dev.pair import Pair
from tests.harness import Pairs, await_, execute

pytestmark = pytest.mark.servers


def run(pair: Pair, *arguments: str, code: int = 0) -> str:
    """A command of `replicator` on the pair; its standard output and error, after its exit code was as expected."""
    done = pair.command(*arguments)
    text = done.stdout + done.stderr
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{text}\n{pair.troubles()}"
    return text


def stream(pair: Pair, site: str) -> Any:
    """What the site says of the pair's only stream."""
    return pair.lag(site)["flows"][0]["streams"][0]


def seen(pair: Pair, query: str) -> Any:
    """The only value of a query at the target."""
    return execute(pair.target, query)[0][0]


def test_look_wait_and_explain(pairs: Pairs, flavor: str) -> None:
    """After `wait` everything is there; `status`, `/lag`, `/metrics`, `inspect` and `explain` say so, each in its way."""
    pair = pairs(flavor, flavor).start()
    name = pair.schemas[0]
    execute(pair.origin, f"CREATE TABLE {name}.t (id INT PRIMARY KEY, v VARCHAR(9))")
    execute(pair.origin, f"INSERT INTO {name}.t VALUES (1,'a'),(2,'b')")
    execute(pair.origin, f"UPDATE {name}.t SET v='c' WHERE id=2")
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    assert seen(pair, f"SELECT v FROM {name}.t WHERE id=2") == "c"
    status = run(pair, "status")
    assert "source at east" in status and "applier at west" in status and "streaming" in status
    pair.until(lambda: stream(pair, "east")["stages"]["confirmed"]["sequence"] >= 3, 10, "the confirmation at the origin")
    for site, stages in (("east", ["read", "acknowledged", "confirmed"]), ("west", ["fetched", "applied"])):
        found = stream(pair, site)
        assert list(found["stages"]) == stages and found["lag_seconds"] < 10
        code, metrics = pair.get(site, "/metrics")
        assert code == 200 and f'replicator_lag_seconds{{origin="east",pair="{name}",stage="{stages[0]}"' in metrics
    shown = run(pair, "inspect", "--pair", pair.name, "--rows")
    assert f"CREATE TABLE {name}.t" in shown and '"v": "c"' in shown
    events = json.loads(run(pair, "explain", "--pair", pair.name, "--table", f"{name}.t", "--key", "2", "--rows", "--json"))
    history = [(event["what"], event["after"]["v"]) for event in events]
    assert history == [("insert made at east", "b"), ("update made at east", "c")]
    run(pair, "explain", "--pair", pair.name, "--table", f"{name}.t", "--key", "3", code=1)
    run(pair, "check")
    assert pair.stop() == {"east": 0, "west": 0}
    assert "unknown: no daemon answers" in run(pair, "status", code=1)


def test_lag_grows_while_the_target_is_paused(pairs: Pairs) -> None:
    """Paused is no error: nothing is applied, lag grows, readiness is gone; `resume` brings it all."""
    pair = pairs().start()
    name = pair.schemas[0]
    execute(pair.origin, f"CREATE TABLE {name}.t (id INT PRIMARY KEY)")
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    run(pair, "pause", "--pair", pair.name, "--reason", "backup")
    pair.until(lambda: stream(pair, "west")["state"] == "paused", 15, "the pause")
    execute(pair.origin, f"INSERT INTO {name}.t VALUES (1)")
    first = stream(pair, "west")["lag_seconds"]
    time.sleep(3)  # lag is about time that passes
    assert stream(pair, "west")["lag_seconds"] > first + 2.5
    assert pair.readyz("west")[0] == 503 and "backup" in pair.readyz("west")[1]
    assert seen(pair, f"SELECT COUNT(*) FROM {name}.t") == 0
    run(pair, "wait", "--pair", pair.name, "--timeout", "1", code=3)
    run(pair, "resume", "--pair", pair.name)
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    assert seen(pair, f"SELECT COUNT(*) FROM {name}.t") == 1
    pair.wait_ready("west", 10)


def test_a_stop_is_shown_with_its_remedy_and_skipped(pairs: Pairs, flavor: str) -> None:
    """A held DROP stops the flow: `wait` ends early with the error, `status` shows it; `skip` leaves it out and goes on."""
    pair = pairs(flavor, flavor, options={"ddl": {"drop": "halt"}}).start()
    name = pair.schemas[0]
    execute(pair.origin, f"CREATE TABLE {name}.t (id INT PRIMARY KEY)", f"CREATE TABLE {name}.u (id INT PRIMARY KEY)")
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    execute(pair.origin, f"DROP TABLE {name}.t")
    execute(pair.origin, f"INSERT INTO {name}.u VALUES (1)")
    told = run(pair, "wait", "--pair", pair.name, "--timeout", "60", code=1)
    assert "the applier of" in told and "ddl.drop: halt" in told and "to do:" in told
    status = run(pair, "status", code=1)
    assert "stopped" in status and "ddl.drop: halt" in status
    gtid = re.findall(r"GTID ([0-9a-f:-]+)", stream(pair, "west")["error"]["where"])[0]
    assert seen(pair, f"SELECT COUNT(*) FROM {name}.u") == 0
    run(pair, "skip", "--pair", pair.name, "--gtid", gtid, "--yes")
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    assert seen(pair, f"SELECT COUNT(*) FROM {name}.u") == 1
    assert seen(pair, f"SELECT COUNT(*) FROM {name}.t") == 0  # the table is still there
    pair.wait_ready("west", 10)


def test_databases_that_go_and_come_back_need_nobody(pairs: Pairs) -> None:
    """Each side retries, says so, and streams again by itself."""
    pair = pairs().start()
    name = pair.schemas[0]
    execute(pair.origin, f"CREATE TABLE {name}.t (id INT PRIMARY KEY)")
    for site, server in pair.servers.items():
        server.kill()
        pair.until(lambda site=site: pair.readyz(site)[0] == 503, 20, f"{site} to notice")
        assert stream(pair, site)["state"] in ("retrying", "starting")
        server.start()
        pair.wait_ready(site, 60)
    execute(pair.origin, f"INSERT INTO {name}.t VALUES (1)")
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    assert pair.differences() == []


def test_a_kafka_that_does_not_answer_is_told(pairs: Pairs) -> None:
    """Caught up and frozen, as behind a cut of the network: no side says any more that it streams, or that nothing is missing."""
    pair = pairs().start()
    name = pair.schemas[0]
    execute(pair.origin, f"CREATE TABLE {name}.t (id INT PRIMARY KEY)")
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    pair.until(lambda: stream(pair, "west")["lag_transactions"] == 0, 10, "the applier to be caught up")
    assert pair.kafka.pid is not None
    os.kill(pair.kafka.pid, signal.SIGSTOP)
    try:
        for site in ("west", "east"):
            pair.until(lambda site=site: pair.readyz(site)[0] == 503, 30, f"{site} to notice")
            found = stream(pair, site)
            assert found["state"] == "retrying" and "Kafka" in found["error"]["what"] and "Kafka" in pair.readyz(site)[1]
            assert found["lag_transactions"] == "unknown" and "records_behind" not in found["gauges"]
        execute(pair.origin, f"INSERT INTO {name}.t VALUES (1)")
    finally:
        os.kill(pair.kafka.pid, signal.SIGCONT)
    for site in ("east", "west"):
        pair.wait_ready(site, 30)
        assert stream(pair, site)["restarts"] == 0 and stream(pair, site)["error"] is None
    run(pair, "wait", "--pair", pair.name, "--timeout", "60")
    assert pair.differences() == []


def test_tables_that_move_to_another_stream_stop_both(pairs: Pairs) -> None:
    """The changes between the end of the one and the start of the other would be in neither; put back, all of them arrive."""
    pair = pairs()
    name = pair.schemas[0]
    execute(pair.origin, f"CREATE TABLE {name}.a (id INT PRIMARY KEY)", f"CREATE TABLE {name}.b (id INT PRIMARY KEY)")
    pair.start()
    pair.settle()
    whole = pair.config().read_text()
    divided = yaml.safe_load(whole)
    divided["pairs"][0]["streams"] = {"big": {"include": [f"{name}.b"]}}
    pair.stop("east")
    execute(pair.origin, f"INSERT INTO {name}.b VALUES (1)")
    pair.config().write_text(yaml.safe_dump(divided))
    pair.start("east", ready=False)
    await_("both sources to stop", lambda: len(pair.stopped()) == 2)
    assert all("divide its tables otherwise" in one for one in pair.stopped())
    pair.stop("east")
    pair.config().write_text(whole)
    pair.start("east")
    run(pair, "wait", "--pair", name, "--timeout", "60")
    assert pair.differences() == []
