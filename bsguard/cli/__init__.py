"""The command line: ``flask bsguard …`` in a Flask project, ``python -m bsguard --config FILE …`` without Flask.

Both have the same commands, one file a group. Every command takes ``--json``.
"""

from __future__ import annotations

from pathlib import Path

import click

from bsguard._version import __version__
from bsguard.cli.bans import bans
from bsguard.cli.billing import billing
from bsguard.cli.check import check
from bsguard.cli.contract import contract
from bsguard.cli.crs import crs
from bsguard.cli.events import events
from bsguard.cli.exceptions import exceptions
from bsguard.cli.explain import explain
from bsguard.cli.sessions import sessions
from bsguard.cli.source import ConfigFile
from bsguard.cli.waf import waf

_COMMANDS: dict[str, click.Command] = {
    "check": check,
    "events": events,
    "explain": explain,
    "exceptions": exceptions,
    "bans": bans,
    "waf": waf,
    "contract": contract,
    "sessions": sessions,
    "crs": crs,
    "billing": billing,
}


@click.group("bsguard", commands=_COMMANDS)
def group() -> None:
    """Check and operate the request guard of this application."""


@click.group("bsguard", commands=_COMMANDS)
@click.version_option(__version__, package_name="bsguard")
@click.option(
    "--config",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Settings as TOML or JSON: keys such as MODE and PROTOCOL_METHODS, with or without BSGUARD_ in front.",
)
@click.pass_context
def main(context: click.Context, path: Path) -> None:
    """Check and operate a request guard that is configured by a file."""
    context.obj = ConfigFile(path)
