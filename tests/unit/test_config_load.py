"""Loading a configuration: everything wrong is said at once, with line, key, value and remedy; secrets stay secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replicator.config import Config, Database, Http, Kafka, load_config
from replicator.errors import ConfigError, UsageError
from replicator.model import Role

EXAMPLE = Path(__file__).parents[2] / "config/example.yaml"

TWO_SITES = """\
sites:
  east:
    database: {port: 3306}
    kafka: {bootstrap_servers: ["127.0.0.1:9092"]}
  west:
    database: {port: 3307}
    kafka: {bootstrap_servers: ["127.0.0.1:9093"]}
pairs:
"""


def write(folder: Path, text: str, name: str = "replicator.yaml") -> Path:
    """A configuration file."""
    path = folder / name
    path.write_text(text)
    return path


def load(folder: Path, text: str) -> Config:
    """Load that text."""
    return load_config(write(folder, text))


def problems(folder: Path, text: str) -> list[str]:
    """All that loading that text complains of, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [line.removeprefix(f"{folder / 'replicator.yaml'}:") for line in caught.value.what.splitlines()]


def test_the_example_loads_as_it_stands() -> None:
    """config/example.yaml needs neither passwords nor servers to be loaded, and gives one stream of one flow."""
    config = load_config(EXAMPLE)
    (stream,) = config.streams()
    assert str(stream.id) == "shop.east-west.main"
    assert stream.kafka is config.sites["east"].kafka
    assert stream.tables.wants("shop", "user") and not stream.tables.wants("shop", "tmp_1")
    assert (stream.start, stream.apply.batch_rows, stream.source.record_bytes) == ("earliest", 5000, 786432)
    assert stream.site_priorities == {"east": 1, "west": 2}
    assert config.http_of("west").address == ("127.0.0.1", 8642)
    assert stream.origin.name == "east" and stream.direct == {"west"}


def test_roles_belong_to_sites() -> None:
    """The source of a flow runs at its origin, the applier at its target, and nowhere else."""
    config = load_config(EXAMPLE)
    assert len(config.streams("east", Role.SOURCE)) == len(config.streams("west", Role.APPLIER)) == 1
    assert config.streams("west", Role.SOURCE) == config.streams("east", Role.APPLIER) == []
    assert len(config.streams("west")) == 1
    with pytest.raises(UsageError, match="east, west"):
        config.streams("north")
    with pytest.raises(UsageError, match="shop"):
        config.streams(pair="store")


def test_json_is_accepted(tmp_path: Path) -> None:
    """The same content as JSON, tabs included, gives the same configuration."""
    text = json.dumps({"sites": {"a": {"database": {"port": 1}}}, "http": {"listen": "[::1]:99"}}, indent="\t")
    config = load_config(write(tmp_path, text, "replicator.json"))
    assert config.sites["a"].database.port == 1 and config.http.address == ("::1", 99)
    text = "\ufeff" + text.replace('"port"', '"user": "\\ud83d\\ude00", "port"')
    config = load_config(write(tmp_path, text, "replicator.json"))
    assert config.sites["a"].database.user == "😀"


def test_all_problems_at_once_with_line_key_value_and_remedy(tmp_path: Path) -> None:
    """Typos, ranges, words, types and relations are reported in one run, in the file's order."""
    text = (
        TWO_SITES.replace("database: {port: 3307}", "databse: {port: 3307}")
        + """\
  - name: shop
    mode: oneway
    origin: east
    target: wst
    tables: {include: [shop], exclude: ["a.b"]}
    apply: {connections: 0, batch_rows: 1.5}
  - {name: other, origin: east, target: nowhere}
http: {listen: "8642"}
"""
    )
    found = problems(tmp_path, text)
    assert [line.split(": ")[:2] for line in found] == [
        ["5", "sites.west.database"],
        ["6", "sites.west.databse"],
        ["10", "pairs[0].mode"],
        ["12", "pairs[0].target"],
        ["13", "pairs[0].tables.include[0]"],
        ["14", "pairs[0].apply.connections"],
        ["14", "pairs[0].apply.batch_rows"],
        ["15", "pairs[1].target"],
        ["16", "http.listen"],
    ]
    assert "did you mean database?" in found[1]
    assert found[2].endswith("'oneway': not one of the allowed words; did you mean one_way?")
    assert found[5].endswith("0: too small; use 1 or more")
    assert "use one of: east, west" in found[3] and "use one of: east, west" in found[7]


def test_duplicate_keys_are_errors(tmp_path: Path) -> None:
    """YAML lets the last one win silently; here both lines are named."""
    (found,) = problems(tmp_path, "sites:\n  a: {database: {}}\nhttp: {}\nsites: {b: {database: {}}}\n")
    assert found.startswith("4: sites: the key stands twice, first in line 1")


def test_words_that_yaml_takes_for_something_else_stay_words(tmp_path: Path) -> None:
    """A site may be called `no`, and a start like a date is text."""
    config = load(
        tmp_path,
        "sites: {no: {database: {}, kafka: {bootstrap_servers: localhost:9092}}, on: {database: {}}}\n"
        "pairs: [{name: yes, origin: no, target: on, start: 1000-10-10}]\n",
    )
    assert list(config.sites) == ["no", "on"] and config.pairs[0].start == "1000-10-10"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sites: [", "replicator.yaml:1: not valid YAML"),
        ("a: &x [*x]\n", "an alias inside of its own anchor"),
        ("1: x\n", "a key in line 1 is not text"),
        ("- a\n", "not a mapping"),
        ("", "sites: this key is missing"),
        ("sites: {}\n", "too few"),
        ("sites:\n  08: {}\n", "a key in line 2 is not text"),
        ("sites:\n  !!int x: {}\n", "a key in line 2 is not text"),
        ("a: " + "[" * 5000, "too many deep"),
        ("sites:\n  a\0: {}\n", "replicator.yaml:2: not valid YAML: the character U+0000"),
        ('{"sites": {"a": {"database": {"user": "\\ud83d"}}}}', "half of a character"),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path: Path, text: str, words: str) -> None:
    """Whatever the file is, the answer is a ConfigError that names the place."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    """What several sites share may be written once; a key of one's own wins."""
    config = load(
        tmp_path,
        "sites:\n  a: {database: &db {user: repl, port: 1}}\n  b: {database: {<<: *db, port: 2}}\n",
    )
    assert (config.sites["b"].database.user, config.sites["b"].database.port) == ("repl", 2)


def test_numbers_are_what_they_look_like(tmp_path: Path) -> None:
    """Zeros in front mean nothing (PyYAML: octal)."""
    config = load(tmp_path, "sites: {a: {database: {port: 03306}}, b: {database: {port: 08306}}, c: {database: {port: 0xCEA}}}\n")
    assert [site.database.port for site in config.sites.values()] == [3306, 8306, 3306]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("database: {port: true}", "sites.a.database.port: True: not a number; write a number"),
        ("database: {port: 3_306}", "sites.a.database.port: '3_306': not a number; write a number"),
        ("database: {host: ''}", "sites.a.database.host: '': too short; use at least 1 characters"),
        ("database: {host: a..b}", "sites.a.database.host: 'a..b': not the name or address of a host"),
        ("database: {password_env: ''}", "sites.a.database.password_env: '': too short"),
        ("database: {}, http: {url: 'localhost:1'}", "sites.a.http.url: 'localhost:1': not the beginning of an address"),
        ("database: {}, priority: 2", "sites.a.priority: 2: the sites a and b have the same priority"),
    ],
)
def test_values_of_the_wrong_kind(tmp_path: Path, where: str, words: str) -> None:
    """Nothing is taken for something near it."""
    (found,) = problems(tmp_path, f"sites:\n  a: {{{where}}}\n  b: {{database: {{}}}}\n")
    assert words in found


def test_numbers_have_an_end(tmp_path: Path) -> None:
    """Infinity is no lag limit."""
    (found,) = problems(tmp_path, TWO_SITES + "  - {name: p, origin: east, target: west, lag_limits: {warn_seconds: inf}}\n")
    assert "pairs[0].lag_limits.warn_seconds: 'inf': not a number" in found


def test_the_lowest_priority_wins_also_where_it_is_0(tmp_path: Path) -> None:
    """0 is a number like others."""
    text = TWO_SITES.replace("  west:", "  west:\n    priority: 0") + "  - {name: p, origin: east, target: west}\n"
    (stream,) = load(tmp_path, text).streams()
    assert stream.site_priorities == {"east": 1, "west": 0}


def test_problems_of_policies_show_their_value(tmp_path: Path) -> None:
    """As all others do."""
    pair = "{name: p, origin: east, target: west, conflicts: {log_days: -1, tables: {'shop.[a': {detect: maybe}}}}"
    found = problems(tmp_path, TWO_SITES + f"  - {pair}\n")
    assert [line.split(": ", 1)[1].rpartition(";")[0] for line in found] == [
        "pairs[0].conflicts.log_days: -1: not a whole number in range",
        "pairs[0].conflicts.tables.\"shop.[a\": '[' is never closed by ']'",
        "pairs[0].conflicts.tables.\"shop.[a\".detect: 'maybe': not a word known here",
    ]


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """Neither repr nor dumps nor errors hold a password."""
    text = "sites: {a: {database: {password: hunter2, password_env: X}}, b: {database: {password: 4711}}}\n"
    found = problems(tmp_path, text)
    assert len(found) == 2 and "exclude each other" in found[0]
    assert not any("hunter2" in line or "4711" in line for line in found)
    config = load(tmp_path, "sites: {a: {database: {password: hunter2}}}\n")
    assert "hunter2" not in repr(config) + str(config) + config.model_dump_json()
    assert config.sites["a"].database.connect_args()["password"] == "hunter2"


def test_passwords_are_looked_up_when_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing one does not disturb the site that has no use for it, and its error says what is missing."""
    text = """\
sites:
  env: {database: {password_env: SOME_PASSWORD}}
  file: {database: {password_file: db.secret}}
  credential: {database: {password_credential: db}}
  none: {database: {}}
"""
    monkeypatch.delenv("SOME_PASSWORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    sites = load(tmp_path, text).sites
    for name, words in (("env", "SOME_PASSWORD"), ("file", "db.secret"), ("credential", "LoadCredential=db")):
        with pytest.raises(ConfigError, match=words):
            sites[name].database.connect_args()
    (tmp_path / "db.secret").write_text("from file\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/db").write_text("from credential")
    monkeypatch.setenv("SOME_PASSWORD", "from env")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    got = {name: site.database.connect_args()["password"] for name, site in sites.items()}
    assert got == {"env": "from env", "file": "from file", "credential": "from credential", "none": ""}


def test_a_password_that_is_no_text_is_told(tmp_path: Path) -> None:
    """Another encoding, or a file of another kind."""
    (tmp_path / "db.secret").write_bytes(b"\xff\xfe")
    config = load(tmp_path, "sites: {a: {database: {password_file: db.secret}}}\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        config.sites["a"].database.connect_args()


def test_tls_is_on_and_verifies_unless_the_server_is_here() -> None:
    """Loopback and sockets go plain; any other host gets verified TLS unless it is turned off."""
    assert Database(host="127.0.0.1").connect_args()["ssl_disabled"] is True
    assert Database(host="db.example", unix_socket="/run/db.sock").connect_args()["unix_socket"] == "/run/db.sock"
    assert "ssl" in Database(host="127.evil.example").connect_args()
    context = Database(host="db.example").connect_args()["ssl"]
    assert context.check_hostname and context.verify_mode.name == "CERT_REQUIRED"
    context = Database.model_validate({"host": "db.example", "tls": {"verify": "ca"}}).connect_args()["ssl"]
    assert not context.check_hostname and context.verify_mode.name == "CERT_REQUIRED"
    assert Database.model_validate({"host": "db.example", "tls": {"enabled": False}}).connect_args()["ssl_disabled"]
    assert Kafka(bootstrap_servers=("127.0.0.1:9092",)).client_args() == {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "security_protocol": "PLAINTEXT",
    }
    raw = {"bootstrap_servers": ["k1:9092", "127.0.0.1:9092"], "sasl": {"username": "u", "password": "p"}}
    args = Kafka.model_validate(raw).client_args()
    assert (args["security_protocol"], args["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert args["ssl_context"].check_hostname


def test_a_site_may_have_its_own_http(tmp_path: Path) -> None:
    """Else the file's own counts, and else loopback."""
    config = load(tmp_path, "sites: {a: {database: {}, http: {listen: '127.0.0.1:1'}}, b: {database: {}}}\n")
    assert config.http_of("a").base_url == "http://127.0.0.1:1"
    assert config.http_of("b").base_url == "http://127.0.0.1:8642"
    assert Http(url="https://b.example/r/").base_url == "https://b.example/r"
