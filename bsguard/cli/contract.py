"""``contract``: the operations that are enforced, and what to do with documents."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bsguard.cli.source import source_of
from bsguard.core.driver import Driver
from bsguard.core.errors import ConfigError
from bsguard.observe.store import EventStore

if TYPE_CHECKING:
    from bsguard.cli.source import Source
    from bsguard.contract.operations import Compiled

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
#: Stored events that are looked through.
_EVENTS_MAX: Final = 100_000
#: Documents that take longer than this get their progress shown.
_PROGRESS_EVERY_SECONDS: Final = 0.2


class Failed(click.ClickException):
    """The command could not do its work; unlike an exit code of 1, which is the command's answer."""

    exit_code = 2


@click.group()
def contract() -> None:
    """Look after the OpenAPI contract."""


@contract.command("operations")
@_as_json
@click.pass_context
def operations(context: click.Context, as_json: bool) -> None:
    """Every operation at every server: its action, the engine that judges it, and the violations that are stored.

    At the further hosts of the settings, only where there were any.
    """
    from bsguard.contract.assembly import Assembly

    source = _source(context)
    try:
        assembly = Assembly(_config(source), None)
    except ConfigError as error:
        raise Failed(str(error)) from None
    counts = _counts(source)
    served, further = list(assembly.served()), assembly.served(further=True)
    further = (one for one in further if any(counts[one.operation.id, one.host, what] for what in ("denied", "other")))
    rows = [
        {
            "operation": one.operation.id,
            "action": one.action,
            "method": one.operation.method,
            "host": one.host or "*",
            "path": one.path,
            "engine": "reference" if one.operation.reference else "plan",
            "notes": list(one.operation.notes),
            "refused": counts[one.operation.id, one.host, "denied"],
            "reported": counts[one.operation.id, one.host, "other"],
        }
        for one in [*served, *further]
    ]
    for row in rows:
        line = "{action:<5}  {method:<7} {host}{path}  ({operation}; {engine}; {refused} refused, {reported} reported)"
        _print(row, as_json, line.format(**row))
    if not as_json:
        click.echo(f"{len(served)} operations")


@contract.command("check")
@click.argument("files", nargs=-1, required=True, type=_file)
@_as_json
@click.pass_context
def check(context: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Hold documents against the specification, and compile them. Exits with 1 if one has problems."""
    from bsguard.contract.assembly import told_at_start
    from bsguard.contract.check import check as check_document
    from bsguard.contract.compiler import compile_document
    from bsguard.contract.load import DocumentError, load

    broken = False
    for path in files:
        problems, warnings, compiled = [], [], None
        try:
            _progress(f"{path}: reading")
            document = load(path)
            _progress(f"{path}: holding it against the specification")
            problems = check_document(document)
            compiled = compile_document(document, progress=_Progress(path))
            warnings = list(told_at_start(compiled))
        except DocumentError as error:
            known = {one.pointer for one in problems}
            problems += [one for one in error.problems if one.pointer not in known]
        _progress("")
        broken = broken or bool(problems)
        for problem in problems:
            _print({"kind": "problem", **dataclasses.asdict(problem)}, as_json, f"fail  {problem}")
        for warning in warnings:
            _print({"kind": "warning", "message": warning}, as_json, f"warn  {warning}")
        if compiled is not None:
            told = {"kind": "compiled", "file": str(path), "operations": len(compiled.operations)}
            told["servers"] = len({(mount.host, mount.prefix) for mount in compiled.mounts})
            counts = f"{told['operations']} operations at {told['servers']} servers"
            all_the_same = f"warn  {path}: can be enforced all the same, with BSGUARD_CONTRACT_STRICT = False: {counts}"
            _print(told, as_json, all_the_same if problems else f"ok    {path}: {counts}")
    context.exit(1 if broken else 0)


@contract.command("explain")
@click.argument("request_file", metavar="REQUEST", type=click.File("rb"))
@_as_json
@click.pass_context
def explain(context: click.Context, request_file: Any, as_json: bool) -> None:
    """Judge a request, a file as it would stand on the wire (- for standard input). Exits with 1 if it is refused."""
    from bsguard.contract import Contract
    from bsguard.core.request import Request
    from bsguard.core.settings import Settings

    source = _source(context)
    told: list[Any] = []
    try:
        layer = Contract(_nothing, _config(source), mode="enforce", settings=_plain(source), emit=told.append)
        environ = _environ(request_file.read())
    except ConfigError as error:
        raise Failed(str(error)) from None
    except ValueError as error:
        raise Failed(f"that is no request: {error}") from None
    request, _ = Request.of(environ, layer.settings or Settings())
    place = layer.assembly.place(request)
    where = {
        "operation": place.operation.id if place.operation else None,
        "route": place.entry.template if place.entry else None,
        "action": place.action,
        "falls": place.problem or "on an operation",
    }
    _print(where, as_json, " ".join(f"{key}={value}" for key, value in where.items()))
    denial = Driver.around(layer, _nothing, None).judge(request)
    for event in told:
        if hasattr(event, "code"):
            facts = {"rule": event.rule, "code": event.code, "reason": event.reason, "action": event.action}
            _print(facts, as_json, f"{event.action:<10} {event.rule}: {event.reason} ({event.code})")
    verdict = "refused" if denial is not None else "passes"
    details = [dict(detail) for detail in denial.details] if denial is not None else []
    _print({"verdict": verdict, "details": details}, as_json, verdict)
    request.close()
    context.exit(0 if denial is None else 1)


@contract.command("learn")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file to write; else it is printed.")
@_as_json
@click.pass_context
def learn(context: click.Context, output: Path | None, as_json: bool) -> None:
    """Make a document of observed requests, as YAML. Needs BSGUARD_CONTRACT_LEARN; exits with 1 if nothing was seen."""
    import yaml

    from bsguard.contract.learn import learned_document

    observed = _stored(_source(context), "endpoint.observed")
    if not observed:
        click.echo("nothing was observed: set BSGUARD_CONTRACT_LEARN, and send requests that succeed", err=True)
        context.exit(1)
    document = learned_document(observed)
    text = json.dumps(document) if as_json else yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{output}: {len(document['paths'])} paths from {len(observed)} shapes of requests")


@contract.command("diff")
@click.argument("old", type=_file)
@click.argument("new", type=_file)
@_as_json
@click.pass_context
def diff(context: click.Context, old: Path, new: Path, as_json: bool) -> None:
    """What a new document would refuse that the old one lets pass. Exits with 1 if there is anything."""
    from bsguard.contract.diff import newly_refused

    changes = newly_refused(_compile(old), _compile(new))
    for change in changes:
        _print(dataclasses.asdict(change), as_json, str(change))
    if not changes and not as_json:
        click.echo("nothing is newly refused")
    context.exit(1 if changes else 0)


def _compile(path: Path) -> Compiled:
    from bsguard.contract.compiler import compile_document
    from bsguard.contract.load import DocumentError, load

    try:
        return compile_document(load(path))
    except DocumentError as error:
        raise Failed(str(error)) from None


def _source(context: click.Context) -> Source:
    try:
        return source_of(context)
    except ConfigError as error:
        raise Failed(str(error)) from None


def _config(source: Source) -> Any:
    config: Any = source.plan.layers["contract"]
    if not config.documents:
        raise Failed("no document is named; set BSGUARD_CONTRACT_DOCUMENTS")
    return config


def _plain(source: Source) -> Any:
    """The global settings without a state directory: explaining writes nothing."""
    return dataclasses.replace(source.plan.settings, state_dir=None)


def _stored(source: Source, name: str) -> list[dict[str, object]]:
    path = source.state_dir / "events.sqlite"
    if not path.exists():
        return []
    store = EventStore(path, rows_max=source.plan.events.rows_max)
    try:
        return store.named(name, _EVENTS_MAX)
    except sqlite3.Error as error:
        raise Failed(f"{path}: {error}") from None
    finally:
        store.close()


def _counts(source: Source) -> Counter[tuple[str, str, str]]:
    """Stored violations by operation, host, and whether they were refused."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for event in _stored(source, "operation.violated"):
        what = "denied" if event["action"] == "denied" else "other"
        counts[str(event["operation"]), str(event["host"]), what] += 1
    return counts


def _nothing(_environ: Any, _start_response: Any) -> list[bytes]:
    return []


def _environ(raw: bytes) -> Any:
    """The environ of a request as it stands on the wire; ValueError if it is none."""
    from bsguard.testing import environ

    head, _, body = raw.partition(b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n")
    lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = lines[0].split(" ")
    if len(words) < 2 or not words[1].startswith("/"):
        raise ValueError('wanted a first line such as "GET /v1/models HTTP/1.1"')
    headers = {}
    for line in filter(None, lines[1:]):
        name, mark, value = line.partition(":")
        if not mark:
            raise ValueError("a header line has no colon")
        headers[name.strip()] = value.strip()
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    return environ(words[0], words[1], headers=headers, body=body)


class _Progress:
    """Shows how many operations are compiled, if that takes long enough to be asked about."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = time.monotonic()

    def __call__(self, done: int, count: int) -> None:
        now = time.monotonic()
        if now - self._last > _PROGRESS_EVERY_SECONDS:
            self._last = now
            _progress(f"{self._path}: {done} of {count} operations compiled")


def _progress(text: str) -> None:
    """One line on a terminal that is written over; nothing elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def _print(told: dict[str, Any], as_json: bool, text: str) -> None:
    click.echo(json.dumps(told) if as_json else text)
