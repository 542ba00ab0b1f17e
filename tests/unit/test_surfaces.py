"""Where a request falls, by host and path."""

from __future__ import annotations

import pytest

from bsguard.core.surfaces import UNPLACED, Surface, Surfaces
from tests.unit.support import table

#: An API with a version prefix, a dashboard with one API path within it, a site for everybody else.
SITE = Surfaces(
    [
        Surface("api", "api", ("api.test", "*.api.test"), ("/v1", "/hooks")),
        Surface("dashboard", "web", ("app.test",), ("/", "/v1/docs")),
        Surface("legacy", "web", ("old.test",), ("/v1", "/pages")),
    ]
)
#: One surface of each kind on the same host, and one for any host.
MIXED = Surfaces(
    [
        Surface("api", "api", ("one.test",), ("/api",)),
        Surface("pages", "web", ("one.test",), ("/pages",)),
        Surface("anywhere", "web", (), ("/health",)),
    ]
)
ALL_API = Surfaces([Surface("api", "api", ("api.test",), ("/",)), Surface("site", "web", ("www.test",))])

SHORT = Surfaces([Surface("api", "api", ("api.test",), ("/v",)), Surface("site", "web", ("www.test",))])
NARROW = Surfaces([Surface("api", "api", ("api.test",), ("/",)), Surface("site", "web", ("www.test",), ("/pages",))])

PLACED: dict[str, tuple[Surfaces, str, str, str, bool, str | None]] = {
    "the API": (SITE, "api.test", "/v1/items", "api", True, None),
    "the API at its prefix": (SITE, "api.test", "/v1", "api", True, None),
    "the API's second prefix": (SITE, "api.test", "/hooks/a", "api", True, None),
    "beside the API": (SITE, "api.test", "/v10", "api", True, "path"),
    "outside the API": (SITE, "api.test", "/", "api", True, "path"),
    "in other capitals": (SITE, "api.test", "/V1/items", "api", True, "path"),
    "a name below the API's": (SITE, "eu.api.test", "/v1/items", "api", True, None),
    "a name two below the API's": (SITE, "a.eu.api.test", "/v1/items", "", True, "host"),
    "a name that only ends the same": (SITE, "xapi.test", "/v1/items", "", True, "host"),
    "the dashboard": (SITE, "app.test", "/login", "dashboard", False, None),
    "an API path on the dashboard's host": (SITE, "app.test", "/v1/items", "dashboard", True, "path"),
    "the dashboard's own path below the API's": (SITE, "app.test", "/v1/docs/a", "dashboard", True, None),
    "a path that both claim alike": (SITE, "old.test", "/v1/items", "legacy", True, None),
    "a web path on a web host": (SITE, "old.test", "/pages/1", "legacy", False, None),
    "a path that nobody claims on a web host": (SITE, "old.test", "/else", "legacy", False, "path"),
    "an API path that the web host does not serve": (SITE, "old.test", "/hooks/a", "legacy", True, "path"),
    "nobody's host": (SITE, "evil.test", "/login", "", True, "host"),
    "no host": (SITE, "", "/v1/items", "", True, "host"),
    "an API path on a shared host": (MIXED, "one.test", "/api/1", "api", True, None),
    "a web path on a shared host": (MIXED, "one.test", "/pages", "pages", False, None),
    "a shared host's path for any host": (MIXED, "one.test", "/health", "anywhere", False, None),
    "no path of a shared host": (MIXED, "one.test", "/", "api", True, "path"),
    "any host's path": (MIXED, "10.0.0.1", "/health", "anywhere", False, None),
    "an API path under any other host": (MIXED, "10.0.0.1", "/api/1", "anywhere", True, "path"),
    "the server as a whole": (SITE, "app.test", "*", "dashboard", False, None),
    "the server as a whole, on the API's host": (SITE, "api.test", "*", "api", True, "path"),
    "an empty path": (SITE, "app.test", "", "dashboard", False, None),
    "an API that claims every path": (ALL_API, "api.test", "/x", "api", True, None),
    "an API's path of one letter on the site": (SHORT, "www.test", "/v/a", "site", True, "path"),
    "a path that only an API of every path claims": (NARROW, "www.test", "/x", "site", True, "path"),
    "the site beside an API that claims every path": (ALL_API, "www.test", "/x", "site", False, None),
}


@pytest.mark.parametrize(("surfaces", "host", "path", "name", "api", "problem"), table(31, PLACED))
def test_a_request_falls_where_its_host_and_path_say(
    surfaces: Surfaces, host: str, path: str, name: str, api: bool, problem: str | None
) -> None:
    placement = surfaces.place(host, path)

    assert (placement.surface.name if placement.surface else "") == name
    assert placement.api is api
    assert placement.problem == problem


def test_without_surfaces_nothing_is_placed() -> None:
    nothing = Surfaces(())

    assert not nothing
    assert nothing.place("api.test", "/v1") is UNPLACED
    assert not UNPLACED.api
    assert UNPLACED.problem is None


def test_surfaces_are_equal_when_they_are_declared_alike() -> None:
    one, same = Surfaces([Surface("a")]), Surfaces([Surface("a")])

    assert one == same
    assert hash(one) == hash(same)
    assert one != Surfaces([Surface("b")])
    assert one != (Surface("a"),)
    assert one


def test_the_order_of_declaration_does_not_matter() -> None:
    turned = Surfaces(reversed(SITE.declared))
    asked = [(host, path) for surfaces, host, path, *_ in PLACED.values() if surfaces is SITE]

    assert len(asked) == 21
    assert [turned.place(*one) for one in asked] == [SITE.place(*one) for one in asked]
