"""The standard stack from one mapping: ``guard(app, {...})``. The Flask extension calls it; Flask is not needed.

The order of layers is fixed here: cheap and certain checks first, and what strips identities last, next to the
application.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import logging
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.config import CONTRADICTION, UNREADABLE, WRONG_VALUE, nearest, read_settings, settings_of, unknown_key
from bsguard.core.errors import ConfigError, Problem, StateUnusable
from bsguard.core.events import FanOut, StateDegraded, log_event
from bsguard.core.overrides import NO_OVERRIDES
from bsguard.core.rules import RULES as CORE_RULES
from bsguard.core.settings import DEFAULT_STATE_DIR as DEFAULT_STATE_DIR
from bsguard.core.settings import Settings
from bsguard.core.stack import stack
from bsguard.observe.config import EventsConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from bsguard.core.clock import Clock
    from bsguard.core.events import Emit
    from bsguard.core.layer import Layer, LayerConfig
    from bsguard.core.overrides import Overrides
    from bsguard.observe.store import EventStore
    from bsguard.stores.port import Store

_log = logging.getLogger("bsguard")

#: The layers in their standard order, outermost first. Imported when they are used.
LAYERS: Final[dict[str, str]] = {
    "protocol": "bsguard.protocol:Protocol",
    "waf": "bsguard.waf:Waf",
    "limiter": "bsguard.limiter:Limiter",
    "managed": "bsguard.managed:Managed",
    "contract": "bsguard.contract:Contract",
    "session": "bsguard.session:Session",
    "tenant": "bsguard.tenant:Tenant",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of a whole guard, read and checked."""

    settings: Settings
    layers: dict[str, LayerConfig]
    events: EventsConfig

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the layers in use, in standard order; those that have nothing to do are left out."""
        chosen = self.settings.layers
        names = (name for name in LAYERS if chosen is None or name in chosen)
        return tuple(name for name in names if not self.layers[name].idle)


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """A guarded application and what belongs to it. Calling it serves a request."""

    plan: Plan
    app: WSGIApplication
    #: None when events are not stored.
    store: EventStore | None
    overrides: Overrides
    #: Where counters and bans are kept; None when no layer in use counts.
    counters: Store | None
    #: The settings with what was found for those left out, such as the secret.
    settings: Settings
    #: What could not be had at start, and what is lost by that.
    degraded: tuple[StateDegraded, ...]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request as WSGI."""
        return self.app(environ, start_response)


def layer_class(name: str) -> type[Layer[Any]]:
    """The class of a layer by its name."""
    module, _, attribute = LAYERS[name].partition(":")
    found: type[Layer[Any]] = getattr(import_module(module), attribute)
    return found


def read_plan(values: Mapping[str, object], *, prefix: str = "") -> Plan:
    """Read all settings of a guard; raises :class:`~bsguard.core.errors.ConfigError` with every problem.

    *values* has keys such as ``MODE`` and ``PROTOCOL_METHODS``; *prefix* is what stands before them in the operator's
    own spelling, for the messages.
    """
    problems: list[Problem] = []
    groups: dict[str, type[Any]] = {name: layer_class(name).config_class for name in LAYERS} | {"events": EventsConfig}
    known = [*settings_of(Settings)]
    known += [f"{group.upper()}_{key}" for group, cls in groups.items() for key in settings_of(cls)]
    parts: dict[str, dict[str, object]] = {group: {} for group in ("", *groups)}
    for key, value in values.items():
        group = next((name for name in groups if str(key).startswith(f"{name.upper()}_")), "")
        if key in known:
            parts[group][key[len(group) + 1 :] if group else key] = value
        else:
            problems.append(unknown_key(str(key), known, prefix))
    settings = read_settings(Settings, parts[""], problems, prefix=prefix)
    configs = {
        group: read_settings(cls, parts[group], problems, prefix=f"{prefix}{group.upper()}_")
        for group, cls in groups.items()
    }
    events = configs.pop("events")
    configs = {group: config.settled(settings) for group, config in configs.items()}
    problems += _contradictions(settings, prefix)
    problems += _idle_rule_modes(settings, configs, prefix)
    problems += exception_problems(settings, configs, prefix)
    for group, config in configs.items():
        problems += config.problems(settings, f"{prefix}{group.upper()}_")
    if problems:
        raise ConfigError(problems)
    return Plan(settings, configs, events)


def guard(
    app: WSGIApplication,
    config: Mapping[str, object] | Plan | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
    emit: Emit | None = None,
) -> Guard:
    """Put the standard stack in front of *app*.

    *config* has the keys of the Flask config without ``BSGUARD_``. *emit*, if given, is called with every event,
    besides the logger and the event store. Raises :class:`~bsguard.core.errors.ConfigError` with all problems at
    once. An unusable state directory is no error: what is lost is said once, and the guard works without it.
    """
    plan = config if isinstance(config, Plan) else read_plan(config or {})
    settings = plan.settings
    if not settings.enabled:
        return Guard(plan, app, None, NO_OVERRIDES, None, settings, ())
    degraded: list[StateDegraded] = []
    folder = _state_folder(settings.state_dir or DEFAULT_STATE_DIR, clock, degraded)
    settings = dataclasses.replace(settings, state_dir=folder)  # what layers may keep, they keep there
    store = _event_store(folder, plan.events)
    overrides = _overrides(folder, clock)
    sinks = [sink for sink in (log_event if plan.events.logged else None, store, emit) if sink is not None]
    announce = FanOut(sinks)
    secret = settings.secret_keys or (_secret(folder, clock, degraded),)
    counters = None
    if any(layer_class(name).uses_store for name in plan.used):
        counters, secret = _counters(settings, secret[0], folder, clock, announce)
    settings = dataclasses.replace(settings, secret_keys=secret)
    for event in degraded:
        announce(event)
    common: dict[str, Any] = {"settings": settings, "clock": clock, "emit": announce, "overrides": overrides}
    made = stack(app, *(_maker(name, plan, counters, common) for name in plan.used))
    monitoring = [name for name in plan.used if (plan.layers[name].mode or settings.mode) == "monitor"]
    if monitoring:
        _log.warning(
            "bsguard monitors in %s: it reports what it would refuse there and refuses nothing. "
            'Set BSGUARD_MODE = "enforce" when the events show no false alarm.',
            ", ".join(monitoring),
        )
    return Guard(plan, made, store, overrides, counters, settings, tuple(degraded))


def _maker(
    name: str, plan: Plan, counters: Store | None, common: dict[str, Any]
) -> Callable[[WSGIApplication], WSGIApplication]:
    config = plan.layers[name]
    mode = config.mode or plan.settings.mode
    cls = layer_class(name)
    own: dict[str, Any] = {"store": counters} if cls.uses_store else {}
    return lambda app: cls(app, config, mode=mode, **own, **common)


def _counters(
    settings: Settings, secret: str, folder: Path | None, clock: Clock, announce: Emit
) -> tuple[Store, tuple[str, ...]]:
    from bsguard.stores.opening import open_counters

    try:
        return open_counters(settings, secret, folder, clock, announce)
    except StateUnusable as error:
        raise ConfigError([Problem(UNREADABLE, "BSGUARD_STORE", str(error))]) from None


def _contradictions(settings: Settings, prefix: str) -> list[Problem]:
    """Settings that are each fine and together are not."""
    problems: list[Problem] = []
    for name in settings.layers or ():
        if name not in LAYERS:
            close = nearest(name, LAYERS)
            remedy = f"did you mean {close}?" if close else f"there are: {', '.join(LAYERS)}"
            problems.append(Problem(WRONG_VALUE, f"{prefix}LAYERS", f"wanted names of layers; {remedy}"))
    if settings.layers == ():
        message = "names no layer, so nothing would be guarded; leave it out for all, or set ENABLED to False"
        problems.append(Problem(CONTRADICTION, f"{prefix}LAYERS", message))
    if settings.inspect_bytes_max > settings.body_bytes_max:
        message = f"must not be larger than {prefix}BODY_BYTES_MAX; lower the one or raise the other"
        problems.append(Problem(CONTRADICTION, f"{prefix}INSPECT_BYTES_MAX", message))
    if settings.cors_credentials and "*" in settings.cors_origins:
        message = 'credentials and the origin "*" exclude each other; name the origins'
        problems.append(Problem(CONTRADICTION, f"{prefix}CORS_CREDENTIALS", message))
    return problems


def _idle_rule_modes(settings: Settings, layers: Mapping[str, LayerConfig], prefix: str) -> list[Problem]:
    """Rules that are to be stricter than their layer: monitoring must never block, so they would not act."""
    problems: list[Problem] = []
    for name, config in layers.items():
        mode = config.mode or settings.mode
        strict = [rule for rule, own in getattr(config, "rule_modes", ()) if own == "enforce" and mode != "enforce"]
        if strict:
            message = f"{strict[0]} cannot enforce while its layer does not; set {prefix}{name.upper()}_MODE"
            problems.append(Problem(CONTRADICTION, f"{prefix}{name.upper()}_RULE_MODES", message))
    return problems


def exception_problems(settings: Settings, layers: Mapping[str, LayerConfig], prefix: str) -> list[Problem]:
    """Exceptions to rules that nobody has, and of parameters where no rule looks at any: they would except nothing."""
    rules = [*CORE_RULES, *(rule for name in LAYERS for rule in layer_class(name).rules)]
    rules += [rule for config in layers.values() for rule in config.rule_ids(settings)]
    problems: list[Problem] = []
    for exemption in settings.exceptions:
        if exemption.rule and not fnmatch.filter(rules, exemption.rule):
            close = nearest(exemption.rule, [rule for rule in rules if not rule.endswith("*")])
            remedy = f"did you mean {close}?" if close else "see docs/reference/rules.md"
            problems.append(Problem(WRONG_VALUE, f"{prefix}EXCEPTIONS", f"names a rule that does not exist; {remedy}"))
        layer = exemption.rule.partition(".")[0]
        if exemption.parameter is not None and layer in LAYERS and not layer_class(layer).knows_parameters:
            message = f"names a parameter, and the rules of {layer} know none; leave it out"
            problems.append(Problem(CONTRADICTION, f"{prefix}EXCEPTIONS", message))
    return problems


def _state_folder(path: Path, clock: Clock, degraded: list[StateDegraded]) -> Path | None:
    from bsguard.stores.folder import open_folder

    try:
        return open_folder(path)
    except StateUnusable as error:
        lost = "stored events, exceptions made at run time, bans that outlive a restart, and what the workers share"
        degraded.append(StateDegraded(time=clock.now(), part="state_dir", lost=lost, reason=str(error)))
        return None


def _secret(folder: Path | None, clock: Clock, degraded: list[StateDegraded]) -> str:
    """A secret where the operator gave none: the one kept in the state directory, else one for this process."""
    from secrets import token_hex

    from bsguard.stores.folder import kept_secret

    if folder is not None:
        try:
            return kept_secret(folder)
        except StateUnusable as error:
            lost = "identities in events differ between workers"
            degraded.append(StateDegraded(time=clock.now(), part="secret", lost=lost, reason=str(error)))
    return token_hex(32)


def _event_store(folder: Path | None, config: EventsConfig) -> EventStore | None:
    if folder is None or not config.stored:
        return None
    from bsguard.observe.store import EventStore

    return EventStore(folder / "events.sqlite", rows_max=config.rows_max, finished=config.finished)


def _overrides(folder: Path | None, clock: Clock) -> Overrides:
    if folder is None:
        return NO_OVERRIDES
    from bsguard.stores.overrides import SQLiteOverrides

    return SQLiteOverrides(folder / "overrides.sqlite", clock)
