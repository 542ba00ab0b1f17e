"""``events``: what the guard did, newest last, and all of one request."""

from __future__ import annotations

import datetime
import json
import sqlite3
from typing import TYPE_CHECKING

import click

from bsguard.cli.source import source_of
from bsguard.core.errors import ConfigError
from bsguard.core.events import printable
from bsguard.observe.store import EventStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.cli.source import Source


@click.group()
def events() -> None:
    """Read the stored events."""


@events.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many, at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
@click.pass_context
def list_events(context: click.Context, limit: int, as_json: bool) -> None:
    """The newest events, oldest of them first."""
    _show(context, lambda store: store.recent(limit)[::-1], as_json)


@events.command("show")
@click.argument("request_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
@click.pass_context
def show_events(context: click.Context, request_id: str, as_json: bool) -> None:
    """All events of one request, by the id that its answer carried. Exits with 1 if there are none."""
    _show(context, lambda store: store.of_request(request_id), as_json)


def _show(context: click.Context, read: Callable[[EventStore], list[dict[str, object]]], as_json: bool) -> None:
    try:
        found = stored(source_of(context), read)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    for event in found:
        click.echo(json.dumps(event) if as_json else line(event))
    context.exit(0 if found else 1)


def stored(source: Source, read: Callable[[EventStore], list[dict[str, object]]]) -> list[dict[str, object]]:
    """What *read* finds among the stored events."""
    path = source.state_dir / "events.sqlite"
    if not path.exists():
        raise click.ClickException(f"no events are stored yet: {path} does not exist")
    store = EventStore(path, rows_max=source.plan.events.rows_max)
    try:
        return read(store)
    except sqlite3.Error as error:
        raise click.ClickException(f"{path}: {error}") from None
    finally:
        store.close()


def line(event: dict[str, object]) -> str:
    """One event in words."""
    moment = datetime.datetime.fromtimestamp(float(str(event["time"])), datetime.UTC)
    words = [f"{moment:%Y-%m-%d %H:%M:%S}", str(event["event"])]
    words += [
        f"{key}={printable(str(value))}" for key, value in event.items() if key not in ("time", "event", "id") and value
    ]
    return "  ".join(words)
