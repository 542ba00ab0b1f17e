"""Commands about generations: sweeping, what became of one, what providers cost, and customers' webhooks."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

import click
from flask.cli import AppGroup
from sqlalchemy import func, select

from sample_app import attempts, generations
from sample_app.api_keys import ACCOUNT_ID
from sample_app.clock import rfc3339
from sample_app.deliveries import SUBSCRIPTION_ID
from sample_app.failure_handling import EXPIRED
from sample_app.generations import GENERATION_ID, Status
from sample_app.jobs import Job
from sample_app.lifecycle import end
from sample_app.representations import show_generation
from sample_app.services import control_plane
from sample_app.tables import attempts as attempts_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sample_app.attempts import Attempt
    from sample_app.deliveries import Subscription

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

_URL_LENGTH_MAX: Final = 2_048

webhooks = AppGroup("webhooks", help="Where accounts want their events.")


@click.command("sweep")
@click.option(
    "--job",
    type=click.Choice([job.value for job in Job]),
    default=Job.SWEEP.value,
    show_default=True,
    help="Which periodic job.",
)
@_as_json
def sweep(job: str, as_json: bool) -> None:
    """Run a periodic job once: by default, look at every generation that somebody has to look at."""
    handled = control_plane().jobs.run(Job(job))
    if handled is None:
        raise click.ClickException("The job is running already.")
    click.echo(json.dumps({"job": job, "handled": handled}) if as_json else f"{job}: {handled} dealt with.")


@click.command("show")
@click.argument("generation_id")
@_as_json
def show(generation_id: str, as_json: bool) -> None:
    """Tell everything that is known of a generation: its attempts, and what they cost the operator."""
    parts = control_plane()
    with parts.database.reading() as connection:
        found = generations.read(connection, generation_id) if GENERATION_ID.fullmatch(generation_id) else None
        made = attempts.of(connection, generation_id)
    if found is None:
        raise click.ClickException("There is no generation with this id.")
    hold = parts.database.ledger.hold(generation_id)
    if as_json:
        known = show_generation(found) | {
            "account_id": found.account_id,
            "attempts": [_describe(each) for each in made],
        }
        click.echo(json.dumps(known | {"hold": None if hold is None else hold.amounts}))
        return
    click.echo(f"{generation_id}  {found.account_id}  {found.model}  {found.status}  {found.credits} credits")
    click.echo(f"hold: {'none' if hold is None else hold.amounts}")
    for each in made:
        sure = "" if each.spend_known else " at most"
        reason = f"  {each.reason}" if each.reason else ""
        click.echo(f"{each.number}. {each.provider:<11} {each.state:<9} {each.spend_micro_usd} micro-USD{sure}{reason}")


@click.command("give-up")
@click.argument("generation_id")
@_as_json
def give_up(generation_id: str, as_json: bool) -> None:
    """End a generation that needs reconciling, and give its credits back; a success that still comes is late."""
    parts = control_plane()
    if not GENERATION_ID.fullmatch(generation_id):
        raise click.ClickException("There is no generation with this id.")
    with parts.database.writing() as connection:
        found = generations.read(connection, generation_id)
        ended = None
        if found is not None and found.status is Status.NEEDS_RECONCILE:
            ended = end(connection, parts.credits, generation_id, Status.EXPIRED, parts.clock(), failure=EXPIRED)
    if ended is None:
        raise click.ClickException("No generation with this id needs reconciling.")
    click.echo(json.dumps(show_generation(ended)) if as_json else f"{generation_id} has expired.")


@click.command("spend")
@_as_json
def spend(as_json: bool) -> None:
    """Add up what providers cost, by provider and by what became of the attempts."""
    columns = attempts_table.c
    query = (
        select(columns.provider, columns.state, func.count().label("count"), func.sum(columns.spend_micro_usd))
        .group_by(columns.provider, columns.state)
        .order_by(columns.provider, columns.state)
    )
    with control_plane().database.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    if as_json:
        names = ("provider", "state", "attempts", "micro_usd")
        click.echo(json.dumps([dict(zip(names, (*row[:3], int(row[3])), strict=True)) for row in rows]))
        return
    for provider, state, count, total in rows:
        click.echo(f"{provider:<11} {state:<9} {count:>7} attempts {int(total):>12} micro-USD")


def _matching(form: Any, what: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    def check(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not form.fullmatch(value):
            raise click.BadParameter(f"must be {what}")
        return value

    return check


@webhooks.command("add")
@click.option("--account", required=True, callback=_matching(ACCOUNT_ID, "an account"), help="Whose events.")
@click.option("--url", required=True, help="Where they go: https, a public host.")
@_as_json
def add_webhook(account: str, url: str, as_json: bool) -> None:
    """Send an account's events to an address from now on, and show the secret that they are signed with."""
    if not url.startswith("https://") or len(url) > _URL_LENGTH_MAX:
        raise click.BadParameter(f"must begin with https:// and have at most {_URL_LENGTH_MAX} characters")
    made = control_plane().deliveries.subscribe(account, url, new_webhook_secret())
    if as_json:
        click.echo(json.dumps(_describe_subscription(made) | {"secret": made.secret}))
        return
    click.echo(f"{made.subscription_id}\nSecret: {made.secret}")


@webhooks.command("list")
@click.option("--account", callback=_matching(ACCOUNT_ID, "an account"), help="Only this account's.")
@_as_json
def list_webhooks(account: str | None, as_json: bool) -> None:
    """List subscriptions, without their secrets."""
    found = [_describe_subscription(each) for each in control_plane().deliveries.list(account)]
    if as_json:
        click.echo(json.dumps(found))
        return
    for each in found:
        click.echo(f"{each['subscription_id']}  {each['state']:<8}  {each['account_id']}  {each['url']}")


@webhooks.command("disable")
@click.argument("subscription_id", callback=_matching(SUBSCRIPTION_ID, "the id of a subscription"))
@_as_json
def disable_webhook(subscription_id: str, as_json: bool) -> None:
    """Send nothing there any more."""
    if not control_plane().deliveries.disable(subscription_id):
        raise click.ClickException("There is no subscription with this id.")
    shown = json.dumps({"subscription_id": subscription_id, "state": "disabled"})
    click.echo(shown if as_json else f"{subscription_id} is disabled.")


COMMANDS: Final = (sweep, show, give_up, spend, webhooks)


def new_webhook_secret() -> str:
    """A signing secret as Standard Webhooks writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _describe(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "state": attempt.state,
        "reason": attempt.reason,
        "spend_micro_usd": attempt.spend_micro_usd,
        "spend_known": attempt.spend_known,
        "created_at": rfc3339(attempt.created_at),
        "updated_at": rfc3339(attempt.updated_at),
    }


def _describe_subscription(subscription: Subscription) -> dict[str, Any]:
    return {
        "subscription_id": subscription.subscription_id,
        "account_id": subscription.account_id,
        "url": subscription.url,
        "state": "active" if subscription.disabled_at is None else "disabled",
        "created_at": rfc3339(subscription.created_at),
    }
