"""`replicator run`: the daemon."""

from __future__ import annotations

from pathlib import Path

import click

from ..config_sites import split_address
from ..errors import UsageError
from ..model import Role
from ..service.logging import LogFormat, configure_logging
from ..service.supervisor import Supervisor, read_config
from .common import config_option

__all__ = ["run"]


@click.command()
@config_option
@click.option("--site", required=True, help="The site that this daemon works for.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Only this role; default: both.")
@click.option("--listen", help="HOST:PORT to answer on; default: the site's http.listen.")
@click.option("--log", type=click.Choice(["auto", "json", "console"]), default="auto", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True)
def run(config_path: Path, site: str, role: str | None, listen: str | None, log: LogFormat, log_level: str) -> int:
    """Run the site's sources and appliers until SIGTERM; SIGHUP reads the configuration again."""
    config, text = read_config(config_path)
    config.site(site)
    if listen is not None:
        try:
            split_address(listen)
        except ValueError as error:
            what, _, remedy = str(error).partition("; remedy: ")
            raise UsageError(f"--listen {listen}: {what}", remedy=remedy) from None
    configure_logging(log, log_level)
    supervisor = Supervisor(
        config, text, site, role=Role(role) if role else None, listen=listen, log_form=log, log_level=log_level
    )
    return supervisor.run()
