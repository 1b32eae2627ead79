"""Reads a YAML (or JSON) file into plain values and remembers the line of every key and item.

Only what JSON can say, plus comments and anchors: keys are text, ``yes`` and ``2024-01-01`` are text too (YAML 1.2's core
schema), a key that stands twice is a problem. Problems are collected, not raised, so that all of them are shown at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError

__all__ = ["Document", "Key", "Problem", "read_document"]

Key = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the root."""

_NODES_MAX = 200_000
"""Aliases may multiply nodes; a configuration that unfolds to more than this is a mistake."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where, with which value, what, and what to do. ``value`` is None where it must not be shown."""

    key: Key
    what: str
    remedy: str = ""
    value: str | None = None


@dataclass(slots=True)
class Document:
    """A file's content: ``data`` as dicts, lists and scalars, ``lines`` by key path (1-based)."""

    path: Path
    data: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, key: Key) -> int:
        """The line of that key, or of the nearest one around it that the file has."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the core schema of YAML 1.2: no dates, no sexagesimal numbers, no ``no`` for false."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"(?:{_pattern})$"),
        [*_first, ""] if _tag == "null" else list(_first),
    )


def _whole_number(_: _Loader, node: yaml.ScalarNode) -> int:
    """YAML 1.2: zeros in front mean nothing; PyYAML's own takes 010 for octal."""
    text = node.value
    return int(text, 16) if text.startswith("0x") else int(text, 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_document(path: Path, text: str | None = None) -> Document:
    """Read ``path`` (or its content as given); raises ConfigError where it cannot be read or is no YAML at all."""
    try:
        text = path.read_text(encoding="utf-8") if text is None else text
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration: {error.strerror}", where=str(path), remedy="name an existing file with -c"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the configuration is not UTF-8", where=str(path), remedy="save it as UTF-8") from error
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")  # JSON may be indented with tabs; YAML's flow style may not
    document = Document(path)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            document.lines[()] = node.start_mark.line + 1
            document.data = _Builder(loader, document).build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(
            f"{path}:{line}: not valid YAML: {error.problem or error.context}", remedy="mend the file there"
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{int(error.character):04X}"
        raise ConfigError(f"{path}:{line}: not valid YAML: {what} stands there", remedy="take the character out") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}", remedy="mend the file") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: values within values, too many deep", remedy="write the file flatter") from error
    return document


class _Builder:
    """Turns nodes into values; one per document."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._count = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, key: Key) -> Any:
        self._count += 1
        if self._count > _NODES_MAX:
            raise ConfigError(
                f"the configuration unfolds to more than {_NODES_MAX} values",
                where=str(self._document.path),
                remedy="use fewer aliases (*name)",
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        if id(node) in self._open:
            self._document.problems.append(Problem(key, "an alias inside of its own anchor", "write the value out"))
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, key)
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, key)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        try:
            value = self._loader.construct_object(node)
            if isinstance(value, str) and _SURROGATES.search(value):  # JSON writes what is beyond U+FFFF as two of them
                return value.encode("utf-16", "surrogatepass").decode("utf-16")
            return value
        except UnicodeError:
            self._document.problems.append(Problem(key, "half of a character (a lone \\ud800 to \\udfff)", "write all of it"))
        except (yaml.YAMLError, ValueError):
            self._document.problems.append(Problem(key, f"a value of the unknown kind {node.tag}", "write it in quotes"))
        return None

    def _sequence(self, node: yaml.SequenceNode, key: Key) -> list[Any]:
        values = []
        for i, item in enumerate(node.value):
            self._document.lines[(*key, i)] = item.start_mark.line + 1
            values.append(self.build(item, (*key, i)))
        return values

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if name_node.tag == "tag:yaml.org,2002:merge":
                self._merge(value_node, key, values)
                continue
            name = self._scalar(name_node, key) if isinstance(name_node, yaml.ScalarNode) else None
            if not isinstance(name, str):
                self._document.problems.append(Problem(key, f"a key in line {line} is not text", "write the key in quotes"))
                continue
            inner = (*key, name)
            if name in values and inner in self._document.lines:
                first = self._document.lines[inner]
                self._document.lines[inner] = line
                what = f"the key stands twice, first in line {first}"
                self._document.problems.append(Problem(inner, what, "remove one of them"))
            self._document.lines[inner] = line
            values[name] = self.build(value_node, inner)
        return values

    def _merge(self, node: yaml.Node, key: Key, values: dict[str, Any]) -> None:
        """``<<``: what the anchor holds counts unless the mapping has the key itself."""
        merged = self.build(node, key)
        for part in merged if isinstance(merged, list) else [merged]:
            if isinstance(part, dict):
                for name, value in part.items():
                    values.setdefault(name, value)
                    self._document.lines.pop((*key, name), None)
            else:
                self._document.problems.append(Problem(key, "<< merges something that is no mapping", "name an anchor"))
