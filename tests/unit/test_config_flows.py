"""Pairs taken together: flows, streams, what must not be carried twice, DDL policy and mapping."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from replicator.config import Config, DdlPolicy, Mapping, load_config
from replicator.errors import ConfigError
from replicator.model import Role

SITES = "sites:\n" + "".join(
    f"  {name}: {{database: {{port: {port}}}, kafka: {{bootstrap_servers: localhost:9092}}}}\n"
    for port, name in enumerate("abcd", 3306)
)


def config(folder: Path, *pairs: str) -> Config:
    """Four sites with Kafka each, and those pairs (flow mappings)."""
    path = folder / "replicator.yaml"
    path.write_text(SITES + "pairs:\n" + "".join(f"  - {{{pair}}}\n" for pair in pairs))
    return load_config(path)


def wrong(folder: Path, *pairs: str) -> list[str]:
    """The problems of the same."""
    with pytest.raises(ConfigError) as caught:
        config(folder, *pairs)
    return [line.removeprefix(f"{folder / 'replicator.yaml'}:") for line in caught.value.what.splitlines()]


def test_a_bidirectional_pair_is_two_flows(tmp_path: Path) -> None:
    """Each with its origin's Kafka unless one is named, and with a server id of its own."""
    loaded = config(tmp_path, "name: p, mode: bidirectional, origin: a, target: b, start: 0-1-5")
    forth, back = loaded.streams()
    assert (forth.id.flow, back.id.flow) == ("p.a-b", "p.b-a")
    assert (forth.kafka, back.kafka) == (loaded.sites["a"].kafka, loaded.sites["b"].kafka)
    assert (forth.start, back.start) == ("0-1-5", "latest")
    assert (forth.direct, back.direct) == ({"b"}, {"a"})
    assert forth.server_id != back.server_id and forth.server_id > 2**31
    assert [s.id.flow for s in loaded.streams("a", Role.APPLIER)] == ["p.b-a"]
    named = config(tmp_path, "name: p, mode: bidirectional, origin: a, target: b, kafka: c").streams()
    assert {id(s.kafka) for s in named} == {id(named[0].kafka)}


def test_streams_partition_the_pairs_tables(tmp_path: Path) -> None:
    """Every table of the pair is in exactly one stream, the rest in `main`; other tables are in none."""
    loaded = config(
        tmp_path,
        "name: p, origin: a, target: b, tables: {include: ['shop.*', 'x.*'], exclude: 'shop.tmp_*'}, "
        "streams: {hot: {include: shop.order*}, log: {include: '*.log_*', exclude: shop.order*}}",
    )
    streams = {s.id.stream: s for s in loaded.streams()}
    assert list(streams) == ["main", "hot", "log"]
    tables = ["order", "orders", "log_1", "user", "tmp_1", "tmp_log_1"]
    for schema, table in itertools.product(("shop", "x", "other"), tables):
        carried = schema in ("shop", "x") and not (schema == "shop" and table.startswith("tmp_"))
        assert sum(s.tables.wants(schema, table) for s in streams.values()) == carried, (schema, table)
    assert streams["hot"].tables.wants("shop", "orders") and streams["log"].tables.wants("x", "log_1")
    assert streams["main"].tables.wants_schema("shop") and not streams["hot"].tables.wants_schema("shop")
    assert len({s.id.topic for s in streams.values()}) == len({s.server_id for s in streams.values()}) == 3


def test_bad_streams_are_refused(tmp_path: Path) -> None:
    """Overlapping ones, one outside of the pair's tables, and one that takes the name of the rest."""
    found = wrong(
        tmp_path,
        "name: p, origin: a, target: b, tables: {include: 'shop.*'}, "
        "streams: {x: {include: 'shop.a*'}, y: {include: 'shop.*b'}, z: {include: 'other.*'}}",
        "name: q, origin: a, target: c, streams: {main: {include: 'a.*'}}",
    )
    assert len(found) == 3
    assert "the streams x and y may both carry the same table" in found[0]
    assert "the stream z carries no table" in found[1]
    assert "main carries the rest" in found[2]


def test_the_same_tables_must_not_arrive_twice(tmp_path: Path) -> None:
    """Neither by two pairs between the same sites, nor by two ways round; disjoint tables may."""
    (found,) = wrong(
        tmp_path,
        "name: p, origin: a, target: b, tables: {include: 'shop.*'}",
        "name: q, mode: bidirectional, origin: b, target: a, tables: {include: 'sho*.o*'}",
    )
    assert "pair p carries some of the same tables from a to b already" in found
    config(
        tmp_path,
        "name: p, origin: a, target: b, tables: {include: 'shop.*', exclude: 'shop.o*'}",
        "name: q, origin: a, target: b, tables: {include: 'shop.o*'}",
    )
    diamond = ["name: p, origin: a, target: b", "name: q, origin: a, target: c", "name: r, origin: b, target: d"]
    config(tmp_path, *diamond)
    (found,) = wrong(tmp_path, *diamond, "name: s, origin: c, target: d")
    assert "changes made at a would reach d twice, by r.b-d and by s.c-d" in found


def test_rings_meshes_and_hubs_carry_everything_once(tmp_path: Path) -> None:
    """A mesh sends each site's own changes only; in a ring they go round until they would come home."""
    mesh = config(
        tmp_path,
        *(f"name: {x}{y}, mode: bidirectional, origin: {x}, target: {y}" for x, y in ("ab", "bc", "ac")),
    )
    for stream in mesh.streams():
        third = ({"a", "b", "c"} - {stream.id.origin, stream.id.target}).pop()
        assert stream.direct == {stream.id.target, third}
    ring = config(tmp_path, *(f"name: {x}{y}, origin: {x}, target: {y}" for x, y in ("ab", "bc", "ca")))
    assert [s.direct for s in ring.streams()] == [{"b"}, {"c"}, {"a"}]
    hub = config(tmp_path, *(f"name: h{x}, mode: bidirectional, origin: d, target: {x}" for x in "abc"))
    out = {s.id.target: s.direct for s in hub.streams("d", Role.SOURCE)}
    assert out == {"a": {"a"}, "b": {"b"}, "c": {"c"}}
    assert all(s.direct == {"a", "b", "c", "d"} - {s.id.origin} for s in hub.streams("d", Role.APPLIER))


def test_who_wrote_a_row_is_not_known_where_others_write_past_the_pair(tmp_path: Path) -> None:
    """In a mesh the stream back leaves out what came from the third site; in a chain or hub it carries that."""
    mesh = [f"name: {x}{y}, mode: bidirectional, origin: {x}, target: {y}" for x, y in ("ab", "bc", "ac")]
    for stream in config(tmp_path, *mesh).streams():
        assert stream.unheard == {"a", "b", "c"} - {stream.id.origin, stream.id.target}
    hub = config(tmp_path, *(f"name: h{x}, mode: bidirectional, origin: d, target: {x}" for x in "abc"))
    fed = config(tmp_path, mesh[0], "name: ca, origin: c, target: a")
    apart = config(tmp_path, *(f"{pair}, tables: {{include: {table}.*}}" for pair, table in zip(mesh, "xyz", strict=True)))
    assert not any(s.unheard for c in (hub, fed, apart) for s in c.streams())
    both_fed = config(tmp_path, mesh[0], "name: ca, origin: c, target: a", "name: cb, origin: c, target: b")
    assert [s.unheard for s in both_fed.streams()] == [{"c"}, {"c"}, set(), set()]


def test_commit_times_are_refused_where_writers_are_not_known(tmp_path: Path) -> None:
    """They would be guessed; by a column the rows themselves tell."""
    mesh = [f"name: {x}{y}, mode: bidirectional, origin: {x}, target: {y}" for x, y in ("ab", "bc", "ac")]
    policy = "conflicts: {tables: {shop.user: {default: %s}}}"
    (found,) = wrong(tmp_path, mesh[0] + ", " + policy % "latest_timestamp", *mesh[1:])
    assert found.startswith('7: pairs[0].conflicts.tables."shop.user".default: latest_timestamp cannot know'), found
    assert "changes of c come there by other pairs" in found
    config(tmp_path, mesh[0] + ", " + policy % "{policy: latest_timestamp, column: updated_at}", *mesh[1:])
    config(tmp_path, mesh[0] + ", " + policy % "latest_timestamp", mesh[1])


def test_a_straight_way_must_carry_what_the_other_leaves_out(tmp_path: Path) -> None:
    """Transactions are left out whole, so a direct flow of fewer tables would lose the others."""
    (found,) = wrong(
        tmp_path,
        "name: p, origin: a, target: b",
        "name: q, origin: b, target: c",
        "name: r, origin: a, target: c, tables: {include: 'shop.*'}",
    )
    assert "would be lost" in found


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("name: p, origin: a, target: a", "the same site"),
        ("name: p, origin: a, target: e", "no such site"),
        ("name: p.q, origin: a, target: b", "characters that are not allowed"),
        ("name: p, origin: a, target: b, start: newest", "not a start"),
        ("name: p, origin: a, target: b, start: snapshot", "there is no snapshot yet"),
        ("name: p, origin: a, target: b, kafka: nowhere", "no such site"),
        ("name: p, origin: a, target: b, ddl: {drop: stop}", "use one of: apply, ignore, halt"),
        ("name: p, mode: bidirectional, origin: a, target: b, mapping: {databases: {x: y}}", "two one_way pairs"),
        ("name: p, origin: a, target: b, mapping: {tables: {'x.*': {}}}", "wildcard"),
        ("name: p, origin: a, target: b, mapping: {tables: {x.y: {masks: {c: hash}}}}", "needs a key"),
        ("name: p, origin: a, target: b, mapping: {tables: {x.y: {masks: {c: truncate}}}}", "needs a length"),
        ("name: p, origin: a, target: b, mapping: {tables: {x.y: {masks: {c: null}, drop_columns: [C]}}}", "both dropped"),
        ("name: p, origin: a, target: b, mapping: {tables: {x.y: {rows: {column: c}}}}", "either equals or"),
        ("name: p, origin: a, target: b, mapping: {tables: {x.y: {to: x.z}}}", "carries a table of this name"),
        ("name: p, origin: a, target: b, mapping: {databases: {x: z, y: z}}", "the same name z"),
        ("name: p, origin: a, target: b, tables: {include: 'x.*'}, mapping: {tables: {y.y: {}}}", "does not carry"),
    ],
)
def test_bad_pairs_are_refused(tmp_path: Path, pair: str, words: str) -> None:
    """One thing wrong is one problem, and it names it."""
    (found,) = wrong(tmp_path, pair)
    assert words in found and found.startswith("7: pairs[0]")


def test_ddl_that_would_act_twice_is_ignored_unless_named() -> None:
    """The default is for tables and their like; accounts never; what nobody knows halts."""
    policy = DdlPolicy.model_validate({"drop": "halt", "event": "apply"})
    classes = ("create", "drop", "trigger", "event", "user", "server", "sequence", "unknown", "dml")
    actions = {cls: policy.action(cls) for cls in classes}
    assert actions == {
        "create": "apply",
        "drop": "halt",
        "trigger": "ignore",
        "event": "apply",
        "user": "ignore",
        "server": "ignore",
        "sequence": "apply",
        "unknown": "halt",
        "dml": "halt",
    }
    assert DdlPolicy(default="halt").action("trigger") == "halt"


def test_mapping_gives_names_and_rules() -> None:
    """A table's own rule wins over its database's; a swap of databases is fine."""
    mapping = Mapping.model_validate(
        {
            "databases": {"x": "y", "y": "x"},
            "tables": {"x.`a.b`": {"to": "z.c", "masks": {"m": None, "n": {"method": "constant", "value": None}}}},
        }
    )
    assert mapping.target_table("x", "a.b") == ("z", "c")
    assert mapping.target_table("x", "other") == ("y", "other")
    assert mapping.changes_rows("x", "a.b") and not mapping.changes_rows("y", "a.b")
    rules = mapping.rules("x", "a.b")
    assert rules is not None and [mask.method for mask in rules.masks.values()] == ["null", "constant"]


def test_a_mask_key_is_looked_up_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the source needs it; an empty one is refused."""
    mapping = Mapping.model_validate(
        {"tables": {"x.y": {"masks": {"c": "hash"}}}, "hash_key": {"password_env": "MASK_KEY"}},
    )
    monkeypatch.delenv("MASK_KEY", raising=False)
    with pytest.raises(ConfigError, match="MASK_KEY"):
        mapping.key()
    monkeypatch.setenv("MASK_KEY", "")
    with pytest.raises(ConfigError, match="empty"):
        mapping.key()
    monkeypatch.setenv("MASK_KEY", "k" * 16)
    assert mapping.hash(b"value", key=mapping.key(), length=16) == mapping.hash(b"value", key=b"k" * 16, length=64)[:16]


def test_who_may_read_the_targets_binlog(tmp_path: Path) -> None:
    """An applier of a one-way pair whose policies compare commit times, where that binlog and the origin's times tell all."""
    plain = "name: p, origin: a, target: b"
    times = f"{plain}, conflicts: {{default: latest_timestamp}}"
    (alone,) = config(tmp_path, times).streams()
    log = alone.target_log
    assert log is not None and (log.id.origin, log.id.target, log.direct) == ("b", "a", {"a"})
    assert log.server_id != alone.server_id and log.target_log is None
    for others in (
        [plain],
        [f"{plain}, conflicts: {{default: {{default: {{policy: latest_timestamp, column: t}}}}}}"],
        [f"{times}, mode: bidirectional"],
        [f"{times}, tables: {{include: 'shop.*'}}, mapping: {{databases: {{shop: copy}}}}"],
        [times, "name: q, origin: c, target: b"],
        [times, "name: q, origin: c, target: a"],
    ):
        assert all(s.target_log is None for s in config(tmp_path, *others).streams()), others
    apart = [f"{times}, tables: {{include: 'shop.*'}}", "name: q, origin: c, target: b, tables: {include: 'other.*'}"]
    assert [s.target_log is not None for s in config(tmp_path, *apart).streams()] == [True, False]
