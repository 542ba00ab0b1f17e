"""``crs``: the OWASP Core Rule Set, installed, listed and explained."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from bsguard.cli.source import source_of
from bsguard.core.errors import BsguardError, ConfigError
from bsguard.core.events import printable
from bsguard.extension import PREFIX
from bsguard.managed.folder import WITHOUT_RULES, installed_in
from bsguard.managed.install import DEFAULT_VERSION, archive_at, fetch, install_archive, install_folder
from bsguard.managed.sources import read_program, setup_file
from bsguard.seclang.prefilter.scanners import available

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bsguard.cli.source import Source
    from bsguard.managed.config import ManagedConfig
    from bsguard.seclang.model import Program, Rule

_SEVERITIES: Final = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
_LEVEL: Final = re.compile(r"paranoia-level/([1-4])")
_ARGUMENT_CHARS_MAX: Final = 160

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_as_lines = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")


@click.group()
def crs() -> None:
    """Install, list and explain the OWASP Core Rule Set."""


@crs.command()
@click.option(
    "--version",
    "version",
    help=f"The official release to fetch; default: {DEFAULT_VERSION}, which bsguard is tested with.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    help="An archive (.tar.gz) or a folder to install from, without the network.",
)
@click.option("--digest", help="The archive's SHA-256, as its release page states it.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Install here, without loading the application; default: the application's state directory.",
)
@_as_json
@click.pass_context
def install(
    context: click.Context,
    version: str | None,
    source: Path | None,
    digest: str | None,
    state_dir: Path | None,
    as_json: bool,
) -> None:
    """Install a rule set in place of the one in use. Workers take it up when they are started anew.

    An archive is not opened unless it has a digest that is known or given. Nothing changes if anything goes wrong.
    """
    if version is not None and source is not None:
        raise click.UsageError("give either --version or --from")
    folder = source is not None and source.is_dir()
    if folder and digest is not None:
        raise click.UsageError("a folder has no digest")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        if state_dir is None:
            with _without_rules():
                state_dir = source_of(context).state_dir
        if source is not None and folder:
            installed = install_folder(state_dir, source.resolve(), now)
        else:
            with _progress() as progress:
                archive = (
                    archive_at(source, digest)
                    if source is not None
                    else fetch(version or DEFAULT_VERSION, digest, progress)
                )
            installed = install_archive(state_dir, archive, now)
    except BsguardError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(installed)))
    else:
        click.echo(f"installed {installed.version}; set BSGUARD_MANAGED_CRS = True to use it, and restart the workers")


@crs.command()
@_as_json
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """What is installed, what is in use, and what is wrong with it. Exits with 1 if anything is."""
    source, config = _settings(context)
    settings = source.plan.settings
    config = config.settled(settings)
    problems = [str(problem) for problem in config.problems(settings, f"{PREFIX}MANAGED_")]
    installed = installed_in(source.state_dir)
    folder = config.crs_dir or (None if installed is None else installed[1])
    program = config.program()
    setup = setup_file(config, folder) if folder is not None else None
    facts: dict[str, Any] = {
        "in_use": not config.idle,
        "mode": config.mode or settings.mode,
        "installed": None if installed is None else dataclasses.asdict(installed[0]),
        "folder": None if folder is None else str(folder),
        "setup": None if setup is None else str(setup),
        "rules": 0 if program is None else len(program.rules),
        "tier": available(),
        "problems": problems,
        "notices": [] if program is None else list(program.notices),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show_status(facts)
    context.exit(1 if problems else 0)


@crs.command("list")
@click.option("--tag", help="Only rules with this tag, such as attack-sqli.")
@click.option("--phase", type=click.IntRange(1, 5), help="Only rules of this phase.")
@click.option("--paranoia", type=click.IntRange(1, 4), help="Only rules of this paranoia level.")
@_as_lines
@click.pass_context
def list_rules(context: click.Context, tag: str | None, phase: int | None, paranoia: int | None, as_json: bool) -> None:
    """The rules that detect something, in the order in which they run. Exits with 1 if none fits."""
    found = 0
    for rule in _program(context).rules:
        if not rule.message or (tag is not None and tag not in rule.tags):
            continue
        if (phase is not None and rule.phase != phase) or (paranoia is not None and _level(rule) != paranoia):
            continue
        found += 1
        click.echo(json.dumps(_facts(rule)) if as_json else _line(rule))
    context.exit(0 if found else 1)


@crs.command()
@click.argument("number", metavar="ID", type=click.IntRange(1))
@_as_json
@click.pass_context
def explain(context: click.Context, number: int, as_json: bool) -> None:
    """What the rule ID looks at, for what, and how to except it. Exits with 1 if there is none."""
    rule = next((rule for rule in _program(context).rules if rule.id == number), None)
    if rule is None:
        click.echo(f"there is no rule {number} in the rule set as it is set up", err=True)
        context.exit(1)
    facts = _facts(rule) | {
        "file": rule.position.file,
        "line": rule.position.line,
        "action": rule.disruptive,
        "tags": list(rule.tags),
        "links": [
            {
                "variables": [str(variable) for variable in link.variables],
                "operator": "" if link.operator is None else str(link.operator),
                "transformations": list(link.transformations),
            }
            for link in rule.links
        ],
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(_line(rule))
    click.echo(f"  in    {facts['file']}:{facts['line']}")
    click.echo(f"  tags  {', '.join(rule.tags)}")
    for place, link in enumerate(cast("list[dict[str, Any]]", facts["links"])):
        click.echo(f"  {'looks at' if place == 0 else 'and at'}  {'|'.join(link['variables'])}")
        if link["transformations"]:
            click.echo(f"    after  {', '.join(link['transformations'])}")
        click.echo(f"    for    {_cut(link['operator'])}")
    except_it = {"rule": f"managed.{rule.id}", "parameter": "ARGS:…", "path": "/…", "comment": "why"}
    click.echo(f"  except it with  {json.dumps(except_it, ensure_ascii=False)}")


@contextmanager
def _without_rules() -> Iterator[None]:
    """Let the application be loaded although its rules are not there yet, or are wrong."""
    token = WITHOUT_RULES.set(True)
    try:
        yield
    finally:
        WITHOUT_RULES.reset(token)


def _settings(context: click.Context) -> tuple[Source, ManagedConfig]:
    try:
        with _without_rules():
            source = source_of(context)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    return source, cast("ManagedConfig", source.plan.layers["managed"])


def _program(context: click.Context) -> Program:
    """The rules as they are set up, in use or not."""
    source, config = _settings(context)
    installed = installed_in(source.state_dir)
    folder = config.crs_dir or (None if installed is None else installed[1])
    if folder is None:
        raise click.ClickException("no rule set is installed; run flask bsguard crs install")
    try:
        return read_program(config, folder)
    except BsguardError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A line that grows, on a terminal."""
    shown = sys.stderr.isatty()

    def progress(done: int, size: int) -> None:
        if shown:
            of = f" of {size // 1024}" if size else ""
            click.echo(f"\r{done // 1024}{of} KiB", nl=False, err=True)

    yield progress
    if shown:
        click.echo("", err=True)


def _show_status(facts: dict[str, Any]) -> None:
    installed = facts["installed"]
    if installed is None:
        click.echo("installed  nothing; run flask bsguard crs install")
    else:
        click.echo(
            f"installed  {installed['version']} on {installed['installed']} from {printable(installed['source'])}"
        )
        if installed["sha256"]:
            click.echo(f"digest     sha256:{installed['sha256']}")
    used = f"yes, in mode {facts['mode']}" if facts["in_use"] else "no; set BSGUARD_MANAGED_CRS = True"
    click.echo(f"in use     {used}")
    if facts["folder"]:
        click.echo(f"folder     {facts['folder']}")
        click.echo(f"set-up     {facts['setup'] or 'none; the defaults of the rules hold'}")
    if facts["rules"]:
        click.echo(f"rules      {facts['rules']}, found in tier {facts['tier']}")
    for notice in facts["notices"]:
        click.echo(f"notice     {printable(notice)}")
    for problem in facts["problems"]:
        click.echo(f"FAIL       {printable(problem)}")


def _level(rule: Rule) -> int | None:
    return next((int(match[1]) for match in map(_LEVEL.fullmatch, rule.tags) if match), None)


def _facts(rule: Rule) -> dict[str, Any]:
    return {
        "rule": f"managed.{rule.id}",
        "phase": rule.phase,
        "paranoia_level": _level(rule),
        "severity": None if rule.severity is None else _SEVERITIES[rule.severity],
        "message": rule.message,
    }


def _line(rule: Rule) -> str:
    level = _level(rule)
    severity = "" if rule.severity is None else f"  {_SEVERITIES[rule.severity].lower()}"
    return (
        f"managed.{rule.id}  phase {rule.phase}{'' if level is None else f'  level {level}'}{severity}  {rule.message}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= _ARGUMENT_CHARS_MAX else f"{text[:_ARGUMENT_CHARS_MAX]}… ({len(text)} characters)"
