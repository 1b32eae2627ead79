"""The documents name only what there is: commands, options, configuration keys, metrics, files and places in other pages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from replicator.cli.config import schema_document
from replicator.cli.main import cli
from replicator.config import load_config
from replicator.model import State, StreamId
from replicator.observe.lag import STAGES, SiteView, lag_document
from replicator.observe.metrics import exposition
from replicator.observe.status import ErrorReport, StageStatus, WorkerStatus
from replicator.observe.view import WorkerView
from tests.config_table import made, section

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = {"sh", "bash", "console", ""}
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(text: str) -> list[tuple[str, str]]:
    """Fenced blocks: language, content without the indentation of their list."""
    found = []
    for indent, language, body in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        found.append((language, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)))
    return found


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def calls(text: str) -> list[list[str]]:
    """All words behind ``replicator`` in code spans and shell blocks, one list a call."""
    spans = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose(text))
    lines = [line for language, body in blocks(text) if language in SHELL for line in body.splitlines()]
    found = []
    for source in [*spans, *lines]:
        for piece in re.split(r" {3,}|(?=\breplicator )", source.replace("\n", " ")):
            match = re.match(r"replicator (?=[a-z-])(.*)", piece)
            if match:
                found.append(shlex.split(match[1].split(" #")[0].split(";")[0], posix=True))
    return found


def command(words: list[str]) -> tuple[click.Command, list[str]] | None:
    """The command that those words name, and the words behind it; None where the first is none."""
    context = click.Context(cli)
    found: click.Command = cli
    rest = list(words)
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        inner = found.get_command(context, rest[0])
        if inner is None:
            return None
        found = inner
        rest.pop(0)
    return found, rest


def options_of(found: click.Command) -> set[str]:
    """Everything that may be typed for the options of a command."""
    return {name for parameter in found.params for name in parameter.opts} | {"-h", "--help"}


def all_options() -> set[str]:
    """The options of all commands."""

    def walk(found: click.Command) -> set[str]:
        inner = [found.get_command(click.Context(found), name) for name in found.list_commands(click.Context(found))] if (
            isinstance(found, click.Group)
        ) else []
        return options_of(found).union(*(walk(one) for one in inner if one is not None))

    return walk(cli)


@by_page
def test_commands_and_their_options_exist(page: Path) -> None:
    """Each `replicator …` in the page parses as far as names of commands and options go."""
    for words in calls(page.read_text()):
        found = command(words)
        assert found is not None, f"{page.name}: replicator {' '.join(words)}"
        known = options_of(found[0])
        given = {word.partition("=")[0] for word in found[1] if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}
        if isinstance(found[0], click.Group):  # options of the group or of the command to come
            known |= all_options()
        assert given <= known, f"{page.name}: replicator {' '.join(words)}: {given - known}"


def test_the_manual_tells_all_commands_and_exit_codes() -> None:
    """Nothing that can be typed is missing from docs/OPERATING.md."""
    text = (ROOT / "docs/OPERATING.md").read_text()
    for name in cli.list_commands(click.Context(cli)):
        assert re.search(rf"\b{name}\b", text), name
    for code in range(5):
        assert f"\n| {code} | " in text


def test_the_manual_has_every_key_with_its_default() -> None:
    """`python -m tests.config_table` brings the table up to date."""
    assert section((ROOT / "docs/OPERATING.md").read_text()) == made()


@by_page
def test_yaml_blocks_load(page: Path, tmp_path: Path) -> None:
    """Whole configurations load; parts of one are parts that the schema knows."""
    keys = known_keys()
    for language, body in blocks(page.read_text()):
        if language not in ("yaml", "yml"):
            continue
        data = yaml.safe_load(body)
        if isinstance(data, dict) and "sites" in data:
            path = tmp_path / "replicator.yaml"
            path.write_text(body)
            load_config(path)
        elif isinstance(data, dict):
            assert data.keys() <= keys, f"{page.name}: {data.keys() - keys}"


def known_keys() -> set[str]:
    """All keys of the configuration, at whatever place."""
    schema = schema_document()
    return {key for model in (schema, *schema["$defs"].values()) for key in model.get("properties", {})}


@by_page
def test_keys_in_the_text_exist(page: Path) -> None:
    """A code span such as `retention_hours: 168` or `tls: {enabled: false}` begins with a key of the configuration."""
    keys = known_keys() | conflict_words()
    for span in re.findall(r"`([a-z_]+): ?[^`\n]*`", prose(page.read_text())):
        assert span in keys, f"{page.name}: {span}:"


def conflict_words() -> set[str]:
    """Keys of the `conflicts` block, and other things that are written alike."""
    page = (ROOT / "docs/CONFLICTS.md").read_text()
    return set(re.findall(r"`?([a-z_]+)`?:", "".join(body for language, body in blocks(page) if language == "yaml"))) | {
        "columns", "policy", "limit_ms", "column", "default", "mode", "python", "list", "map",
        *re.findall(r"`([a-z_]+)`", prose(page)),
    }  # fmt: skip


def metrics() -> set[str]:
    """The names of everything that /metrics can show."""
    gauges, counters = set(), set()
    for path in (ROOT / "replicator").rglob("*.py"):
        text = path.read_text()
        counters |= set(re.findall(r'\.count\(f?"([a-z_]+)', text))
        gauges |= set(re.findall(r'\.gauge\(f?"([a-z_]+)', text))
    stages = {name: StageStatus(1, "u:1", 1, 1) for name in STAGES}
    status = WorkerStatus(
        "applier", "p", "a", "b", "main", 1, "streaming", 1,
        counters=dict.fromkeys(counters, 1.0), gauges=dict.fromkeys(gauges, 1.0),
    )  # fmt: skip
    view = WorkerView(StreamId("p", "a", "b"), "applier", True, 0, status, stages, status.counters, None, "", State.STREAMING)
    text = exposition(SiteView("b", [view]), 2).decode()
    return set(re.findall(r"^(replicator_\w+)\{?", text, re.MULTILINE)) | {"replicator_ready"}


@by_page
def test_metrics_exist(page: Path) -> None:
    """Each replicator_… in a page is one that the daemon shows."""
    other = {"replicator_applying"}
    named = set(re.findall(r"\breplicator_[a-z_]+\b", page.read_text())) - other
    assert named <= metrics(), f"{page.name}: {named - metrics()}"


def test_the_manual_tells_all_metrics() -> None:
    """Nothing that /metrics shows is missing from docs/OPERATING.md."""
    text = (ROOT / "docs/OPERATING.md").read_text()
    assert [name for name in sorted(metrics()) if name not in text] == []


def test_the_manual_tells_all_of_lag() -> None:
    """Every field of the /lag document is named in docs/OPERATING.md."""
    error = ErrorReport("a", "b", "c", "d", 1, False)
    stages = {name: StageStatus(1, "u:1", 1, 1) for name in STAGES}
    view = WorkerView(StreamId("p", "a", "b"), "applier", stages=stages, error=error)
    names: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            names.update(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(inner)

    collect(lag_document(SiteView("b", [view]), 2))
    text = (ROOT / "docs/OPERATING.md").read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def anchors(text: str) -> set[str]:
    """What the headings of a page can be linked by."""
    heads = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@by_page
def test_links_resolve(page: Path) -> None:
    """Relative links lead to files of the repository, and to headings that they have."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(there.read_text()), f"{page.name}: {target}"


@by_page
def test_files_in_the_text_exist(page: Path) -> None:
    """Code spans that look like a path of the repository are one."""
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    for span in re.findall(r"`([\w@./-]+)`", prose(page.read_text())):
        top = span.partition("/")[0]
        if "/" in span and top in tops and "NAME" not in span:
            assert (ROOT / span).exists(), f"{page.name}: {span}"


@by_page
def test_make_targets_exist(page: Path) -> None:
    """Each `make …` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert target in targets, f"{page.name}: make {target}"
