"""``explain``: what became of a request, or what would become of one, layer by layer and rule by rule."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bsguard.cli.events import stored
from bsguard.cli.raw_request import NotARequest, read_request
from bsguard.cli.source import source_of
from bsguard.core.errors import BsguardError
from bsguard.core.events import as_mapping, printable
from bsguard.core.store_url import StoreURL
from bsguard.standard import guard
from bsguard.testing import run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from bsguard.cli.source import Source

#: A head beside the largest body that is let through.
_HEAD_BYTES_MAX: Final = 1024 * 1024
#: Events that are about the process, or say no more than the last line does.
_ASIDE: Final = frozenset({"server.recognised", "proxy.undeclared", "state.degraded", "request.finished"})
_REFUSED: Final = frozenset({"denied", "challenged"})
_WOULD: Final = frozenset({"would_deny", "would_challenge"})


@click.command()
@click.argument("request_id", required=False)
@click.option(
    "--request",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a raw HTTP request, which is judged afresh.",
)
@click.option(
    "--client", default="127.0.0.1", show_default=True, help="With --request: the address that it comes from."
)
@click.option("--https", is_flag=True, help="With --request: that it came over HTTPS.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def explain(
    context: click.Context, request_id: str | None, path: Path | None, client: str, https: bool, as_json: bool
) -> None:
    """Tell why a request was refused: REQUEST_ID from the stored events, or the one in a file judged afresh.

    A request in a file reaches no application and leaves no trace: no event is stored, nothing is counted, and limits
    count from zero. Exits with 1 if the request is refused, or would be if everything were enforced.
    """
    if (request_id is None) == (path is None):
        raise click.UsageError("give the id of a request, or --request FILE")
    try:
        source = source_of(context)
        if path is not None:
            facts = _judged(source, path, client, https=https)
        else:
            found = stored(source, lambda store: store.of_request(str(request_id)))
            if not found:
                raise click.ClickException("no event of this request is stored")
            facts = _told(found)
    except BsguardError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show(facts)
    context.exit(0 if facts["outcome"] == "passed" else 1)


def _judged(source: Source, path: Path, client: str, *, https: bool) -> dict[str, Any]:
    """Judge the request in a file by the guard as it is configured, with everything that is stored left alone."""
    settings = dataclasses.replace(source.plan.settings, state_dir=source.state_dir, store=StoreURL("memory"))
    events_off = dataclasses.replace(source.plan.events, stored=False, logged=False)
    plan = dataclasses.replace(source.plan, settings=settings, events=events_off)
    bytes_max = settings.body_bytes_max + _HEAD_BYTES_MAX
    with path.open("rb") as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise click.ClickException(f"{path} is longer than any request that would be read, {bytes_max} bytes")
    try:
        request = read_request(data, client=client, https=https)
    except NotARequest as error:
        raise click.ClickException(f"{path}: {error}") from None
    seen: list[dict[str, object]] = []
    answer = run(guard(_passed, plan, emit=lambda event: seen.append(as_mapping(event))), request)
    return _told(seen) | {"status": answer.status}


def _passed(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application that takes the place of the real one."""
    start_response("200 OK", [])
    return ()


def _told(found: list[dict[str, object]]) -> dict[str, Any]:
    """What the events of one request come to."""
    told = [event for event in found if event["event"] not in _ASIDE]
    decisive = [event for event in told if "code" in event and event["event"] != "rule.matched"]
    refusing = next((event for event in decisive if event.get("action") in _REFUSED), None)
    would = next((event for event in decisive if event.get("action") in _WOULD), None)
    decided = refusing or would or {}
    return {
        "outcome": "refused" if refusing else "would_be_refused" if would else "passed",
        **{key: decided.get(key, "") for key in ("layer", "rule", "code", "reason")},
        "events": told,
    }


def _show(facts: dict[str, Any]) -> None:
    for event in facts["events"]:
        click.echo(_line(event))
    if facts["outcome"] == "passed":
        click.echo("passed: no rule refuses it")
        return
    outcome = "refused" if facts["outcome"] == "refused" else "would be refused"
    status = f" ({facts['status']})" if facts["outcome"] == "refused" and "status" in facts else ""
    click.echo(f"{outcome} by {facts['layer']}: {facts['rule']}, {facts['code']}{status}: {printable(facts['reason'])}")


def _line(event: dict[str, object]) -> str:
    """One event in words: who, what, on what, why."""
    words = [str(event.get("layer", "")).ljust(9), str(event["event"]).ljust(23), str(event.get("rule", ""))]
    if event["event"] == "anomaly.scored":
        words.append(f"score {event['score']} of {event['threshold']} from {_listed(event['rules'])}")
    else:
        if event.get("variables"):
            words.append(f"on {_listed(event['variables'])}")
        if event.get("text"):
            words.append(f"({printable(str(event['text']))})")
        if event.get("score"):
            words.append(f"+{event['score']}")
        words += [printable(str(event[key])) for key in ("reason", "comment") if event.get(key)]
    return "  ".join(words).rstrip()


def _listed(value: object) -> str:
    return ", ".join(printable(str(one)) for one in value) if isinstance(value, (list, tuple)) else str(value)
