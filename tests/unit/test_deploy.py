"""What is deployed: the JSON Schema, the systemd unit, Prometheus rules, the Grafana dashboard, Dockerfile and compose file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from msgspec.structs import replace

from replicator.cli.config import schema_document
from replicator.cli.main import main
from replicator.config import load_config
from replicator.model import State, StreamId
from replicator.observe.lag import STAGES, SiteView
from replicator.observe.metrics import exposition
from replicator.observe.status import StageStatus, WorkerStatus
from replicator.observe.view import WorkerView

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "config/systemd/replicator@.service"
COMPOSE = ROOT / "docker/compose.yaml"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def read(path: str) -> Any:
    """A YAML or JSON file of the repository."""
    return yaml.safe_load((ROOT / path).read_text())


def test_the_committed_schema_is_current() -> None:
    """`replicator config schema > config/replicator.schema.json` brings it up to date."""
    assert json.loads((ROOT / "config/replicator.schema.json").read_text()) == schema_document()


@pytest.mark.parametrize("path", ["config/example.yaml", "config/two-sites.yaml"])
def test_the_examples_validate(path: str) -> None:
    """Against the schema, and by loading them."""
    schema = schema_document()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(read(path))
    assert load_config(ROOT / path).streams()


def test_the_schema_refuses_what_loading_refuses() -> None:
    """Unknown keys and wrong words are errors for editors, too."""
    validator = jsonschema.Draft202012Validator(schema_document())
    for change in ({"sites": {}}, {"sitse": {}}, {"pairs": [{"name": "p", "origin": "a", "target": "b", "mode": "both"}]}):
        assert not validator.is_valid({"sites": {"a": {"database": {}}}, **change})


def test_config_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`config schema` prints the schema; `config show` masks secrets, as YAML and as JSON, with -c on either side."""
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema_document()
    path = tmp_path / "x.yaml"
    path.write_text("sites: {a: {database: {password: hunter2}}}\n")
    for argv in (["config", "show", "-c", str(path)], ["config", "-c", str(path), "show", "--json"]):
        assert main(argv) == 0
        out = capsys.readouterr().out
        assert "hunter2" not in out and "password" in out and "8642" in out
    assert main(["config", "show"]) == 2


@needs_systemd
def test_the_unit_is_clean() -> None:
    """`systemd-analyze verify` has nothing to say."""
    done = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "replicator" in line]
    assert ours == [] and done.returncode == 0, done.stderr


@needs_systemd
def test_the_unit_is_hardened() -> None:
    """Exposure of at most 2.5 of 10."""
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=25", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert done.returncode == 0 and level is not None and float(level[1]) <= 2.5, done.stdout[-500:] + done.stderr


def test_the_unit_says_what_the_daemon_does() -> None:
    """The daemon notifies, is given its ten seconds, and its command is one that exists."""
    text = UNIT.read_text()
    assert "Type=notify\n" in text and "WatchdogSec=" in text
    assert int(re.findall(r"TimeoutStopSec=(\d+)", text)[0]) > 10
    command = re.findall(r"ExecStart=/usr/bin/env replicator (.*)", text)[0].replace("%i", "x").split()
    assert main([*command, "--help"]) == 0


def metric_names() -> set[str]:
    """All that the daemon ever exposes about a worker with all its stages, and what workers count."""
    stream = StreamId("shop", "east", "west")
    stages = {name: StageStatus(1, "u:1", 1, 1) for name in STAGES}
    status = WorkerStatus("applier", "shop", "east", "west", "main", 1, "streaming", 1)
    status = replace(status, gauges={"quarantine_held": 1.0, "quarantine_limit": 2.0})
    counters = {"transactions_applied": 1.0, "rows_applied": 1.0, "conflicts|type=x,policy=y,table=z": 1.0}
    view = WorkerView(stream, "applier", True, 0, status, stages, counters, None, "", State.STREAMING)
    text = exposition(SiteView("west", [view]), 1).decode()
    return set(re.findall(r"^(replicator_\w+)", text, re.MULTILINE))


def test_rules_and_dashboard_use_metrics_that_exist() -> None:
    """Every expression names only metrics that are exposed, and every alert says what to do."""
    known = metric_names() | {"replicator_conflicts_total"}
    expressions = []
    for group in read("config/prometheus/rules.yml")["groups"]:
        for rule in group["rules"]:
            expressions.append(rule["expr"])
            if "alert" in rule:
                assert {"summary", "description"} <= set(rule["annotations"])
                assert rule["labels"]["severity"] in ("warning", "critical")
    dashboard = read("config/grafana/dashboard.json")
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    for expression in expressions:
        names = set(re.findall(r"\breplicator_\w+", expression))
        assert names <= known, (expression, names - known)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


def test_the_dockerfile_is_slim_and_not_root() -> None:
    """Two stages from a slim image, its own user, a health check, exec forms, and no secrets."""
    lines = [line for line in (ROOT / "docker/Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    instructions = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    froms = [line for line in lines if line.startswith("FROM ")]
    assert len(froms) == 2 and all("-slim" in line and ":latest" not in line for line in froms)
    assert "HEALTHCHECK" in instructions and instructions.index("USER") < instructions.index("ENTRYPOINT")
    assert not re.search(r"^USER (root|0)\b", "\n".join(lines), re.MULTILINE)
    for name in ("ENTRYPOINT", "CMD"):
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert isinstance(json.loads(line.removeprefix(name)), list)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", "\n".join(lines), re.MULTILINE):
        assert all((ROOT / part).exists() for part in source.split()), source
    assert "password" not in "\n".join(lines).lower()


def test_the_compose_file_is_sound() -> None:
    """Only keys of the compose specification, everything it refers to exists, ports stay on this machine."""
    compose = read("docker/compose.yaml")
    own = {key for key in compose if not key.startswith("x-")}
    assert own <= {"name", "services", "volumes", "secrets", "networks"}
    services = compose["services"]
    assert {"east-db", "west-db", "kafka", "east", "west", "prometheus", "grafana"} == set(services)
    allowed = {
        "image", "build", "restart", "environment", "volumes", "healthcheck", "command", "ports", "read_only", "cap_drop",
        "security_opt", "stop_grace_period", "tmpfs", "secrets", "depends_on",
    }  # fmt: skip
    for name, service in services.items():
        assert set(service) <= allowed, name
        assert not service["image"].endswith(":latest")
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), (name, port)
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            known = source in compose["volumes"] or (COMPOSE.parent / source).resolve().is_file()
            assert known, (name, source)
        for secret in service.get("secrets", []):
            assert (COMPOSE.parent / compose["secrets"][secret]["file"]).is_file()
        for other, condition in service.get("depends_on", {}).items():
            assert condition["condition"] != "service_healthy" or "healthcheck" in services[other]
    for name, server_id in (("east-db", 1), ("west-db", 2)):
        assert {f"--server-id={server_id}", "--binlog-row-metadata=FULL"} <= set(services[name]["command"])


def test_compose_and_configuration_fit() -> None:
    """Hosts, ports, site names and the account's password in the configuration are those of the compose file."""
    compose, config = read("docker/compose.yaml"), load_config(ROOT / "config/two-sites.yaml")
    services = compose["services"]
    for site in config.sites.values():
        assert site.database.host in services and services[site.name]["command"][:3] == ["run", "--site", site.name]
        host, port = config.http_of(site.name).address
        assert host == "0.0.0.0" and services[site.name]["ports"][0].endswith(f":{port}")
        assert f"{site.name}:{port}" in read("docker/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
        assert str(site.database.password_file) == f"/run/secrets/{services[site.name]['secrets'][0]}"
    for stream in config.streams():
        assert all(server.split(":")[0] in services for server in stream.kafka.bootstrap_servers)
    password = (ROOT / "docker/example-password").read_text().strip()
    assert f"IDENTIFIED BY '{password}'" in (ROOT / "docker/prepare.sql").read_text()
