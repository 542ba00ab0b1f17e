"""``billing``: the ledger's tables, balances and books."""

from __future__ import annotations

import dataclasses
import datetime
import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from flask.cli import ScriptInfo

from bsguard.cli.source import ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from sqlalchemy import Engine

    from bsguard.billing import Ledger

#: Rounds of one sweep, each of up to a thousand holds and grants. What is left is for the next one.
_ROUNDS_MAX: Final = 1_000

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
_account = click.argument("account")


class Failed(click.ClickException):
    """The command could not do its work; unlike an exit code of 1, which is the command's answer."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Database:
    """What ``--database`` says."""

    url: str | None


@click.group()
@click.option(
    "--database",
    envvar="BILLING_DATABASE",
    metavar="URL",
    help="SQLAlchemy URL of the ledger's database. Default: what the Flask application uses.",
)
@click.pass_context
def billing(context: click.Context, database: str | None) -> None:
    """Look after the credits ledger."""
    context.obj = _Chained(context.obj, Database(database))


@dataclass(frozen=True, slots=True)
class _Chained:
    """The object of the group above, and ours."""

    above: Any
    database: Database


@billing.command("init")
@_as_json
@click.pass_context
def init(context: click.Context, as_json: bool) -> None:
    """Make the tables, or bring them up to date. Safe to repeat, and to run in several places at once."""
    from bsguard.billing.install import WANTED, create_schema

    with _engine(context) as engine:
        try:
            from bsguard.billing.migrations import upgrade

            upgrade(engine)
        except ImportError:
            # Without Alembic there is nothing to migrate with, but an empty database needs no migration.
            create_schema(engine)
    _print({"version": WANTED}, as_json, f"the tables are of version {WANTED}")


@billing.command("balance")
@_account
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="A moment in the past, UTC.")
@_as_json
@click.pass_context
def balance(context: click.Context, account: str, as_of: datetime.datetime | None, as_json: bool) -> None:
    """What an account has."""
    moment = None if as_of is None else as_of.replace(tzinfo=datetime.UTC)
    with _ledger(context) as ledger:
        found = ledger.balance(account, as_of=moment)
    told = dataclasses.asdict(found) | {"spendable": found.spendable}
    _print(told, as_json, f"{account}: {found.available} available, {found.reserved} reserved, floor {found.floor}")


# A negative amount is an amount, and the ledger says what is wrong with it; click would take it for an option.
@billing.command("topup", context_settings={"ignore_unknown_options": True})
@_account
@click.argument("amount", type=int)
@click.option("--key", help="Makes it safe to repeat: the same key counts once. Use the payment's id.")
@_as_json
@click.pass_context
def topup(context: click.Context, account: str, amount: int, key: str | None, as_json: bool) -> None:
    """Add bought credits; opens a missing account."""
    with _ledger(context) as ledger:
        done = ledger.topup(account, amount, key=key)
    again = " (was done before)" if done.replayed else ""
    _print(dataclasses.asdict(done), as_json, f"{account}: {amount} added{again}, then {done.available} available")


@billing.command("history")
@_account
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000), help="Entries, at most.")
@click.option("--cursor", help="The cursor of the page before.")
@_as_json
@click.pass_context
def history(context: click.Context, account: str, limit: int, cursor: str | None, as_json: bool) -> None:
    """What happened to an account, newest first."""
    with _ledger(context) as ledger:
        page = ledger.history(account, cursor=cursor, limit=limit)
    for entry in page.entries:
        what = entry.generation or entry.key or ""
        line = f"{entry.seq:>6}  {entry.written_at:%Y-%m-%d %H:%M:%S}  {entry.type:<8} {entry.amount:>12}"
        _print(
            dataclasses.asdict(entry), as_json, f"{line}  {entry.available:>12} {entry.reserved:>10}  {what}".rstrip()
        )
    if page.cursor is not None:
        _print({"cursor": page.cursor}, as_json, f"older entries: --cursor {page.cursor}")


@billing.command("audit")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Findings of one check.")
@_as_json
@click.pass_context
def audit(context: click.Context, limit: int, as_json: bool) -> None:
    """Prove every invariant of the books. Exits with 1 and the offending ids if one is broken."""
    with _ledger(context) as ledger:
        findings = ledger.audit(limit=limit)
    for finding in findings:
        _print(dataclasses.asdict(finding), as_json, f"{finding.check:<12} {finding.id}  {finding.detail}")
    if not findings:
        _print({"findings": 0}, as_json, "the books are right")
    context.exit(1 if findings else 0)


@billing.command("sweep")
@_as_json
@click.pass_context
def sweep(context: click.Context, as_json: bool) -> None:
    """Release holds and take back grants whose time is over. For cron; several at once do no harm."""
    total = dict.fromkeys(("holds", "released", "grants", "unburned"), 0)
    with _ledger(context) as ledger:
        for _ in range(_ROUNDS_MAX):
            done = ledger.expire()
            total = {name: total[name] + getattr(done, name) for name in total}
            if not done.more:
                break
    text = "{holds} holds released ({released} credits), {grants} grants ended ({unburned} credits)"
    _print(total, as_json, text.format(**total))


def _print(told: dict[str, Any], as_json: bool, text: str) -> None:
    click.echo(json.dumps(told, default=lambda value: value.isoformat()) if as_json else text)


@contextmanager
def _ledger(context: click.Context) -> Iterator[Ledger]:
    from bsguard.billing import Ledger

    with _engine(context) as engine:
        yield Ledger(engine)


@contextmanager
def _engine(context: click.Context) -> Iterator[Engine]:
    """The database, with every error on the way told in a line."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    from bsguard.billing import BillingError

    chained = context.find_object(_Chained)
    url: Any = chained.database.url if chained is not None else None
    try:
        with ExitStack() as stack:
            if url is None:
                app = _app(context, chained.above if chained is not None else None)
                stack.enter_context(app.app_context())
                url = _database_of(app)
            if isinstance(url, str):
                # Ours, so ours to close; the application's own engine stays as it is.
                url = create_engine(url)
                stack.callback(url.dispose)
            yield url
    except (BillingError, SQLAlchemyError) as error:
        raise Failed(str(error).partition("\n")[0]) from None
    except ImportError as error:
        raise Failed(f"a module is missing: {error.name}") from None


def _app(context: click.Context, above: object) -> Flask:
    if isinstance(above, ConfigFile):
        raise Failed("which database? Name it with --database or BILLING_DATABASE")
    info = above if isinstance(above, ScriptInfo) else context.ensure_object(ScriptInfo)
    return info.load_app()


def _database_of(app: Flask) -> Any:
    """The engine that the application registered, Flask-SQLAlchemy's, or the URL in its settings."""
    registered = app.extensions.get("bsguard_billing")
    found = registered or getattr(app.extensions.get("sqlalchemy"), "engine", None)
    found = found or app.config.get("SQLALCHEMY_DATABASE_URI")
    if found is None:
        remedy = 'name it with --database, or set app.extensions["bsguard_billing"] to its engine'
        raise Failed(f"the application names no database; {remedy}")
    return found
