"""The table of all configuration keys in docs/OPERATING.md, made from the JSON Schema: ``python -m tests.config_table``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from replicator.cli.config import schema_document

PAGE = Path(__file__).resolve().parents[1] / "docs/OPERATING.md"
BEGIN, END = "<!-- keys: made by python -m tests.config_table -->", "<!-- end of keys -->"
_SECTIONS = {
    "": "top of the file",
    "Site": "`sites.NAME`",
    "Database": "`sites.NAME.database`",
    "Kafka": "`sites.NAME.kafka`",
    "Sasl": "`sites.NAME.kafka.sasl`",
    "Tls": "`tls` of a database or a Kafka",
    "Http": "`http`, `sites.NAME.http`",
    "Pair": "`pairs[]`",
    "Tables": "`pairs[].tables`",
    "StreamTables": "`pairs[].streams.NAME`",
    "DdlPolicy": "`pairs[].ddl`",
    "Apply": "`pairs[].apply`",
    "SourceSettings": "`pairs[].source`",
    "LagLimits": "`pairs[].lag_limits`",
    "Mapping": "`pairs[].mapping`",
    "TableMapping": "`pairs[].mapping.tables.TABLE`",
    "Mask": "`….masks.COLUMN`",
    "RowFilter": "`….rows`",
    "Secret": "`pairs[].mapping.hash_key`",
}
_SECRETS = ("password", "password_env", "password_file", "password_credential")


def made() -> str:
    """The whole section as markdown."""
    schema = schema_document()
    models = {"": schema, **schema["$defs"]}
    missing = models.keys() - _SECTIONS.keys()
    assert not missing, f"no section for {missing}"
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for name, title in _SECTIONS.items():
        lines.append(f"| **{title}** | | |")
        lines += _rows(name, models[name])
    return "\n".join(lines)


def _rows(name: str, model: dict[str, Any]) -> list[str]:
    rows = []
    properties = model["properties"]
    for key, found in properties.items():
        if name == "DdlPolicy" and key != "default":
            continue
        if name in ("Database", "Sasl") and key in _SECRETS:
            continue
        meaning = " ".join(found.get("description", "see below").split()).replace("|", "\\|")
        default = "**needed**" if key in model.get("required", ()) else _default(found.get("default"))
        rows.append(f"| `{key}` | {default} | {meaning} |")
    if name == "DdlPolicy":
        rows.append(f"| {', '.join(f'`{key}`' for key in properties if key != 'default')} | | of one class |")
    if name in ("Database", "Sasl"):
        keys = ", ".join(f"`{key}`" for key in _SECRETS)
        rows.append(f"| {keys} | | at most one of them; see the last rows |")
    return rows


def _default(value: Any) -> str:
    if value is None or value in ({}, []) or isinstance(value, dict):
        return ""
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def section(page: str) -> str:
    """What the page holds between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def main() -> int:
    """Bring the page up to date."""
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{made()}\n{END}{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
