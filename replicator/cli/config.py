"""`replicator config`: the schema, and what a configuration means once everything is filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from ..config import Config, load_config
from .common import config_option, json_option, print_json

__all__ = ["config", "schema_document"]


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    print_json(schema_document())


def schema_document() -> dict[str, Any]:
    """The JSON Schema, as editors and validators want it."""
    document = Config.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document, "title": "replicator"}


@config.command()
@config_option
@json_option
def show(config_path: Path, as_json: bool) -> None:
    """Print the configuration with all defaults filled in and secrets masked, and the streams it makes."""
    loaded = load_config(config_path)
    document = loaded.model_dump(mode="json", exclude_none=True)
    streams = [
        {
            "stream": str(stream.id),
            "topic": stream.id.topic,
            "kafka": stream.kafka.address,
            "start": stream.start,
            "server_id": stream.server_id,
            "left_out": sorted(stream.direct),
        }
        for stream in loaded.streams()
    ]
    if as_json:
        print_json({"config": document, "streams": streams})
        return
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip())
    click.echo("\n# streams:")
    for stream in streams:
        click.echo(f"#   {stream['stream']}: topic {stream['topic']} at {stream['kafka']}, from {stream['start']}")
