"""Says what is wrong with a configuration: pydantic's findings in our words, each with line, value and remedy."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .config_secret import SECRET_KEYS
from .config_yaml import Document, Key, Problem

__all__ = ["closest", "describe", "shown", "validate"]

M = TypeVar("M", bound=BaseModel)
_VALUE_CHARS = 60


def validate(
    model: type[M], document: Document, problems: list[Problem], key: Key = (), data: Any = ...
) -> M | None:
    """Make a ``model`` of the document's data (or of ``data``, which stands at ``key``); None where it is wrong."""
    value = document.data if data is ... else data
    try:
        return model.model_validate({} if value is None else value, context={"folder": document.path.parent})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problems.append(_problem(model, key, detail))
        return None


def describe(document: Document, problems: Sequence[Problem]) -> list[str]:
    """Each problem as ``file:line: key: value: what; remedy``, in the file's order, none twice."""
    lines = []
    for problem in sorted(problems, key=lambda p: document.line(p.key)):
        parts = [f"{document.path}:{document.line(problem.key)}"]
        if problem.key:
            parts.append(_dotted(problem.key))
        if problem.value is not None:
            parts.append(problem.value)
        parts.append(problem.what)
        text = ": ".join(parts) + (f"; {problem.remedy}" if problem.remedy else "")
        if text not in lines:
            lines.append(text)
    return lines


def closest(word: str, known: Sequence[str]) -> str:
    """``did you mean ...`` where one of the known words is near; else the list of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"use one of: {', '.join(known)}"


def _dotted(key: Key) -> str:
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if "." not in part else f'"{part}"'
            text += f".{shown}" if text else shown
    return text


def _problem(model: type[BaseModel], base: Key, detail: ErrorDetails) -> Problem:
    place: Key = tuple(part for part in detail["loc"] if part != "[key]")
    key = base + place
    kind, context = detail["type"], detail.get("ctx", {})
    value = shown(key, detail.get("input"))
    if kind == "extra_forbidden":
        return Problem(key, "unknown key", closest(str(key[-1]), _known_keys(model, place[:-1])))
    if kind == "missing":
        return Problem(key, "this key is missing", "add it")
    if kind == "literal_error":
        allowed = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return Problem(key, "not one of the allowed words", closest(str(detail.get("input")), allowed), value)
    if kind == "value_error":
        what, _, remedy = str(context["error"]).partition("; remedy: ")
        return Problem(key, what, remedy, None if isinstance(detail.get("input"), dict) else value)
    for prefix, what, remedy in _WORDS:
        if kind.startswith(prefix):
            return Problem(key, what, remedy.format(**context), value)
    return Problem(key, detail["msg"].lower(), "correct it", value)


_WORDS = (
    ("string_pattern", "characters that are not allowed here", "use letters, digits, - and _; no - or _ in front"),
    ("string_too_long", "too long", "use at most {max_length} characters"),
    ("string_too_short", "too short", "use at least {min_length} characters"),
    ("string_", "not text", "write it in quotes"),
    ("int_from_float", "not a whole number", "write a whole number"),
    ("int_", "not a whole number", "write a whole number"),
    ("float_", "not a number", "write a number"),
    ("finite_number", "not a number", "write a number"),
    ("bool_", "neither true nor false", "write true or false"),
    ("greater_than_equal", "too small", "use {ge} or more"),
    ("greater_than", "too small", "use more than {gt}"),
    ("less_than_equal", "too large", "use {le} or less"),
    ("less_than", "too large", "use less than {lt}"),
    ("too_short", "too few of them", "give at least {min_length}"),
    ("model_type", "not a mapping", "write keys and values below it"),
    ("dict_type", "not a mapping", "write keys and values below it"),
    ("tuple_type", "not a list", "write a list, as [a, b]"),
    ("path_type", "not a path", "write it in quotes"),
)


def shown(key: Key, value: Any) -> str | None:
    """The value for people; never a secret, never a whole block."""
    if value is None or isinstance(value, dict | list) or any(part in SECRET_KEYS for part in key):
        return None
    text = repr(value)
    return text if len(text) <= _VALUE_CHARS else text[:_VALUE_CHARS] + "…"


def _known_keys(model: type[BaseModel], place: Key) -> list[str]:
    """The keys that the model at ``place`` below ``model`` has."""
    found: Any = model
    for part in place:
        for candidate in _models(found):
            if part in candidate.model_fields:
                found = candidate.model_fields[str(part)].annotation
                break
        # else: an index or a key of a mapping; the models inside are the same ones
    return [name for candidate in _models(found) for name in candidate.model_fields]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models inside a type such as ``dict[str, Site] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)
