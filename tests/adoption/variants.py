"""The ways in which the blog is served while its own suite runs. Only the first lines of each differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from werkzeug.middleware.proxy_fix import ProxyFix

from bsguard import BSGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

#: Where the simulated proxy connects from, and whom it forwards for.
PROXY: Final = "10.0.0.7"
CLIENT: Final = "203.0.113.9"


class SimulatedProxy:
    """What a TLS proxy in front does to a request: the connection is its own, the client stands in headers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        forwarded = {
            "REMOTE_ADDR": PROXY,
            "HTTP_X_FORWARDED_FOR": CLIENT,
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_HOST": environ["HTTP_HOST"],
            "HTTP_X_REQUEST_ID": "edge-1",
            "HTTP_VIA": "1.1 edge",
        }
        return self._app({**environ, **forwarded}, start_response)


def _bare(app: Flask) -> None:
    del app


def _three_lines(app: Flask) -> None:
    BSGuard(app)


def _not_enabled(app: Flask) -> None:
    app.config["BSGUARD_ENABLED"] = False
    BSGuard(app)


def _declare_fields(app: Flask) -> None:
    """What the events of the first days say: where the blog takes free text, passwords, long posts and odd files."""
    app.config["BSGUARD_WAF_PROFILES"] = [
        *({"parameter": name, "profile": "free_text"} for name in ("title", "body", "q")),
        {"path": "/auth/*", "parameter": "password", "profile": "secret"},
    ]
    app.config["BSGUARD_INSPECT_BYTES_MAX"] = 1024 * 1024
    app.config["BSGUARD_EXCEPTIONS"] = [
        {
            "rule": "waf.101001",
            "parameter": "FILES:avatar",
            "path": "/members/avatar",
            "comment": "the blog gives pictures names of its own",
        },
        {
            "rule": "waf.unreadable",
            "path": "/members/avatar",
            "comment": "Werkzeug's test client leaves quotes in file names as they are",
        },
    ]


def _enforce(app: Flask) -> None:
    app.config["BSGUARD_MODE"] = "enforce"
    _declare_fields(app)
    BSGuard(app)


def _surfaces(app: Flask) -> None:
    app.config["BSGUARD_MODE"] = "enforce"
    _declare_fields(app)
    app.config["BSGUARD_SURFACES"] = [
        {"name": "api", "kind": "api", "prefixes": ["/api"]},
        {"name": "site", "kind": "web"},
    ]
    BSGuard(app)


def _monitored_behind_a_proxy(app: Flask) -> None:
    app.config["BSGUARD_TRUSTED_PROXIES"] = ["10.0.0.0/8"]
    BSGuard(app)
    app.wsgi_app = SimulatedProxy(app.wsgi_app)  # type: ignore[method-assign]


def _behind_a_proxy(app: Flask) -> None:
    app.config["BSGUARD_TRUSTED_PROXIES"] = ["10.0.0.0/8"]
    _enforce(app)
    app.wsgi_app = SimulatedProxy(app.wsgi_app)  # type: ignore[method-assign]


def _with_proxy_fix_inside(app: Flask) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    _behind_a_proxy(app)


def _with_proxy_fix_outside(app: Flask) -> None:
    app.config["BSGUARD_TRUSTED_PROXIES"] = ["10.0.0.0/8"]
    _enforce(app)
    app.wsgi_app = SimulatedProxy(ProxyFix(app.wsgi_app, x_host=1))  # type: ignore[method-assign]


@dataclass(frozen=True)
class Variant:
    """One way, and what it does with what enforcing refuses: nothing, report it, or refuse it."""

    name: str
    install: Callable[[Flask], None]
    event: str = ""
    #: Whether its run is left out of the fast suite.
    slow: bool = True


VARIANTS: Final = (
    Variant("without bsguard", _bare, slow=False),
    Variant("not enabled", _not_enabled),
    Variant("monitor, by the three lines", _three_lines, "request.would_be_denied", slow=False),
    Variant("monitor, behind a TLS proxy", _monitored_behind_a_proxy, "request.would_be_denied"),
    Variant("enforce", _enforce, "request.denied", slow=False),
    Variant("enforce, surfaces declared", _surfaces, "request.denied"),
    Variant("enforce, behind a TLS proxy", _behind_a_proxy, "request.denied", slow=False),
    Variant("enforce, behind a TLS proxy, ProxyFix inside", _with_proxy_fix_inside, "request.denied"),
    Variant("enforce, behind a TLS proxy, ProxyFix outside", _with_proxy_fix_outside, "request.denied"),
)

#: Tests of the suite that send what is really wrong, and the rules that say so. Any other alarm is a false one.
TRUE_ALARMS: Final[dict[str, set[str]]] = {
    "test_create_wants_json[{]": {"protocol.json.syntax"},
    "test_create_wants_json[{'title': 'x'}]": {"protocol.json.syntax"},
    'test_create_wants_json[{"title": "x"} x]': {"protocol.json.syntax"},
    "test_create_wants_json[nonsense]": {"protocol.json.syntax"},
    "test_other_credentials_are_not_taken[Basic !!!]": {"protocol.authorization.invalid"},
}

#: The same where the API is declared as one.
TRUE_ALARMS_OF_SURFACES: Final[dict[str, set[str]]] = {
    "test_create_wants_json_and_no_form": {"protocol.content-type.not-json"},
}

#: What is reported before fields are declared: texts about attacks, which no rule can tell from attacks.
ALARMS_OF_UNDECLARED_FIELDS: Final[dict[str, set[str]]] = {
    "test_avatar": {"waf.101001", "waf.unreadable"},
    "test_create[injection]": {"waf.102001"},
    "test_create_wants_json[{]": {"waf.unreadable"},
    "test_create_wants_json[{'title': 'x'}]": {"waf.unreadable"},
    'test_create_wants_json[{"title": "x"} x]': {"waf.unreadable"},
    "test_create_wants_json[nonsense]": {"waf.unreadable"},
    "test_login": {"waf.101001", "waf.102001", "waf.104001"},
    "test_search": {"waf.102001", "waf.114001"},
    "test_write[long]": {"body.size"},
    "test_write[script]": {"waf.114001"},
    "test_write[shell]": {"waf.101001"},
    "test_write[sql]": {"waf.102001"},
}
