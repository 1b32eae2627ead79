"""Masks, dropped columns and row filters at the source: what is hidden never leaves, the rest arrives as it was."""

from __future__ import annotations

from typing import Any

import pytest
from row_origin import Logged, binlog_end, logged

from dev import DatabaseServer
from replicator.config import Mapping
from replicator.errors import ConfigError
from replicator.row.decode import decoder
from replicator.row.encode import encode_table_map
from replicator.row.tablemap import parse_table_map
from replicator.source.reshape import reshape

pytestmark = pytest.mark.servers

COLUMNS = (
    "id INT PRIMARY KEY, email VARCHAR(80) CHARACTER SET latin1, note TEXT CHARACTER SET utf8mb4, amount DECIMAL(20,5),"
    " born DATETIME(3), kind ENUM('a','b') CHARACTER SET utf16, flags SET('x','y'), bits BIT(11), country CHAR(2), big LONGBLOB,"
    " ratio DOUBLE, u BIGINT UNSIGNED, j JSON, secret INT"
)


@pytest.fixture
def events(server: DatabaseServer) -> list[Logged]:
    """Three inserted rows, one updated and one deleted, as the server logged them."""
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS reshape")
        cursor.execute("CREATE DATABASE reshape")
        cursor.execute(f"CREATE TABLE reshape.t ({COLUMNS})")
        start = binlog_end(server)
        values = (
            "'{0}@x.org', 'note {0} ü😀', {0}.5, '2024-01-0{0} 10:00:00.123', 'b', 'x,y', 5, '{1}', REPEAT('z', 300),"
            " 0.1, 18446744073709551615"
        )
        for number, country in ((1, "DE"), (2, "FR"), (3, "DE")):
            cursor.execute(f"INSERT INTO reshape.t VALUES ({number}, {values.format(number, country)}, '[1,2]', 42)")
        cursor.execute("UPDATE reshape.t SET country='FR', note=NULL WHERE id=1")
        cursor.execute("DELETE FROM reshape.t WHERE id=2")
    return list(logged(server, start))


def shipped(events: list[Logged], flavor: str, rules: dict[str, Any], **more: Any) -> tuple[list[str], list[Any], bytes]:
    """Column names, the row changes as texts, and all bytes that would leave."""
    mapping = Mapping.model_validate({"tables": {"reshape.t": rules}, **more})
    names: list[str] = []
    changes: list[Any] = []
    out = b""
    for event in events:
        reshaped = reshape(event.table_map, flavor, mapping)
        assert reshaped is not None
        table_map = parse_table_map(reshaped.body, flavor)
        names = [c.name for c in table_map.columns]
        out += reshaped.body
        for kind, payload in reshaped.events(event.kind, event.payload):
            out += payload
            changes += decoder(table_map, before="text", after="text")(kind, payload)
    return names, changes, out


def test_a_table_map_written_again_says_the_same(server: DatabaseServer, events: list[Logged]) -> None:
    """Encoding is the inverse of parsing, for every type of the table."""
    table_map = parse_table_map(events[0].table_map, server.flavor)
    assert parse_table_map(encode_table_map(table_map), server.flavor) == table_map


def test_a_dropped_column_does_not_leave_and_the_others_are_unchanged(server: DatabaseServer, events: list[Logged]) -> None:
    """Every other value of every image is byte for byte what the plain path decodes."""
    names, changes, out = shipped(events, server.flavor, {"drop_columns": ["email"]})
    assert "email" not in names and len(names) == 13
    assert b"@x.org" not in out
    plain: list[Any] = []
    for event in events:
        plain += decoder(parse_table_map(event.table_map, server.flavor), before="text", after="text")(event.kind, event.payload)
    cut = [tuple(None if image is None else (image[0], *image[2:]) for image in change) for change in plain]
    assert changes == cut


def test_masks_replace_values_in_every_image(
    server: DatabaseServer, events: list[Logged], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hash, constant, null and truncate; equal values get equal hashes, and the clear values are nowhere in what leaves."""
    monkeypatch.setenv("MASK_KEY", "a key of some length")
    constant, truncate = {"method": "constant", "value": 7}, {"method": "truncate", "length": 6}
    rules = {"masks": {"email": "hash", "secret": constant, "born": "null", "note": truncate}}
    names, changes, out = shipped(events, server.flavor, rules, hash_key={"password_env": "MASK_KEY"})
    at = {name: i for i, name in enumerate(names)}
    assert b"@x.org" not in out and "ü😀".encode() not in out
    first, update, delete = changes[0][1], changes[3], changes[4][0]
    assert len(first[at["email"]]) == 64 and first[at["email"]] == update[0][at["email"]] == update[1][at["email"]]
    assert first[at["email"]] != delete[at["email"]]
    assert first[at["secret"]] == b"7" and first[at["born"]] is None
    assert first[at["note"]] == b"note 1" and update[1][at["note"]] is None
    assert first[at["amount"]] == b"1.50000"


def test_a_row_filter_turns_updates_across_its_border(server: DatabaseServer, events: list[Logged]) -> None:
    """A row that leaves the filter is deleted at the target, one outside never arrives."""
    _, changes, _ = shipped(events, server.flavor, {"rows": {"column": "country", "equals": "DE"}})
    ids = [(before and before[0], after and after[0]) for before, after in changes]
    assert ids == [(None, b"1"), (None, b"3"), (b"1", None)]
    _, changes, _ = shipped(events, server.flavor, {"rows": {"column": "country", "not_equals": "DE"}})
    ids = [(before and before[0], after and after[0]) for before, after in changes]
    assert ids == [(None, b"2"), (None, b"1"), (b"2", None)]


def test_a_rule_for_a_column_that_is_not_there_stops(server: DatabaseServer, events: list[Logged]) -> None:
    """A misspelt column must not let the clear value through."""
    with pytest.raises(ConfigError, match="emial"):
        shipped(events, server.flavor, {"masks": {"emial": "null"}})


@pytest.mark.parametrize(
    ("rows", "arrive"),
    [
        ({"column": "kind", "equals": "b"}, True),
        ({"column": "kind", "not_equals": "b"}, False),
        ({"column": "flags", "equals": "y,x"}, True),
        ({"column": "flags", "not_equals": ["x,y", "x"]}, False),
        ({"column": "amount", "equals": [1.5, "2.50", 3.5]}, True),
        ({"column": "amount", "not_equals": [1.5, "2.50", 3.5]}, False),
        ({"column": "born", "equals": [f"2024-01-0{n} 10:00:00.1230" for n in (1, 2, 3)]}, True),
        ({"column": "ratio", "equals": 0.1}, True),
        ({"column": "u", "equals": "18446744073709551615"}, True),
        ({"column": "bits", "equals": 5}, True),
    ],
)
def test_a_row_filter_compares_what_the_column_holds(
    server: DatabaseServer, events: list[Logged], rows: dict[str, Any], arrive: bool
) -> None:
    """However a label, a number or a moment is spelled: all rows, or none, match."""
    _, changes, out = shipped(events, server.flavor, {"rows": rows})
    assert len(changes) == (5 if arrive else 0)
    assert (b"@x.org" in out) is arrive


@pytest.mark.parametrize(("column", "value"), [("kind", "secret"), ("flags", "x,w"), ("amount", "ten"), ("born", "yesterday")])
def test_a_row_filter_by_a_value_that_is_none_of_the_columns_stops(
    server: DatabaseServer, events: list[Logged], column: str, value: str
) -> None:
    """With not_equals it would let all rows out."""
    with pytest.raises(ConfigError, match=f"{column}.*{value}") as raised:
        shipped(events, server.flavor, {"rows": {"column": column, "not_equals": value}})
    assert "reshape.t" in raised.value.where and raised.value.remedy
