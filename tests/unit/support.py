"""What the unit tests share: tables that know their length, an app that remembers, and short ways to a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant
from bsguard.core.config import read_settings
from bsguard.core.errors import BodyError
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.core.verdict import ALLOW, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bsguard.core.verdict import Verdict

API = "api.test"
WEB = "www.test"

#: An api host with one prefix, and a web host that serves everything.
SURFACES: list[dict[str, Any]] = [
    {"name": "api", "kind": "api", "hosts": [API], "prefixes": ["/v1"]},
    {"name": "site", "kind": "web", "hosts": [WEB]},
]


def table(count: int, rows: Mapping[str, Any]) -> list[Any]:
    """Parameters of a test, one a row; ids are the keys. A row that got lost, or was added unseen, is an error."""
    assert len(rows) == count, f"the table has {len(rows)} rows, not {count}"
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name) for name, row in rows.items()]


def settings_from(**values: object) -> Settings:
    """Global settings that must be without problems."""
    problems: list[Any] = []
    settings = read_settings(Settings, values, problems)

    assert problems == []
    return settings


def request_of(environ: dict[str, Any], **values: object) -> Request:
    """The view of a request under the given global settings."""
    return Request.of(environ, settings_from(**values))[0]


def a_finding(rule: str = "protocol.method", **more: Any) -> Finding:
    """A finding of which only the rule matters."""
    from bsguard.core import codes

    return Finding(rule, codes.METHOD_NOT_ALLOWED, "because", **more)


class App:
    """Answers 200 to everything and remembers what it was given."""

    def __init__(self, *, read: bool = True) -> None:
        self.environs: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self._read = read

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.environs.append(dict(environ))
        if self._read:
            self.bodies.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    @property
    def called(self) -> int:
        """How many requests have come through."""
        return len(self.environs)


def protocol_says(
    environ: dict[str, Any], config: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
) -> tuple[Verdict, Verdict]:
    """What both phases of a protocol layer say about a request, without acting on it.

    A body that cannot be read has nothing said about it here; the head has.
    """
    layer = Protocol(App(), config, settings=settings)
    request = Request.of(environ, layer.settings)[0]
    head = layer.inspect_head(request)
    try:
        return head, layer.inspect_body(request)
    except BodyError:
        assert head.findings
        return head, ALLOW
    finally:
        request.close()


def tenant_says(environ: dict[str, Any], settings: Mapping[str, object] | None = None) -> Verdict:
    """What a tenant layer says about a request, without acting on it."""
    layer = Tenant(App(), settings=settings)
    return layer.inspect_head(Request.of(environ, layer.settings)[0])


def rules_of(*verdicts: Verdict) -> list[str]:
    """The rules that fired, in order."""
    return [finding.rule for verdict in verdicts for finding in verdict.findings]
