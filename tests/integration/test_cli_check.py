"""`replicator check` on real servers: a sound pair has no errors; whatever is wrong is found in one run, with its remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import DatabaseServer, free_port
from replicator.cli.main import main
from tests.harness import Farm, Pairs, execute

pytestmark = pytest.mark.servers


def check(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings."""
    code = main(["check", "-c", str(path), "--json", *options])
    return code, json.loads(capsys.readouterr().out)["findings"]


def errors(findings: list[dict[str, Any]]) -> list[str]:
    """Errors only, as place, what and remedy."""
    return [f"{f['place']}: {f['what']} => {f['remedy']}" for f in findings if f["level"] == "error"]


def one(findings: list[str], *words: str) -> str:
    """The only finding with those words."""
    (found,) = [text for text in findings if all(word in text for word in words)]
    return found


def test_a_sound_pair_passes(pairs: Pairs, flavor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Servers as the README wants them, least-privileged accounts, equal tables: no errors, exit code 0."""
    pair = pairs(flavor, flavor)
    for server in pair.servers.values():
        execute(server, f"CREATE TABLE `{pair.schemas[0]}`.t (id INT PRIMARY KEY, v VARCHAR(9))")
    code, findings = check(pair.config(), capsys)
    assert errors(findings) == [] and code == 0
    assert main(["check", "-c", str(pair.config())]) == 0
    assert "0 errors" in capsys.readouterr().out


def test_a_start_that_the_source_would_refuse_is_found(pairs: Pairs, capsys: pytest.CaptureFixture[str]) -> None:
    """With its line; of a stream that began already it means nothing."""
    pair = pairs("mysql", "mysql", start="0-1-5")
    execute(pair.origin, f"CREATE TABLE `{pair.schemas[0]}`.t (id INT PRIMARY KEY)")
    execute(pair.target, f"CREATE TABLE `{pair.schemas[0]}`.t (id INT PRIMARY KEY)")
    number = next(i for i, line in enumerate(pair.config().read_text().splitlines(), 1) if "start:" in line)
    found = one(errors(check(pair.config(), capsys)[1]), f"{pair.config()}:{number}: start:", "no GTID position of a MySQL")
    assert "gtid_executed" in found
    pair.config().write_text(pair.config().read_text().replace("0-1-5", "latest"))
    pair.start("east")
    pair.stop("east")
    pair.config().write_text(pair.config().read_text().replace("latest", "0-1-5"))
    assert not any("start:" in text for text in errors(check(pair.config(), capsys)[1]))


def test_across_flavors_types_are_recognised(pairs: Pairs, capsys: pytest.CaptureFixture[str]) -> None:
    """MySQL and MariaDB write the same column types differently; that is no difference."""
    pair = pairs("mysql", "mariadb")
    table = (
        "(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, a INT NOT NULL DEFAULT 5, b VARCHAR(9) CHARACTER SET utf8mb4 COLLATE"
        " utf8mb4_general_ci, c DECIMAL(9,2), d DATETIME(6), e ENUM('x','Y') CHARACTER SET latin1, f BLOB, g INT AS (a+1) STORED)"
    )
    for server in pair.servers.values():
        execute(server, f"CREATE TABLE `{pair.schemas[0]}`.t {table}")
    assert errors(check(pair.config(), capsys)[1]) == []


def test_differences_between_tables_are_found(pairs: Pairs, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing tables and columns, other types, engines, unguarded triggers and tables without a key, all at once."""
    conflicts = {"tables": {"*.t": {"update_differing": {"policy": "delta", "columns": ["b"]}}}}
    pair = pairs("mysql", "mysql", start="latest", options={"conflicts": conflicts})
    schema = pair.schemas[0]
    east = [
        "CREATE TABLE only_here (id INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10), c INT)",
        "CREATE TABLE keyless (a INT)",
        "CREATE TABLE myisam (id INT PRIMARY KEY)",
        "CREATE TABLE guarded (id INT PRIMARY KEY)",
    ]
    west = [
        "CREATE TABLE t (id INT PRIMARY KEY, a BIGINT, b VARCHAR(10) NOT NULL, extra INT NOT NULL)",
        "CREATE TABLE keyless (a INT)",
        "CREATE TABLE myisam (id INT PRIMARY KEY) ENGINE=MyISAM",
        "CREATE TABLE guarded (id INT PRIMARY KEY)",
        "CREATE TRIGGER fires BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "CREATE TRIGGER holds BEFORE INSERT ON guarded FOR EACH ROW"
        " BEGIN IF @replicator_applying IS NULL THEN SET NEW.id = NEW.id; END IF; END",
    ]
    execute(pair.origin, f"USE `{schema}`", *east)
    execute(pair.target, f"USE `{schema}`", *west)
    code, findings = check(pair.config(), capsys)
    found = errors(findings)
    assert code == 1
    assert "load them" in one(found, f"missing at west: {schema}.only_here")
    assert "drop_columns" in one(found, f"{schema}.t at west lacks the column c int")
    one(found, f"{schema}.t.a differs at west: type int at the origin, bigint here")
    one(found, f"{schema}.t.b differs at west: NULL")
    lines = pair.config().read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "columns:" in line)
    one(found, f"{pair.config()}:{number}: conflicts.tables.*.t.update_differing", "delta needs an integer or DECIMAL column")
    one(found, f"{schema}.t.extra exists only at west, without a default")
    one(found, "myisam at west is MyISAM", "ENGINE=InnoDB")
    assert "IF @replicator_applying IS NULL" in one(found, f"the trigger {schema}.fires")
    assert not any("holds" in text for text in found)
    assert any("no primary key" in f["what"] and "keyless" in f["what"] for f in findings)


@pytest.fixture
def bad(farm: Farm, flavor: str) -> Iterator[DatabaseServer]:
    """A server that is set up as wrongly as it still starts."""
    options = {"binlog_format": "MIXED", "binlog_row_image": "MINIMAL", "binlog_row_metadata": "MINIMAL"}
    options["binlog_checksum"] = "NONE"
    if flavor == "mysql":
        options.update(gtid_mode="OFF", enforce_gtid_consistency="OFF", log_replica_updates="OFF")
        options["binlog_expire_logs_seconds"] = "3600"
    else:
        options.update(binlog_alter_two_phase="ON", gtid_strict_mode="OFF", expire_logs_days="0.04", log_slave_updates="OFF")
    server = farm.fresh_database(flavor, "bad", binlog_ignore_db="noise", **options)
    yield server
    server.destroy()


def config_of(folder: Path, east: DatabaseServer, west: DatabaseServer | None, kafka: str, **account: str) -> Path:
    """A pair `shop` from east to west."""
    login = {"user": "root", "password": "root", **account}
    sites = {
        "east": {"database": {"port": east.port, **login}, "kafka": {"bootstrap_servers": [kafka]}},
        "west": {"database": {"port": west.port if west else free_port(), "user": "root", "password": "root"}},
    }
    pairs = [{"name": "shop", "origin": "east", "target": "west", "tables": {"include": ["shop.*"]}}]
    path = folder / "replicator.yaml"
    path.write_text(yaml.safe_dump({"sites": sites, "pairs": pairs, "http": {"listen": "0.0.0.0:8642"}}))
    return path


def test_everything_wrong_is_found_in_one_run(
    tmp_path: Path, bad: DatabaseServer, flavor: str, farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unfit origin, an unreachable target and an unreachable Kafka do not hide each other."""
    code, findings = check(config_of(tmp_path, bad, None, f"127.0.0.1:{free_port()}"), capsys)
    assert code == 1
    found = errors(findings)
    assert "SET GLOBAL binlog_format=ROW" in one(found, "east", "binlog_format is MIXED")
    assert "SET GLOBAL binlog_row_image=FULL" in one(found, "binlog_row_image is MINIMAL")
    assert "SET GLOBAL binlog_row_metadata=FULL" in one(found, "binlog_row_metadata is MINIMAL")
    if flavor == "mysql":
        assert "gtid_mode=ON_PERMISSIVE" in one(found, "gtid_mode is OFF")
        one(found, "enforce_gtid_consistency is OFF")
    else:
        assert "SET GLOBAL binlog_alter_two_phase=OFF" in one(found, "binlog_alter_two_phase is ON")
    one(found, "binlog_ignore_db=noise keeps changes out")
    one(found, "west: cannot use the database at 127.0.0.1:")
    one(found, "east", "Kafka", "check that the brokers run")
    warned = [f["what"] for f in findings if f["level"] == "warning"]
    for words in ("binlog_checksum is NONE", "binlogs are kept for", "updates is OFF", "http.listen is", "sync_binlog is 0"):
        one(warned, words)


def test_a_binlog_that_is_off_is_found(tmp_path: Path, farm: Farm, flavor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing else is said about the binlog; the same server_id is found, too."""
    off = {"log_bin": None} if flavor == "mariadb" else {"skip_log_bin": "", "log_replica_updates": "OFF", "gtid_mode": "OFF"}
    server = farm.fresh_database(flavor, "off")
    try:
        server.restart({**off, "log_bin": None})
        _, findings = check(config_of(tmp_path, server, server, farm.kafka().bootstrap), capsys)
        found = errors(findings)
        one(found, "east", "the binlog is off")
        assert "restart" in one(found, "both have server_id=")
        assert not any("binlog_format" in text for text in found)
    finally:
        server.destroy()


def test_missing_grants_are_named_as_statements_that_mend_them(
    tmp_path: Path, farm: Farm, flavor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Running the remedies of `check`, and nothing else, makes it pass."""
    server = farm.database(flavor, "east")
    west = farm.database(flavor, "west")
    execute(server, "CREATE OR REPLACE USER poor@'127.0.0.1' IDENTIFIED BY 'poor-Pa55'" if flavor == "mariadb" else
            "CREATE USER IF NOT EXISTS poor@'127.0.0.1' IDENTIFIED BY 'poor-Pa55'")  # fmt: skip
    execute(server, "CREATE DATABASE IF NOT EXISTS shop")
    execute(west, "CREATE DATABASE IF NOT EXISTS shop")
    path = config_of(tmp_path, server, west, farm.kafka().bootstrap, user="poor", password="poor-Pa55")
    document = yaml.safe_load(path.read_text())
    document["pairs"][0]["mode"] = "bidirectional"
    document["sites"]["west"]["kafka"] = document["sites"]["east"]["kafka"]
    path.write_text(yaml.safe_dump(document))
    try:
        for _ in range(3):
            grants = [f["remedy"] for f in check(path, capsys)[1] if "poor" in f["what"] and f["remedy"].startswith("GRANT ")]
            if grants:
                execute(server, *grants)
        assert not [f for f in check(path, capsys)[1] if "lacks" in f["what"] and "poor" in f["what"]]
        code, findings = check(path, capsys)
        assert errors(findings) == [] and code == 0
    finally:
        execute(server, "DROP USER poor@'127.0.0.1'", "DROP DATABASE shop")
        execute(west, "DROP DATABASE shop")


def test_a_wrong_password_and_another_sites_unknown_one(
    tmp_path: Path, farm: Farm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong credentials are an error without the password in it; the other site's missing one is no error with --site."""
    server = farm.database("mysql", "east")
    path = config_of(tmp_path, server, farm.database("mysql", "west"), farm.kafka().bootstrap, password="wr0ng-secret")
    code, findings = check(path, capsys)
    assert code == 1 and "CREATE USER 'root'" in one(errors(findings), "Access denied")
    assert "wr0ng-secret" not in json.dumps(findings)
    document = yaml.safe_load(path.read_text())
    document["sites"]["east"]["database"]["password"] = "root"
    del document["sites"]["west"]["database"]["password"]
    document["sites"]["west"]["database"]["password_env"] = "WEST_PASSWORD"
    path.write_text(yaml.safe_dump(document))
    monkeypatch.delenv("WEST_PASSWORD", raising=False)
    code, findings = check(path, capsys, "--site", "east")
    assert code == 0 and any("not compared with west" in f["what"] for f in findings)
    assert check(path, capsys)[0] == 1


def test_wrong_use_is_exit_code_2(tmp_path: Path) -> None:
    """No file, a broken file, an unknown site: 2, and never a traceback."""
    path = tmp_path / "x.yaml"
    assert main(["check", "-c", str(path)]) == 2
    path.write_text("sites: {a: {database: {}}}\npairs: [{name: p}]\n")
    assert main(["check", "-c", str(path)]) == 2
    path.write_text("sites: {a: {database: {}}}\n")
    assert main(["check", "-c", str(path), "--site", "b"]) == 2
    assert main(["check"]) == 2
