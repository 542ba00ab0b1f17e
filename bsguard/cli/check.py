"""``check``: what stands between this configuration and enforcing it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from bsguard.cli.findings import Result, check_all
from bsguard.cli.source import source_of
from bsguard.core.errors import ConfigError

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--gunicorn-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The gunicorn configuration file that production runs with; default: ./gunicorn.conf.py if there is one.",
)
@click.pass_context
def check(context: click.Context, as_json: bool, gunicorn_config: Path | None) -> None:
    """Check settings, state, proxy and server. Exits with 1 if anything fails."""
    try:
        results = check_all(source_of(context), gunicorn_config)
    except ConfigError as error:
        results = [Result("fail", "settings", str(problem), "") for problem in error.problems]
    failed = any(result.level == "fail" for result in results)
    if as_json:
        document = {"ok": not failed, "checks": [asdict(result) for result in results]}
        click.echo(json.dumps(document, indent=2))
    else:
        for result in results:
            click.echo(f"{_MARKS[result.level]}  {result.subject}: {result.message}")
            if result.remedy:
                click.echo(f"      {result.remedy}")
    context.exit(1 if failed else 0)
