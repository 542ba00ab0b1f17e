"""A layer: one class that is both a decision and a WSGI callable.

A subclass writes ``inspect_head`` and/or ``inspect_body``, and perhaps ``observe``. They decide and have no effects;
:mod:`bsguard.core.driver` acts on what they return. A layer object is shared by all threads and immutable once made.
A layer that wraps another layer directly is driven together with it: all heads first, then all bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, cast

from bsguard.core import readers
from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.config import CONTRADICTION, WRONG_VALUE, read_settings, setting
from bsguard.core.driver import Driver
from bsguard.core.errors import ConfigError, Problem
from bsguard.core.events import log_event
from bsguard.core.overrides import NO_OVERRIDES
from bsguard.core.policy import Policy
from bsguard.core.settings import Settings
from bsguard.core.verdict import ALLOW, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from bsguard.core.clock import Clock
    from bsguard.core.driver import ResponseHead
    from bsguard.core.events import Emit
    from bsguard.core.overrides import Overrides
    from bsguard.core.request import Request
    from bsguard.core.settings import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerConfig:
    """The settings that every layer has."""

    mode: Mode | None = setting(
        None,
        "Mode of this layer alone; default: `BSGUARD_MODE`.",
        readers.one_of("enforce", "monitor", "off"),
    )
    on_failure: Literal["closed", "open"] = setting(
        "closed",
        "What happens to a request when the layer itself fails: `closed` refuses it with 503, `open` lets it pass.",
        readers.one_of("closed", "open"),
    )

    def settled(self, settings: Settings) -> Self:  # noqa: ARG002  most layers look nothing up
        """These settings, with what is looked up once in their place. Called before :meth:`problems`."""
        return self

    def rule_ids(self, settings: Settings) -> tuple[str, ...]:  # noqa: ARG002  most layers have none
        """Ids of rules that the operator has written or installed, besides the layer's own."""
        return ()

    def problems(self, settings: Settings, prefix: str) -> Iterable[Problem]:  # noqa: ARG002  most layers have none
        """What of these settings contradicts itself or the global ones; *prefix* stands before the keys."""
        return ()

    @property
    def idle(self) -> bool:
        """Whether these settings leave the layer nothing to do; a guard then leaves it out."""
        return False


C = TypeVar("C", bound=LayerConfig)


class Layer(Generic[C]):
    """Base of all layers.

    *app* is the WSGI application to protect. *config* is a mapping with the layer's own keys, or its config object.
    *mode* defaults to the config's mode, then to ``"enforce"``: who wraps an application by hand means it.
    *settings* are the global settings, as a mapping or object. Raises
    :class:`~bsguard.core.errors.ConfigError` with all problems at once.
    """

    #: Name in settings, events and rule ids.
    name: ClassVar[str]
    config_class: ClassVar[type[LayerConfig]] = LayerConfig
    #: Ids of the layer's rules, each with what it refuses.
    rules: ClassVar[Mapping[str, str]] = {}
    #: Whether the layer counts in a shared store, which it then takes as ``store=``.
    uses_store: ClassVar[bool] = False
    #: Whether exceptions to its rules may name a parameter.
    knows_parameters: ClassVar[bool] = False
    driver: Driver

    def __init__(
        self,
        app: WSGIApplication,
        config: Mapping[str, object] | C | None = None,
        *,
        mode: Mode | None = None,
        settings: Mapping[str, object] | Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        emit: Emit = log_event,
        overrides: Overrides = NO_OVERRIDES,
    ) -> None:
        problems: list[Problem] = []
        if mode not in (None, "enforce", "monitor", "off"):
            problems.append(Problem(WRONG_VALUE, "mode", 'wanted "enforce", "monitor" or "off"'))
        self.settings = _settings(settings, problems)
        if isinstance(config, LayerConfig):
            self.config = config
        else:
            prefix = f"{self.name.upper()} "
            made = cast("C", read_settings(self.config_class, config or {}, problems, prefix=prefix))
            self.config = made.settled(self.settings)
            problems += self.config.problems(self.settings, prefix)
        if problems:
            raise ConfigError(problems)
        self.mode: Mode = mode or self.config.mode or "enforce"
        self.clock = clock
        self.emit = emit
        self.overrides = overrides
        rule_modes = getattr(self.config, "rule_modes", ())
        self.policy = Policy(self.mode, rule_modes, self.settings.exceptions, overrides, clock)
        self.prepare()
        # What calls itself in its own way, or only looks like a layer, is any application.
        fuses = isinstance(app, Layer) and type(app).__call__ is Layer.__call__
        self.driver = Driver.around(self, app, cast("Layer[Any]", app).driver if fuses else None)

    def prepare(self) -> None:
        """Work that is done once, at start, from ``self.config`` and ``self.settings``."""

    def inspect_head(self, request: Request) -> Verdict:  # noqa: ARG002  the default looks at nothing
        """Decide from everything but the body."""
        return ALLOW

    def inspect_body(self, request: Request) -> Verdict:  # noqa: ARG002
        """Decide with the body at hand. Reading it may raise ``BodyError``; the driver makes a finding of that."""
        return ALLOW

    def observe(self, request: Request, response: ResponseHead) -> None:
        """Learn from the answer, once it is complete; may not change it."""

    def response_bytes_kept(self, request: Request) -> int:  # noqa: ARG002
        """How much of the answer's body ``observe`` wants to see, in bytes; longer ones are not kept."""
        return 0

    @classmethod
    def defines(cls, method: str) -> bool:
        """Whether the class has its own version of *method*; the driver skips what does nothing."""
        return getattr(cls, method) is not getattr(Layer, method)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request as WSGI."""
        return self.driver(environ, start_response)


_DEFAULTS = Settings()
#: Settings that say how a guard is put together.
_OF_GUARD = frozenset({"ENABLED", "MODE", "LAYERS", "STATE_DIR"})


def _settings(settings: Mapping[str, object] | Settings | None, problems: list[Problem]) -> Settings:
    if settings is None:
        return _DEFAULTS
    if isinstance(settings, Settings):
        return settings
    for key in _OF_GUARD.intersection(settings):
        message = "has no effect on a layer by itself; it belongs to guard() or BSGuard"
        problems.append(Problem(CONTRADICTION, key, message))
    return read_settings(Settings, settings, problems)
