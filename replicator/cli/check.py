"""`replicator check`: everything that would make a flow fail later, found now."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from ..config import load_config
from ..service.check import Level, run_checks
from .common import config_option, json_option, print_json, site_option

__all__ = ["check"]


@click.command()
@config_option
@site_option
@json_option
def check(config_path: Path, site: str | None, as_json: bool) -> int:
    """Check configuration, grants, servers, Kafka, clocks and tables of all sites, or of what concerns one SITE.

    Exit code 0 without errors (warnings are allowed), 1 with errors, 2 where the configuration itself is wrong.
    """
    config = load_config(config_path)
    if site is not None:
        config.site(site)
    findings = run_checks(config, site)
    errors = sum(finding.level is Level.ERROR for finding in findings)
    warnings = len(findings) - errors
    if as_json:
        print_json({"errors": errors, "warnings": warnings, "findings": [dataclasses.asdict(f) for f in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.level}: {finding.place}: {finding.what}")
            click.echo(f"  to do: {finding.remedy}")
        click.echo(f"{errors} errors, {warnings} warnings" if findings else "no problems found")
    return 1 if errors else 0
