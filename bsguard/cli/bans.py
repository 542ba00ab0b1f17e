"""``bans``: who is kept out, by whom, why and until when."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from bsguard.cli.entries import Duration, author, moment, opened_guard
from bsguard.core.events import BanLifted, BanSet, printable
from bsguard.core.overrides import Override
from bsguard.core.paths import PathPattern
from bsguard.core.secrets import Secrets
from bsguard.limiter.bans import subject_of
from bsguard.limiter.conduct import lift
from bsguard.limiter.config import LimiterConfig
from bsguard.stores.port import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.core.events import Event
    from bsguard.standard import Guard

_NUMBER_CHARS: Final = 19

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")


@click.group()
def bans() -> None:
    """Ban clients, and lift bans."""


@bans.command("list")
@_as_json
@click.pass_context
def list_bans(context: click.Context, as_json: bool) -> None:
    """The bans that hold, oldest first."""
    with _guard(context) as guard:
        for entry in guard.overrides.active("ban", time.time()):
            click.echo(json.dumps(_facts(entry)) if as_json else _line(entry))


@bans.command("add")
@click.argument("subject")
@click.option("--reason", required=True, help="Why; stands in the list and in the log.")
@click.option("--for", "seconds", type=Duration(), help="How long, such as 30m, 12h or 7d; for good without it.")
@click.option("--path", "path", help="Only on paths that fit, such as /v1/generate/**.")
@_as_json
@click.pass_context
def add_ban(
    context: click.Context, subject: str, reason: str, seconds: int | None, path: str | None, as_json: bool
) -> None:
    """Ban SUBJECT: an address, a network, or the identity that events show.

    An IPv6 address stands for its /64. All workers of this machine obey within a second.
    """
    try:
        wanted = subject_of(subject)
        if path is not None:
            PathPattern.parse(path)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if not reason.strip():
        raise click.ClickException("wanted a reason that says why")
    now = time.time()
    value: dict[str, object] = {"subject": wanted}
    if path:
        value["path"] = path
    expires = None if seconds is None else now + seconds
    who = author()
    entry = Override(kind="ban", value=value, author=who, comment=reason, created=now, expires=expires)
    with _guard(context) as guard:
        number = guard.overrides.add(entry)
        event = BanSet(
            time=now,
            request_id="",
            subject=wanted,
            author=who,
            reason=reason,
            seconds=seconds or 0,
            action="banned",
        )
        _report(guard, event)
        facts = _facts(entry) | {"id": number}
        click.echo(json.dumps(facts) if as_json else f"banned {wanted}, entry {number}")


@bans.command("delete")
@click.argument("which")
@_as_json
@click.pass_context
def delete_ban(context: click.Context, which: str, as_json: bool) -> None:
    """Lift the ban WHICH: the number of an entry, or whom it is about. Exits with 1 if there is none.

    What had been counted towards the ban is forgotten with it.
    """
    with _guard(context) as guard:
        active = guard.overrides.active("ban", time.time())
        if which.isdecimal() and len(which) < _NUMBER_CHARS:
            found = [entry for entry in active if entry.id == int(which)]
            subjects = {str(entry.value.get("subject", "")) for entry in found}
        else:
            try:
                subjects = {subject_of(which)}
            except ValueError as error:
                raise click.ClickException(str(error)) from None
            found = [entry for entry in active if entry.value.get("subject") in subjects]
        lifted = [entry for entry in found if guard.overrides.delete(entry.id)]
        for subject in sorted(subjects):
            _lift(guard, subject)
            _report(guard, BanLifted(time=time.time(), subject=subject, author=author()))
        if as_json:
            click.echo(json.dumps({"lifted": [entry.id for entry in lifted], "subjects": sorted(subjects)}))
        elif found:
            click.echo(f"lifted: {', '.join(sorted(subjects))}")
        else:
            click.echo("there is no such ban", err=True)
    context.exit(0 if lifted else 1)


@contextmanager
def _guard(context: click.Context) -> Iterator[Guard]:
    """The guard, if it bans anybody."""
    with opened_guard(context) as guard:
        if guard.counters is None:
            raise click.ClickException("the limiter is not in use here, so nobody would be banned; see BSGUARD_LAYERS")
        yield guard


def _report(guard: Guard, event: Event) -> None:
    """Keep the event beside those of the workers."""
    if guard.store is not None:
        guard.store(event)


def _lift(guard: Guard, subject: str) -> None:
    """Lift what the store has of a ban on one client; other bans are in the table alone."""
    kind, _, client = subject.partition(" ")
    config = guard.plan.layers["limiter"]
    if kind == "client" and guard.counters is not None and isinstance(config, LimiterConfig):
        lift(guard.counters, Keys(Secrets(guard.settings.secret_keys)), config, client, time.time())


def _facts(entry: Override) -> dict[str, object]:
    return {
        "id": entry.id,
        "subject": entry.value.get("subject", ""),
        "path": entry.value.get("path"),
        "reason": entry.comment,
        "author": entry.author,
        "since": moment(entry.created),
        "until": None if entry.expires is None else moment(entry.expires),
    }


def _line(entry: Override) -> str:
    until = "for good" if entry.expires is None else f"until {moment(entry.expires)}"
    where = f" on {entry.value['path']}" if entry.value.get("path") else ""
    words = f"{entry.id}  {entry.value.get('subject', '')}{where}  {until}  by {entry.author}: {entry.comment}"
    return printable(words)
