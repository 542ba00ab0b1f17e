"""``exceptions``: which rules do not hold where, for whom, why and until when, changed while the workers serve."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

import click

from bsguard.cli.entries import Duration, author, moment, opened_guard
from bsguard.core.config import Wanted
from bsguard.core.events import printable
from bsguard.core.exemptions import Exemption
from bsguard.core.overrides import Override
from bsguard.extension import PREFIX
from bsguard.seclang.layer import RulesConfig
from bsguard.standard import exception_problems

if TYPE_CHECKING:
    from bsguard.standard import Plan

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")


@click.group()
def exceptions() -> None:
    """Except requests from rules, without a restart."""


@exceptions.command("list")
@_as_json
@click.pass_context
def list_exceptions(context: click.Context, as_json: bool) -> None:
    """The exceptions made at run time that hold, oldest first; those in the settings stand in the settings."""
    with opened_guard(context) as guard:
        for entry in guard.overrides.active("exception", time.time()):
            click.echo(json.dumps(_facts(entry)) if as_json else _line(entry))


@exceptions.command("add")
@click.option("--rule", help="The rule, such as managed.942100, or a pattern such as managed.942*.")
@click.option("--tag", help="In place of a rule: all rules with this tag, such as attack-sqli.")
@click.option("--parameter", help="Only as far as this part of the request is concerned, such as ARGS:prompt.")
@click.option("--path", help="Only on paths that fit, such as /v1/generate/**.")
@click.option("--method", help="Only with this method.")
@click.option("--address", "addresses", multiple=True, help="Only for this address or network; may be repeated.")
@click.option("--comment", required=True, help="Why; stands in the list and in the events.")
@click.option("--for", "seconds", type=Duration(), help="How long, such as 30m, 12h or 7d; for good without it.")
@_as_json
@click.pass_context
def add_exception(
    context: click.Context,
    /,
    comment: str,
    seconds: int | None,
    addresses: tuple[str, ...],
    as_json: bool,
    **scope: Any,
) -> None:
    """Except a rule, within the scope that the options name. All workers of this machine obey within a second."""
    value: dict[str, object] = {name: given for name, given in scope.items() if given is not None}
    if addresses:
        value["addresses"] = list(addresses)
    try:
        exemption = Exemption.parse({**value, "comment": comment})
    except Wanted as wanted:
        raise click.ClickException(f"wanted {wanted}") from None
    now = time.time()
    expires = None if seconds is None else now + seconds
    with opened_guard(context) as guard:
        _check(exemption, guard.plan)
        entry = Override(kind="exception", value=value, author=author(), comment=comment, created=now, expires=expires)
        entry = dataclasses.replace(entry, id=guard.overrides.add(entry))
        click.echo(json.dumps(_facts(entry)) if as_json else f"excepted: {_line(entry)}")


@exceptions.command("delete")
@click.argument("number", type=click.IntRange(1, 2**62))
@_as_json
@click.pass_context
def delete_exception(context: click.Context, number: int, as_json: bool) -> None:
    """Let the rule hold again: delete the exception NUMBER. Exits with 1 if there is none."""
    with opened_guard(context) as guard:
        known = any(entry.id == number for entry in guard.overrides.active("exception", time.time()))
        deleted = known and guard.overrides.delete(number)
        if as_json:
            click.echo(json.dumps({"deleted": [number] if deleted else []}))
        else:
            click.echo(f"deleted: {number}" if deleted else "there is no such exception", err=not deleted)
    context.exit(0 if deleted else 1)


def _check(exemption: Exemption, plan: Plan) -> None:
    """Whether the exception could ever cover anything."""
    settings = dataclasses.replace(plan.settings, exceptions=(exemption,))
    problems = exception_problems(settings, plan.layers, PREFIX)
    for name, config in plan.layers.items():
        if isinstance(config, RulesConfig):
            problems += config.parameter_problems(settings, name, PREFIX)
    if problems:
        raise click.ClickException(problems[0].message)


def _facts(entry: Override) -> dict[str, object]:
    return {
        "id": entry.id,
        **entry.value,
        "comment": entry.comment,
        "author": entry.author,
        "since": moment(entry.created),
        "until": None if entry.expires is None else moment(entry.expires),
    }


def _line(entry: Override) -> str:
    until = "for good" if entry.expires is None else f"until {moment(entry.expires)}"
    scope = "  ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in entry.value.items()
    )
    return printable(f"{entry.id}  {scope}  {until}  by {entry.author}: {entry.comment}")
