"""``flask --app sample_app control-plane …``: what an operator does besides serving.

Keys are made here and not over HTTP, so that no key can make another one. What has to do with generations is in
``cli_operations``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click
from flask.cli import AppGroup

from sample_app import cli_operations
from sample_app.api_keys import (
    ACCOUNT_ID,
    API_SCOPES,
    KEY_ID,
    LABEL_LENGTH_MAX,
    PLAYGROUND_KEY_MS,
    ApiKey,
    IssuedKey,
    Scope,
)
from sample_app.clock import DAY_MS, SECOND_MS, rfc3339
from sample_app.demo import seed_demo
from sample_app.services import control_plane

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

# Ten years. A key that should live longer than that should not expire.
EXPIRES_DAYS_MAX: Final = 3_650
OVERLAP_SECONDS_MAX: Final = 7 * 24 * 60 * 60

group = AppGroup("control-plane", help="Manage the sample control plane.")
keys = AppGroup("keys", help="Make, list, revoke and rotate API keys.")
group.add_command(keys)
for command in cli_operations.COMMANDS:
    group.add_command(command)

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def _matching(pattern: re.Pattern[str]) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A callback that takes text of one form; anything else is a usage error that says the form."""

    def check(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not pattern.fullmatch(value):
            raise click.BadParameter(f"must have the form {pattern.pattern}")
        return value

    return check


_account = _matching(ACCOUNT_ID)
_key_id = _matching(KEY_ID)


@keys.command("create")
@click.option("--account", required=True, callback=_account, help="The account that the key acts for.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=click.Choice([scope.value for scope in API_SCOPES]),
    help="What the key may do; give it once for each.",
)
@click.option("--label", default="", help="A note for people.")
@click.option("--expires-days", type=click.IntRange(1, EXPIRES_DAYS_MAX), help="Stop the key after so many days.")
@_as_json
def create(account: str, scopes: tuple[str, ...], label: str, expires_days: int | None, as_json: bool) -> None:
    """Make an API key and show its secret, once."""
    if len(label) > LABEL_LENGTH_MAX or not label.isprintable():
        raise click.BadParameter(f"must be at most {LABEL_LENGTH_MAX} printable characters", param_hint="--label")
    parts = control_plane()
    expires_at = None if expires_days is None else parts.clock() + expires_days * DAY_MS
    issued = parts.keys.create(account, [Scope(scope) for scope in scopes], label=label, expires_at=expires_at)
    _show_issued(issued, as_json=as_json)


@keys.command("list")
@click.option("--account", callback=_account, help="Only this account's keys.")
@_as_json
def list_keys(account: str | None, as_json: bool) -> None:
    """List API keys, without their secrets."""
    parts = control_plane()
    found = [_describe(key, parts.clock()) for key in parts.keys.list(account)]
    if as_json:
        click.echo(json.dumps(found))
        return
    if not found:
        click.echo("There are no keys.")
    for key in found:
        expires = key["expires_at"] or "never"
        click.echo(
            f"{key['key_id']}  {key['state']:<7}  {key['account_id']}  {','.join(key['scopes'])}  "
            f"expires {expires}  {key['label']}".rstrip()
        )


@keys.command("revoke")
@click.argument("key_id", callback=_key_id)
@_as_json
def revoke(key_id: str, as_json: bool) -> None:
    """Stop a key at once and for good."""
    parts = control_plane()
    if not parts.keys.revoke(key_id):
        raise click.ClickException("There is no key with this id.")
    click.echo(json.dumps({"key_id": key_id, "state": "revoked"}) if as_json else f"{key_id} is revoked.")


@keys.command("rotate")
@click.argument("key_id", callback=_key_id)
@click.option(
    "--overlap-seconds",
    default=0,
    type=click.IntRange(0, OVERLAP_SECONDS_MAX),
    show_default=True,
    help="Keep the old key working for so long.",
)
@_as_json
def rotate(key_id: str, overlap_seconds: int, as_json: bool) -> None:
    """Replace a key by a new one with the same account, scopes and expiry."""
    issued = control_plane().keys.rotate(key_id, overlap_ms=overlap_seconds * SECOND_MS)
    if issued is None:
        raise click.ClickException("There is no working key with this id.")
    _show_issued(issued, as_json=as_json)


@keys.command("playground")
@click.option("--account", required=True, callback=_account, help="The account that the key acts for.")
@_as_json
def playground(account: str, as_json: bool) -> None:
    """Make a key that opens the playground for a quarter of an hour, and nothing else."""
    parts = control_plane()
    expires_at = parts.clock() + PLAYGROUND_KEY_MS
    issued = parts.keys.create(account, [Scope.PLAYGROUND], label="playground", expires_at=expires_at)
    _show_issued(issued, as_json=as_json)


@keys.command("session")
@click.option("--account", required=True, callback=_account, help="The account that has signed in.")
@_as_json
def session(account: str, as_json: bool) -> None:
    """Make a dashboard session: what a dashboard does when it has signed somebody in."""
    made = control_plane().signing.session(account)
    if as_json:
        click.echo(json.dumps({"dashboard_session": made.cookie, "X-CSRF-Token": made.token}))
        return
    click.echo(f"Cookie:       dashboard_session={made.cookie}")
    click.echo(f"X-CSRF-Token: {made.token}")


@group.command("seed-demo")
@_as_json
def demo(as_json: bool) -> None:
    """Fill the demo account and give it a new key; the one before stops working."""
    _show_issued(seed_demo(control_plane()), as_json=as_json)


def _show_issued(issued: IssuedKey, *, as_json: bool) -> None:
    described = _describe(issued.key, issued.key.created_at)
    if as_json:
        click.echo(json.dumps({"key": issued.token} | described))
        return
    click.echo(f"Key:     {issued.token}")
    click.echo(f"Account: {issued.key.account_id}")
    click.echo(f"Scopes:  {', '.join(described['scopes'])}")
    click.echo(f"Expires: {described['expires_at'] or 'never'}")
    click.echo("This is the only time that the key is shown.", err=True)


def _describe(key: ApiKey, now: int) -> dict[str, Any]:
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        state = "expired"
    else:
        state = "active"
    return {
        "key_id": key.key_id,
        "account_id": key.account_id,
        "label": key.label,
        "scopes": sorted(key.scopes),
        "state": state,
        "created_at": rfc3339(key.created_at),
        "expires_at": None if key.expires_at is None else rfc3339(key.expires_at),
        "revoked_at": None if key.revoked_at is None else rfc3339(key.revoked_at),
    }
