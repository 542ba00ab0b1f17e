"""Surfaces: chosen by host, confirmed by path; a Host alone never loosens a check."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ, run
from tests.wsgi.support import API, SURFACES, WEB, cases, code_of, hello, named

OPEN = [
    {"name": "api", "kind": "api", "prefixes": ["/v1"]},
    {"name": "site", "kind": "web"},
]
WILD = [{"name": "tenants", "kind": "web", "hosts": ["*.shop.test"]}]


def guarded(surfaces: Any, **more: Any) -> Any:
    settings = {"SURFACES": surfaces}
    return stack(hello, partial(Protocol, settings=settings, **more), partial(Tenant, settings=settings, **more))


# (id, surfaces, host, path, code; empty when it passes)
PLACES = [
    ("the API on its host", SURFACES, API, "/v1", ""),
    ("below the API's prefix", SURFACES, API, "/v1/items", ""),
    ("with a port", SURFACES, f"{API}:8443", "/v1/items", ""),
    ("in capitals", SURFACES, "API.TEST", "/v1/items", ""),
    ("with a final dot", SURFACES, f"{API}.", "/v1/items", ""),
    ("the API's host outside its prefix", SURFACES, API, "/admin", "BSE1001"),
    ("the API's host at its root", SURFACES, API, "/", "BSE1001"),
    ("a prefix that begins alike", SURFACES, API, "/v10", "BSE1001"),
    ("a prefix in capitals", SURFACES, API, "/V1/items", "BSE1001"),
    ("a prefix behind two slashes", SURFACES, API, "//v1/items", "BSE1114"),
    ("the site", SURFACES, WEB, "/posts/1", ""),
    ("the API's path on the site's host", SURFACES, WEB, "/v1/items", "BSE1001"),
    ("an undeclared host", SURFACES, "evil.test", "/v1/items", "BSE1002"),
    ("an undeclared host at the root", SURFACES, "evil.test", "/", "BSE1002"),
    ("a host below a declared one", SURFACES, f"x.{API}", "/v1/items", "BSE1002"),
    ("a host that begins alike", SURFACES, f"{API}.evil.test", "/v1/items", "BSE1002"),
    ("an address", SURFACES, "127.0.0.1", "/v1/items", "BSE1002"),
    ("any host where none is bound", OPEN, "evil.test", "/posts", ""),
    ("the API on any host", OPEN, "evil.test", "/v1/items", ""),
    ("a name under the wildcard", WILD, "a.shop.test", "/", ""),
    ("the bare name of the wildcard", WILD, "shop.test", "/", "BSE1002"),
    ("two names under the wildcard", WILD, "a.b.shop.test", "/", "BSE1002"),
    ("no surfaces at all", [], "evil.test", "/any", ""),
]


@pytest.mark.parametrize("row", cases(PLACES, 23))
def test_each_request_falls_where_it_belongs(row: Any) -> None:
    _, surfaces, host, path, code = row
    answer = run(guarded(surfaces), environ("GET", path, headers={"Host": host}))

    assert code_of(answer) == code
    assert answer.status == {"": 200, "BSE1001": 404, "BSE1002": 421, "BSE1114": 400}[code]


# (id, surfaces, host, path, status of an HTML form posted there)
FORMS = [
    ("on the API", SURFACES, API, "/v1/items", 415),
    ("on the site", SURFACES, WEB, "/posts", 200),
    ("on the API under the site's host", SURFACES, WEB, "/v1/items", 415),
    ("on the API under an undeclared host", SURFACES, "evil.test", "/v1/items", 415),
    ("on the site under an undeclared host", SURFACES, "evil.test", "/posts", 415),
    ("on the API where no host is bound", OPEN, "evil.test", "/v1/items", 415),
    ("on the site where no host is bound", OPEN, "evil.test", "/posts", 200),
    ("where no surface is declared", [], "evil.test", "/v1/items", 200),
]


@pytest.mark.parametrize("row", cases(FORMS, 8))
def test_no_host_opens_the_api_to_forms(row: Any) -> None:
    _, surfaces, host, path, status = row
    headers = {"Host": host, "Content-Type": "application/x-www-form-urlencoded"}

    assert run(guarded(surfaces), environ("POST", path, headers=headers, body=b"a=1")).status == status


def test_an_app_under_a_mount_point_is_judged_by_its_full_path() -> None:
    def status(script_name: str, path_info: str) -> int:
        request = environ("GET", script_name + path_info, headers={"Host": API})
        return run(guarded(SURFACES), request | {"SCRIPT_NAME": script_name, "PATH_INFO": path_info}).status

    assert status("/v1", "/items") == 200
    assert status("/v1", "") == 200
    assert status("/admin", "/v1/items") == 404


def test_events_name_the_surface() -> None:
    events: list[Any] = []
    app = guarded(SURFACES, emit=events.append)
    for host, path in ((API, "/v1/x"), (WEB, "/"), ("evil.test", "/"), (API, "/admin")):
        run(app, environ("GET", path, headers={"Host": host}))

    assert [event.surface for event in named(events, "request.finished")] == ["api", "site", "", "api"]
