"""`replicator config`: the schema, and what a configuration means once everything is filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from ..config import Config, load_config
from ..errors import UsageError
from .common import json_option, print_json

__all__ = ["config", "schema_document"]


_file = click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="REPLICATOR_CONFIG", help="The configuration file."
)


@click.group()
@_file
@click.pass_context
def config(context: click.Context, config_path: Path | None) -> None:
    """Look at the configuration."""
    context.obj = config_path


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    print_json(schema_document())


def schema_document() -> dict[str, Any]:
    """The JSON Schema, as editors and validators want it."""
    document = Config.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document, "title": "replicator"}


@config.command()
@_file
@json_option
@click.pass_obj
def show(given: Path | None, config_path: Path | None, as_json: bool) -> None:
    """Print the configuration with all defaults filled in and secrets masked, and the streams it makes."""
    config_path = config_path or given
    if config_path is None:
        raise UsageError("-c FILE is needed", remedy="name the configuration file")
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
