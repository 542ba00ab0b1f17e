"""What ``check`` looks at, one function a subject. Each yields results; none changes anything but makes the folder."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

from bsguard.core.errors import StateUnusable
from bsguard.core.networks import parse_address
from bsguard.extension import guard_of
from bsguard.observe.store import EventStore
from bsguard.stores.folder import open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.cli.source import Source
    from bsguard.core.settings import Settings

_DAY_SECONDS: Final = 86_400
_REACHES: Final = {"machine": "all workers of this machine", "machines": "several machines"}
Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Result:
    """One thing checked."""

    level: Level
    subject: str
    message: str
    #: What to do; empty when there is nothing to do.
    remedy: str = ""


def check_all(source: Source, gunicorn_config: Path | None) -> list[Result]:
    """All results, settings first, server last."""
    from bsguard.cli.server import check_server

    settings = source.plan.settings
    used = source.plan.used
    results = [Result("ok", "settings", f"read; layers: {', '.join(used)}")]
    if not used:
        results = [Result("fail", "settings", "BSGUARD_LAYERS is empty: nothing is guarded", "remove the setting")]
    results += _mode(source)
    results += _state(source)
    results += _secrets(settings)
    results += _counters(source)
    results += _proxies(source)
    results += _surfaces(settings)
    results += _exceptions(settings)
    results += check_server(source, gunicorn_config)
    return results


def _mode(source: Source) -> Iterator[Result]:
    settings = source.plan.settings
    if not settings.enabled:
        yield Result("fail", "mode", "BSGUARD_ENABLED is False: nothing is guarded", "remove the setting")
        return
    modes = {name: source.plan.layers[name].mode or settings.mode for name in source.plan.used}
    lax = [f"{name} {mode}" for name, mode in modes.items() if mode != "enforce"]
    if lax:
        remedy = 'set BSGUARD_MODE = "enforce" when `bsguard events list` shows no false alarm'
        yield Result("warn", "mode", f"not enforcing: {', '.join(lax)}", remedy)
    else:
        yield Result("ok", "mode", "all layers enforce")


def _state(source: Source) -> Iterator[Result]:
    try:
        folder = open_folder(source.state_dir)
    except StateUnusable as error:
        lost = "events, run-time exceptions and the shared secret are lost"
        yield Result("fail", "state", f"{error}; {lost}", "set BSGUARD_STATE_DIR to a private, writable folder")
        return
    yield Result("ok", "state", f"{folder} is private and writable")


def _secrets(settings: Settings) -> Iterator[Result]:
    if settings.secret_keys:
        yield Result("ok", "secrets", f"{len(settings.secret_keys)} set")
    else:
        remedy = "set BSGUARD_SECRET_KEYS to the same list on every machine; each secret has 16 characters or more"
        yield Result("warn", "secrets", "none set; one is kept in the state directory of each machine", remedy)


def _counters(source: Source) -> Iterator[Result]:
    counters = source.guard().counters
    if counters is None:
        return
    wanted = source.plan.settings.store
    if wanted.kind == "memory":
        remedy = 'set BSGUARD_STORE to "local", or to a server that all machines share'
        yield Result(
            "warn", "store", "memory: every worker counts for itself, so limits are as many times as high", remedy
        )
    elif counters.reach == "process" or (wanted.kind == "redis" and counters.reach != "machines"):
        remedy = "start it, or name another in BSGUARD_STORE; the log says what is wrong with it"
        yield Result("fail", "store", f"{wanted} cannot be used; counts are kept in {counters.name}", remedy)
    else:
        yield Result("ok", "store", f"{wanted}, shared by {_REACHES[counters.reach]}")


def _proxies(source: Source) -> Iterator[Result]:
    settings = source.plan.settings
    trusted = settings.trusted_proxies
    wide = [text for text in trusted.text if text.endswith("/0")]
    if wide:
        yield Result(
            "fail",
            "proxy",
            f"BSGUARD_TRUSTED_PROXIES has {', '.join(wide)}: every client is believed about its own address",
            "name the networks of your proxies only",
        )
    seen = [event for event in _stored(source, "proxy.undeclared") if _age(event) < _DAY_SECONDS]
    peer = str(seen[0].get("peer", "")) if seen else ""
    if seen and parse_address(peer) not in trusted:
        # Where everything enforces, whatever came that way was refused; somebody may have tried it on.
        lax = any((one.mode or settings.mode) != "enforce" for one in source.plan.layers.values())
        yield Result(
            "fail" if lax else "warn",
            "proxy",
            f"in the last day, requests with forwarding headers came from {peer}, which is not declared",
            "if that is your proxy, name its network in BSGUARD_TRUSTED_PROXIES",
        )
    elif _has_proxy_fix(source) and not trusted:
        yield Result(
            "fail",
            "proxy",
            "ProxyFix is in use, but BSGUARD_TRUSTED_PROXIES is empty",
            "name the proxy's network; ProxyFix believes whoever connects, bsguard does not",
        )
    elif not trusted:
        message = "no proxy declared: HTTPS must end at this server, and callers are known by their connection"
        yield Result("warn", "proxy", message, "if there is a proxy, name its network in BSGUARD_TRUSTED_PROXIES")
    elif not wide:
        yield Result("ok", "proxy", f"trusted: {', '.join(trusted.text)}")


def _surfaces(settings: Settings) -> Iterator[Result]:
    declared = settings.surfaces.declared
    if not declared:
        message = "none declared: API-only rules (JSON-only bodies, path prefixes) apply nowhere"
        yield Result("warn", "surfaces", message, "declare the API's hosts and prefixes in BSGUARD_SURFACES")
        return
    yield Result("ok", "surfaces", ", ".join(f"{surface.name} ({surface.kind})" for surface in declared))
    for surface in declared:
        if surface.kind == "api" and surface.prefixes == ("/",) and len(declared) > 1:
            message = f"{surface.name} claims every path, so it is told from the others by Host alone"
            yield Result("warn", "surfaces", message, 'give it prefixes such as ["/v1"]')


def _exceptions(settings: Settings) -> Iterator[Result]:
    over = [one for one in settings.exceptions if one.expires is not None and one.expires < time.time()]
    if over:
        names = ", ".join(one.rule or one.tag for one in over)
        yield Result("warn", "exceptions", f"expired: {names}", "remove them from BSGUARD_EXCEPTIONS")


def _age(event: dict[str, object]) -> float:
    return time.time() - float(str(event["time"]))


def _stored(source: Source, name: str) -> list[dict[str, object]]:
    path = source.state_dir / "events.sqlite"
    if not path.exists():
        return []
    store = EventStore(path, rows_max=source.plan.events.rows_max)
    try:
        return store.named(name, limit=1)
    except sqlite3.Error:
        return []
    finally:
        store.close()


def _has_proxy_fix(source: Source) -> bool:
    """Whether Werkzeug's ProxyFix stands anywhere around or inside the guard."""
    if source.flask is None:
        return False
    within: Any = guard_of(source.flask).app
    while hasattr(within, "driver"):
        within = within.driver.app
    return any(type(app).__name__ == "ProxyFix" for start in (source.flask.wsgi_app, within) for app in _chain(start))


def _chain(app: Any) -> Iterator[Any]:
    """*app* and what it wraps, as Werkzeug's middlewares do: under the name ``app``."""
    while app is not None:
        yield app
        app = getattr(app, "app", None)


def recognised_server(source: Source) -> dict[str, object] | None:
    """The server that last served this application, as it was recognised then; None before the first request."""
    return next(iter(_stored(source, "server.recognised")), None)


def version_of(package: str) -> tuple[int, ...]:
    """The installed version as numbers; empty when it is not installed."""
    try:
        text = metadata.version(package)
    except metadata.PackageNotFoundError:
        return ()
    return tuple(int(part) for part in text.split(".") if part.isdigit())
