"""The guarded app under a prefix, beside others, and behind a proxy with ProxyFix on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from bsguard import BSGuard
from bsguard.testing import capture_events
from tests.flask_ext.support import ENFORCE, cases

if TYPE_CHECKING:
    from flask import Flask

PROXY = "10.0.0.7"
CLIENT = "203.0.113.9"


# --- mounted --------------------------------------------------------------------------------------------------------


class Browser(Client):
    """Werkzeug's client says nothing of who connects; a server always does."""

    def run_wsgi_app(self, environ: Any, buffered: bool = False) -> Any:
        return super().run_wsgi_app({"REMOTE_ADDR": "127.0.0.1", **environ}, buffered)


def mounted(app: Any, at: str = "/shop") -> Client:
    def nowhere(environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [])
        return []

    return Browser(DispatcherMiddleware(nowhere, {at: app}))


def test_a_mounted_app_is_guarded_under_its_mount_point(make_app: Any) -> None:
    app = make_app(**ENFORCE)
    BSGuard(app)
    client = mounted(app)

    assert client.get("/shop/where").get_json() == {
        "root": "/shop",
        "path": "/where",
        "scheme": "http",
        "remote": "127.0.0.1",
        "link": "/shop/me",
    }
    assert client.get("/shop/").status_code == 200
    assert client.get("/shop", follow_redirects=True).status_code == 200
    assert client.get("/shop/", headers={"Expect": "tea"}).status_code == 417
    assert client.get("/elsewhere").status_code == 404


def test_settings_name_full_paths(make_app: Any) -> None:
    app = make_app(
        **ENFORCE,
        BSGUARD_SURFACES=[{"name": "api", "kind": "api", "prefixes": ["/shop/v1"]}, {"name": "site"}],
        BSGUARD_EXCEPTIONS=[{"rule": "protocol.expect", "path": "/shop/search", "comment": "an old client"}],
        BSGUARD_STREAMING_PATHS=["/shop/raw"],
    )
    BSGuard(app)
    client = mounted(app)
    form = {"data": {"a": "1"}}

    assert client.get("/shop/search", headers={"Expect": "tea"}).status_code == 200
    assert client.get("/shop/me", headers={"Expect": "tea"}).status_code == 417
    assert client.post("/shop/v1/items", **form).status_code == 415  # type: ignore[arg-type]
    assert client.post("/shop/form", **form).status_code == 200  # type: ignore[arg-type]
    assert client.post("/shop/raw", data="{", content_type="application/json").status_code == 200


def test_events_name_full_paths(make_app: Any) -> None:
    app = make_app(**ENFORCE)
    BSGuard(app)
    with capture_events() as events:
        mounted(app).get("/shop/me", headers={"Expect": "tea"})

    assert [event.path for event in events if event.name == "request.denied"] == ["/shop/me"]


def test_two_guarded_apps_live_beside_each_other(make_app: Any) -> None:
    shop, blog = make_app(**ENFORCE), make_app(BSGUARD_EVENTS_STORED=False)
    BSGuard(shop)
    BSGuard(blog)
    client = Browser(DispatcherMiddleware(shop, {"/blog": blog}))
    tea = {"Expect": "tea"}

    assert client.get("/", headers=tea).status_code == 417
    assert client.get("/blog/", headers=tea).status_code == 200
    assert len(client.get("/blog/").headers.getlist("X-Request-Id")) == 1


def test_an_app_mounted_inside_the_guard_is_guarded_too(make_app: Any) -> None:
    app, inner = make_app(**ENFORCE), make_app()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/inner": inner.wsgi_app})
    BSGuard(app)
    client = app.test_client()

    assert client.get("/inner/where").get_json()["root"] == "/inner"
    assert client.get("/inner/where", headers={"Expect": "tea"}).status_code == 417


def test_a_guard_inside_a_guard_gives_one_answer_and_one_id(make_app: Any) -> None:
    outer, inner = make_app(**ENFORCE), make_app(**ENFORCE)
    BSGuard(inner)
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner})
    BSGuard(outer)
    answer = outer.test_client().get("/inner/id")

    assert answer.headers.getlist("X-Request-Id") == [answer.text]


def test_an_inner_app_keeps_its_own_surfaces(make_app: Any) -> None:
    outer = make_app(**ENFORCE)
    inner = make_app(**ENFORCE, BSGUARD_SURFACES=[{"name": "api", "kind": "api", "prefixes": ["/api/v1"]}])
    BSGuard(inner)
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/api": inner})
    BSGuard(outer)
    client = outer.test_client()

    assert client.get("/api/search").status_code == 404
    assert client.get("/api/search").get_json()["error"]["code"] == "BSE1001"
    assert client.get("/search").status_code == 200


def test_a_prefix_from_the_proxy_is_no_other_path(make_app: Any) -> None:
    app = make_app(**ENFORCE, BSGUARD_TRUSTED_PROXIES=["10.0.0.0/8"])
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    BSGuard(app)
    outside = make_app(**ENFORCE, BSGUARD_TRUSTED_PROXIES=["10.0.0.0/8"])
    BSGuard(outside)
    outside.wsgi_app = ProxyFix(outside.wsgi_app, x_prefix=1)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": CLIENT, "X-Forwarded-Prefix": "/shop"}

    for one in (app, outside):
        answer = one.test_client().get("/where", headers=headers, environ_base={"REMOTE_ADDR": PROXY})
        assert (answer.status_code, answer.get_json()["link"]) == (200, "/shop/me")


@pytest.mark.parametrize("inside", [True, False], ids=["ProxyFix inside", "ProxyFix outside"])
def test_a_prefix_from_a_header_opens_no_surface(inside: bool, make_app: Any) -> None:
    surfaces = [{"name": "api", "kind": "api", "hosts": ["localhost"], "prefixes": ["/v1"]}]
    app = make_app(**ENFORCE, BSGUARD_TRUSTED_PROXIES=["10.0.0.0/8"], BSGUARD_SURFACES=surfaces)
    if inside:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    BSGuard(app)
    if not inside:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": CLIENT, "X-Forwarded-Prefix": "/v1"}
    answer = app.test_client().get("/me", headers=headers, environ_base={"REMOTE_ADDR": PROXY})

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "BSE1001")


# --- ProxyFix -------------------------------------------------------------------------------------------------------


def _inside(app: Flask) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    BSGuard(app)


def _outside(app: Flask) -> None:
    BSGuard(app)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]


def _both(app: Flask) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    _outside(app)


PLACES = {"inside": _inside, "outside": _outside, "on both sides": _both}

# (id, trusted proxies, peer, headers, status, client in the events)
CHAINS = [
    ("HTTPS from the proxy", ["10.0.0.0/8"], PROXY, {"For": CLIENT, "Proto": "https"}, 200, CLIENT),
    ("plain HTTP from the proxy", ["10.0.0.0/8"], PROXY, {"For": CLIENT, "Proto": "http"}, 403, CLIENT),
    ("the proxy says nothing", ["10.0.0.0/8"], PROXY, {}, 403, PROXY),
    ("the proxy names itself", ["10.0.0.0/8"], PROXY, {"For": PROXY, "Proto": "https"}, 200, PROXY),
    ("a client forges one hop", ["10.0.0.0/8"], PROXY, {"For": f"127.0.0.1, {CLIENT}", "Proto": "https"}, 200, CLIENT),
    ("a client claims a proxy's address", ["10.0.0.0/8"], CLIENT, {"For": PROXY, "Proto": "https"}, 403, CLIENT),
    ("a client claims to be local", ["10.0.0.0/8"], CLIENT, {"For": "127.0.0.1", "Proto": "https"}, 403, CLIENT),
    ("an undeclared proxy", [], PROXY, {"For": CLIENT, "Proto": "https"}, 403, PROXY),
    ("an undeclared proxy on this machine", [], "127.0.0.1", {"For": CLIENT, "Proto": "https"}, 403, "127.0.0.1"),
    ("a declared proxy on this machine", ["127.0.0.1"], "127.0.0.1", {"For": CLIENT, "Proto": "https"}, 200, CLIENT),
    ("somebody on this machine", [], "127.0.0.1", {}, 200, "127.0.0.1"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("row", cases(CHAINS, 11))
def test_proxy_fix_may_stand_on_either_side(row: Any, place: str, make_app: Any) -> None:
    _, trusted, peer, forwarded, status, client = row
    app = make_app(**ENFORCE, BSGUARD_TRUSTED_PROXIES=trusted)
    PLACES[place](app)
    headers = {f"X-Forwarded-{name}": value for name, value in forwarded.items()}
    with capture_events() as events:
        answer = app.test_client().get("/where", headers=headers, environ_base={"REMOTE_ADDR": peer})
        answer.close()

    assert answer.status_code == status
    assert {event.client for event in events if event.name == "request.finished"} == {client}
    if status == 200 and forwarded.get("Proto"):
        assert answer.get_json()["scheme"] == "https"
        assert answer.get_json()["remote"] == client


@pytest.mark.parametrize("place", PLACES)
def test_a_forwarded_host_opens_no_surface(place: str, make_app: Any) -> None:
    surfaces = [
        {"name": "site", "hosts": ["www.test"]},
        {"name": "api", "kind": "api", "hosts": ["api.test"], "prefixes": ["/json"]},
    ]
    app = make_app(**ENFORCE, BSGUARD_TRUSTED_PROXIES=["10.0.0.0/8"], BSGUARD_SURFACES=surfaces)
    PLACES[place](app)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": CLIENT, "X-Forwarded-Host": "www.test"}
    answer = app.test_client().post(
        "/json", base_url="http://api.test/", headers=headers, data={"a": "1"}, environ_base={"REMOTE_ADDR": PROXY}
    )

    assert answer.status_code in (404, 415)
