"""Every answer carries one request id, and only a declared proxy may choose it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bsguard import Protocol, Tenant, guard, stack
from bsguard.testing import environ, run
from tests.wsgi.support import App, cases, copying, hello, passing, serve

HANDED = "from-the-proxy.1"


def answering(status: str, *headers: tuple[str, str]) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, list(headers))
        return []

    return app


STATUSES = ("200 OK", "204 No Content", "301 Moved Permanently", "304 Not Modified", "404 Not Found", "500 Oops")


@pytest.mark.parametrize("between", [(), (passing,), (copying,)], ids=["fused", "interrupted", "interrupted by a copy"])
@pytest.mark.parametrize("status", STATUSES)
def test_every_answer_of_the_app_carries_the_id(status: str, between: Any) -> None:
    answer = run(stack(answering(status), Protocol, *between, Tenant), environ())

    assert [name for name, _ in answer.headers] == ["X-Request-Id"]
    assert len(answer.header("X-Request-Id")) == 24


@pytest.mark.parametrize("between", [(), (passing,)], ids=["fused", "interrupted"])
@pytest.mark.parametrize("name", ["X-Request-Id", "x-request-id", "X-REQUEST-ID"])
def test_an_id_of_the_app_s_own_is_kept_and_not_doubled(name: str, between: Any) -> None:
    answer = run(stack(answering("200 OK", (name, "mine")), Protocol, *between, Tenant), environ())

    assert answer.headers == ((name, "mine"),)


def test_the_app_s_list_of_headers_is_not_edited() -> None:
    headers = [("Content-Type", "text/plain")]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return []

    run(Protocol(app), environ())
    answer = run(Protocol(app), environ())

    assert headers == [("Content-Type", "text/plain")]
    assert len(answer.headers) == 2


def test_the_app_and_the_events_know_the_id() -> None:
    events: list[Any] = []
    app = App()
    answer = run(Protocol(app, emit=events.append), environ())

    assert app.environs[0]["bsguard.request_id"] == answer.header("X-Request-Id")
    assert {event.request_id for event in events if hasattr(event, "request_id")} == {answer.header("X-Request-Id")}


def test_no_two_requests_share_an_id() -> None:
    app = Protocol(hello)
    ids = {run(app, environ()).header("X-Request-Id") for _ in range(500)}

    assert len(ids) == 500


def test_the_header_may_have_another_name() -> None:
    app = Protocol(hello, settings={"REQUEST_ID_HEADER": "X-Trace", "TRUSTED_PROXIES": ["10.0.0.0/8"]})
    headers = {"X-Trace": HANDED, "X-Forwarded-Proto": "https"}

    for method, status in (("GET", 200), ("BREW", 405)):
        answer = run(app, environ(method, "/", headers=headers, peer="10.0.0.1"))
        assert (answer.status, answer.header("X-Trace"), answer.header("X-Request-Id")) == (status, HANDED, "")


# (id, trusted, peer, handed in, taken)
HANDS = [
    ("a declared proxy", ["10.0.0.0/8"], "10.0.0.1", HANDED, True),
    ("a proxy declared by its address", ["10.0.0.1"], "10.0.0.1", HANDED, True),
    ("a proxy on a declared Unix socket", ["unix"], "", HANDED, True),
    ("a proxy on an undeclared Unix socket", ["10.0.0.0/8"], "", HANDED, False),
    ("a client", ["10.0.0.0/8"], "203.0.113.9", HANDED, False),
    ("a neighbour of the proxy", ["10.0.0.1"], "10.0.0.2", HANDED, False),
    ("somebody on this machine", ["10.0.0.0/8"], "127.0.0.1", HANDED, False),
    ("anybody, where no proxy is declared", [], "10.0.0.1", HANDED, False),
    ("a proxy with a space", ["10.0.0.0/8"], "10.0.0.1", "a b", False),
    ("a proxy with a line break", ["10.0.0.0/8"], "10.0.0.1", "a\nb", False),
    ("a proxy with two ids", ["10.0.0.0/8"], "10.0.0.1", "a,b", False),
    ("a proxy with nothing", ["10.0.0.0/8"], "10.0.0.1", "", False),
    ("a proxy with the longest id", ["10.0.0.0/8"], "10.0.0.1", "a" * 128, True),
    ("a proxy with one too long", ["10.0.0.0/8"], "10.0.0.1", "a" * 129, False),
    ("a proxy with a script", ["10.0.0.0/8"], "10.0.0.1", "<script>", False),
]


@pytest.mark.parametrize("refused", [False, True], ids=["allowed", "refused"])
@pytest.mark.parametrize("row", cases(HANDS, 15))
def test_an_id_is_taken_from_declared_proxies_only(row: Any, refused: bool) -> None:
    _, trusted, peer, handed, taken = row
    app = Protocol(hello, {"HTTPS": False}, settings={"TRUSTED_PROXIES": trusted})
    answer = run(app, environ("BREW" if refused else "GET", "/", headers={"X-Request-Id": handed}, peer=peer))

    assert answer.status in (200, 400, 405)
    assert (answer.header("X-Request-Id") == handed) == taken
    assert answer.header("X-Request-Id")


def test_behind_proxy_fix_the_peer_still_decides() -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    app = ProxyFix(Protocol(hello, settings={"TRUSTED_PROXIES": ["10.0.0.0/8"]}))
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Request-Id": HANDED}

    assert run(app, environ("GET", "/", headers=headers, peer="10.0.0.1")).header("X-Request-Id") == HANDED
    forged = headers | {"X-Forwarded-For": "10.0.0.1"}
    assert run(app, environ("GET", "/", headers=forged, peer="203.0.113.9")).header("X-Request-Id") != HANDED


def test_the_id_is_there_however_late_the_app_starts_its_response() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"late"

    sent = serve(stack(app, Protocol, passing, Tenant), environ())

    assert sent.header("X-Request-Id")
    assert sent.body == b"late"


def test_the_id_is_there_when_a_response_is_started_anew() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError("after all")
        except ValueError:
            import sys

            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    sent = serve(stack(app, Protocol, passing, partial(Tenant)), environ())

    assert (sent.status, sent.body) == (500, b"sorry")
    assert [name for name, _ in sent.headers] == ["X-Request-Id"]


def test_a_guard_that_does_nothing_still_gives_ids(tmp_path: Any) -> None:
    app = guard(hello, {"MODE": "off", "STATE_DIR": tmp_path / "state", "EVENTS_STORED": False})

    assert run(app, environ("BREW", "/")).header("X-Request-Id")
