"""The Flask extension: ``BSGuard(app)`` reads ``BSGUARD_*`` and wraps ``app.wsgi_app``."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bsguard.core.clock import SYSTEM_CLOCK
from bsguard.core.codes import GUARD_MISCONFIGURED
from bsguard.core.config import CHANGED_LATE, WRONG_VALUE, Wanted
from bsguard.core.errors import ConfigError, Problem
from bsguard.core.request import Request
from bsguard.core.respond import refusal
from bsguard.core.store_url import store_url
from bsguard.standard import Guard, guard, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

    from bsguard.core.clock import Clock
    from bsguard.core.events import Emit
    from bsguard.core.store_url import StoreURL

_log = logging.getLogger("bsguard")

PREFIX: Final = "BSGUARD_"

#: Schemes of storages that Flask-Limiter and we both have.
_SERVERS: Final = frozenset({"redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix"})


class BSGuard:
    """Guards a Flask application.

    ``BSGuard(app)``, or ``guard = BSGuard()`` and ``guard.init_app(app)`` with an application factory. All
    ``BSGUARD_*`` settings must be in ``app.config`` by then. One object may serve several applications. Raises
    :class:`~bsguard.core.errors.ConfigError` with all problems at once.

    A :class:`~werkzeug.middleware.proxy_fix.ProxyFix` belongs inside, so wrap with it before: who is believed is what
    ``BSGUARD_TRUSTED_PROXIES`` says, and forwarding headers of anybody else are removed. One outside does no harm.
    """

    def __init__(self, app: Flask | None = None, *, clock: Clock = SYSTEM_CLOCK, emit: Emit | None = None) -> None:
        self._clock = clock
        self._emit = emit
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the settings and wrap ``app.wsgi_app``. A second call for the same application is an error."""
        if "bsguard" in app.extensions:
            message = "this application is guarded already; call BSGuard(app) or init_app(app) once"
            raise ConfigError([Problem(CHANGED_LATE, "BSGuard", message)])
        values = copy.deepcopy(app.config.get_namespace(PREFIX, lowercase=False))  # lists may be edited in place later
        elsewhere = _of_flask_limiter(app.config) | {"STATE_DIR": Path(app.instance_path) / "bsguard"}
        found = {key: value for key, value in elsewhere.items() if values.get(key) is None}
        plan = read_plan(values | found, prefix=PREFIX)
        if str(app.config.get("RATELIMIT_STORAGE_URI")).startswith("bsguard+"):
            # A Flask-Limiter that is set up after this knows the scheme.
            import bsguard.stores.limits_storage  # noqa: F401
        made = guard(app.wsgi_app, plan, clock=self._clock, emit=self._emit)
        app.extensions["bsguard"] = made
        app.wsgi_app = _Settled(made, app, values)  # type: ignore[method-assign]


def _of_flask_limiter(config: Mapping[str, Any]) -> dict[str, object]:
    """What Flask-Limiter's settings say that means the same here; ours win.

    Of its storages only those that all workers share: ``memory://`` would cost exactness. A folder that it names is
    for its own counts; ours lie in the state directory.
    """
    found: dict[str, object] = {}
    uri = config.get("RATELIMIT_STORAGE_URI")
    if isinstance(uri, str) and config.get(f"{PREFIX}STORE") is None:
        scheme = uri.partition("://")[0]
        kind = scheme.removeprefix("bsguard+")
        if scheme in _SERVERS:
            found["STORE"] = _server_of(uri)
        elif scheme != kind and kind in ("local", "sqlite"):
            found["STORE"] = kind
    if config.get("RATELIMIT_ENABLED") is False:
        found["LIMITER_MODE"] = "off"
    return found


def _server_of(uri: str) -> StoreURL:
    try:
        return store_url(uri)
    except Wanted as wanted:
        message = f"is taken over for {PREFIX}STORE, which wanted {wanted}; set that too"
        raise ConfigError([Problem(WRONG_VALUE, "RATELIMIT_STORAGE_URI", message)]) from None


class _Settled:
    """Serves requests, and makes sure at the first one that no setting was changed after it was read.

    Flask lets anybody edit the config at any time; a limit that was raised too late to count must not go unnoticed.
    """

    def __init__(self, made: Guard, app: Flask, values: dict[str, Any]) -> None:
        self._made = made
        self._app = app
        self._values: dict[str, Any] | None = values

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request as WSGI."""
        if self._values is not None:
            problem = self._changed(self._values)
            if problem is not None and not self._monitors():
                return self._refuse(problem, environ, start_response)
            self._values = None
            if problem is not None:
                _log.error("%s", problem)  # monitoring must never refuse: what was read holds
        return self._made(environ, start_response)

    def _changed(self, values: dict[str, Any]) -> ConfigError | None:
        now = self._app.config.get_namespace(PREFIX, lowercase=False)
        late = sorted(key for key in {*now, *values} if now.get(key, _ABSENT) != values.get(key, _ABSENT))
        message = "changed after BSGuard had read it, so it has no effect; set it before BSGuard(app) or init_app(app)"
        return ConfigError([Problem(CHANGED_LATE, PREFIX + key, message) for key in late]) if late else None

    def _monitors(self) -> bool:
        return self._made.plan.settings.mode == "monitor" and not (self._app.testing or self._app.debug)

    def _refuse(self, problem: ConfigError, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Raise where a developer looks; in production log it and answer 503: what holds is not what was set."""
        if self._app.testing or self._app.debug:
            raise problem
        _log.error("%s", problem)
        request, _ = Request.of(environ, self._made.plan.settings)
        status, headers, body = refusal(request, GUARD_MISCONFIGURED)
        start_response(status, headers)
        return [body]


_ABSENT: Final = object()


def guard_of(app: Flask) -> Guard:
    """The guard of a Flask application; raises ConfigError when it has none."""
    found = app.extensions.get("bsguard")
    if isinstance(found, Guard):
        return found
    raise ConfigError([Problem(CHANGED_LATE, "BSGuard", "this application is not guarded; call BSGuard(app)")])
