"""``sessions``: how each customer's credentials are used, and the rules about the order of calls."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from bsguard.cli.entries import author, moment, opened_guard
from bsguard.core.events import printable
from bsguard.core.overrides import Override
from bsguard.session import viewing
from bsguard.session.config import SessionConfig
from bsguard.session.proposing import proposals, thresholds
from bsguard.session.sequences import Sequence, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.session.proposing import Proposal
    from bsguard.standard import Guard
    from bsguard.stores.port import Store

_SESSION: Final = re.compile(r"[0-9a-f]{16}")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")


class SessionId(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """The id of a session, as events show it."""

    name = "session"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it."""
        if not _SESSION.fullmatch(str(value)):
            self.fail("wanted the 16 hexadecimal digits that events and the list show", param, ctx)
        return str(value)


@click.group()
def sessions() -> None:
    """See how each customer's credentials are used."""


@sessions.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many, at most.")
@_as_json
@click.pass_context
def list_sessions(context: click.Context, limit: int, as_json: bool) -> None:
    """The sessions that were seen last, the newest first."""
    with _store(context) as (_, store):
        for session, profile in viewing.newest(store, limit):
            facts = viewing.summary(session, profile) | {"seen": moment(profile.seen)}
            click.echo(json.dumps(facts) if as_json else _line(facts))


@sessions.command("show")
@click.argument("session", type=SessionId())
@_as_json
@click.pass_context
def show_session(context: click.Context, session: str, as_json: bool) -> None:
    """Everything that is known of SESSION. Exits with 1 if that is nothing."""
    with _store(context) as (_, store):
        profile = viewing.profile_of(store, session)
        if profile is None:
            raise click.ClickException("there is no such session; see `sessions list`")
        facts = viewing.details(session, profile, viewing.population_of(store))
        facts |= {"seen": moment(profile.seen), "created": moment(profile.created)}
        click.echo(json.dumps(facts) if as_json else "\n".join(_block(facts)))


@sessions.command("forget")
@click.argument("session", type=SessionId())
@_as_json
@click.pass_context
def forget_session(context: click.Context, session: str, as_json: bool) -> None:
    """Forget what is known of SESSION, and let it go on if it was held back. Exits with 1 if there is none."""
    with _store(context) as (guard, store):
        forgotten = viewing.forget(store, guard.settings.secret_keys, session, time.time())
        if as_json:
            click.echo(json.dumps({"session": session, "forgotten": forgotten}))
        elif forgotten:
            click.echo(f"forgotten: {session}")
        else:
            click.echo("there is no such session", err=True)
    context.exit(0 if forgotten else 1)


@sessions.command("thresholds")
@_as_json
@click.pass_context
def show_thresholds(context: click.Context, as_json: bool) -> None:
    """How many requests in ten minutes are usual for one session, by route, and what a limit should allow."""
    with _store(context) as (_, store):
        for one in thresholds(viewing.population_of(store)):
            line = f"{one.route}  p50 {one.p50}  p90 {one.p90}  p99 {one.p99}  of {one.days} days of sessions"
            advice = f"  recommended {one.recommended} per 10 minutes" if one.recommended else "  too few to recommend"
            click.echo(json.dumps(one._asdict()) if as_json else printable(line + advice))


@sessions.group()
def sequences() -> None:
    """Rules about the order of calls: proposed from traffic, in force once they are confirmed."""


@sequences.command("propose")
@_as_json
@click.pass_context
def propose(context: click.Context, as_json: bool) -> None:
    """What nearly all sessions do before an operation, as rules."""
    with _store(context) as (guard, store):
        known = {rule.name for rule in _rules(guard)}
        for one in proposals(viewing.population_of(store)):
            if one.rule.name not in known:
                click.echo(json.dumps(_proposed(one)) if as_json else _proposal_line(one))


@sequences.command("confirm")
@click.argument("name")
@click.option("--block", is_flag=True, help="Refuse what breaks the rule; it is only reported without.")
@click.option("--within", "seconds", type=click.IntRange(1, 86_400), help="How long before, in seconds.")
@click.option("--comment", required=True, help="Why; stands in the list.")
@_as_json
@click.pass_context
def confirm(context: click.Context, name: str, block: bool, seconds: int | None, comment: str, as_json: bool) -> None:
    """Put the proposed rule NAME into force. All workers of this machine obey within a second."""
    if not comment.strip():
        raise click.ClickException("wanted a comment that says why")
    with _store(context) as (guard, store):
        if name in {rule.name for rule in _rules(guard)}:
            raise click.ClickException("there is a rule of that name already; see `sessions sequences list`")
        found = next((one.rule for one in proposals(viewing.population_of(store)) if one.rule.name == name), None)
        if found is None:
            raise click.ClickException("no such rule is proposed; see `sessions sequences propose`")
        value = found.as_mapping() | {"action": "block" if block else "log"}
        if seconds is not None:
            value["within_seconds"] = seconds
        entry = Override(kind="sequence", value=value, author=author(), comment=comment, created=time.time())
        number = guard.overrides.add(entry)
        click.echo(json.dumps(value | {"id": number}) if as_json else f"in force: {name}, entry {number}")


@sequences.command("list")
@_as_json
@click.pass_context
def list_sequences(context: click.Context, as_json: bool) -> None:
    """The rules that are in force."""
    with _store(context) as (guard, _):
        for rule, entry in _in_force(guard):
            facts = rule.as_mapping() | {"id": entry.id if entry else None}
            where = f"entry {entry.id} by {entry.author}: {entry.comment}" if entry else "of the settings"
            click.echo(json.dumps(facts) if as_json else printable(f"{_rule_words(rule)}  {where}"))


@sequences.command("delete")
@click.argument("number", type=click.IntRange(1))
@_as_json
@click.pass_context
def delete(context: click.Context, number: int, as_json: bool) -> None:
    """Take the confirmed rule with this NUMBER out of force. Exits with 1 if there is none."""
    with _store(context) as (guard, _):
        ours = any(entry is not None and entry.id == number for _, entry in _in_force(guard))
        deleted = ours and guard.overrides.delete(number)
        click.echo(json.dumps({"deleted": deleted}) if as_json else "deleted" if deleted else "there is no such rule")
    context.exit(0 if deleted else 1)


@contextmanager
def _store(context: click.Context) -> Iterator[tuple[Guard, Store]]:
    """The guard and its store."""
    with opened_guard(context) as guard:
        if guard.counters is None or "session" not in guard.plan.used:
            raise click.ClickException("the session layer is not in use here; see BSGUARD_LAYERS")
        if guard.counters.reach == "process":
            raise click.ClickException('the store is "memory", which no other process can read; see BSGUARD_STORE')
        yield guard, guard.counters


def _in_force(guard: Guard) -> list[tuple[Sequence, Override | None]]:
    """The rules, each with its entry in the table; None for those of the settings."""
    config = guard.plan.layers["session"]
    found: list[tuple[Sequence, Override | None]] = []
    if isinstance(config, SessionConfig):
        found += [(rule, None) for rule in config.sequences]
    names = {rule.name for rule, _ in found}
    for entry in guard.overrides.active("sequence", time.time()):
        rule = parsed(entry)
        if rule is not None and rule.name not in names:
            found.append((rule, entry))
    return found


def _rules(guard: Guard) -> list[Sequence]:
    return [rule for rule, _ in _in_force(guard)]


def _proposed(one: Proposal) -> dict[str, object]:
    return one.rule.as_mapping() | {"precedence": one.precedence, "occurrences": one.occurrences}


def _proposal_line(one: Proposal) -> str:
    kept = f"kept by {one.precedence:.1%} of {one.occurrences} calls"
    return printable(f"{_rule_words(one.rule)}  {kept}")


def _rule_words(rule: Sequence) -> str:
    words = [f"{rule.name}: {rule.operation}"]
    if rule.after:
        words.append(f"after {' or '.join(map(str, rule.after))} within {rule.within_seconds} s")
    if rule.interval_seconds:
        words.append(f"at least {rule.interval_seconds} s apart")
    return f"{' '.join(words)} ({rule.action})"


def _line(facts: dict[str, Any]) -> str:
    usual = f" (usual {facts['usual_requests']:.0f})" if facts["usual_requests"] is not None else ""
    signals = "  ".join(f"{name} {points:.0f}" for name, points in facts["signals"].items())
    words = f"{facts['session']}  {facts['seen']}  requests {facts['requests']}{usual}  score {facts['score']:.0f}"
    return f"{words}  {signals}".rstrip()


def _block(facts: dict[str, Any]) -> Iterator[str]:
    """The facts one a line; lists below their name."""
    for name, value in facts.items():
        if isinstance(value, list):
            yield f"{name}:"
            yield from (f"  {_words(one)}" for one in value)
        else:
            yield f"{name}: {_words(value)}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items()) or "nothing"
    return printable("unknown" if value is None else str(value))
