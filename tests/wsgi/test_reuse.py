"""Requests within requests, and environs used twice: whatever is sent again, the first request stays whole."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ, run
from tests.wsgi.support import App, Counting, cases, hello, named, reader, serve

JSON = {"Content-Type": "application/json"}
BODY = b'{"old": true}'


def asking(make: Any) -> Any:
    """A middleware that first asks the application for something else, by the environ that *make* makes."""

    def middleware(app: Any) -> Any:
        def asked(environ: Any, start_response: Any) -> Any:
            before = serve(app, make(environ))
            assert before.error is None, before.error
            return app(environ, start_response)

        return asked

    return middleware


def _page(environ_: Any) -> Any:
    return dict(environ_) | {"PATH_INFO": "/page", "REQUEST_METHOD": "GET", "RAW_URI": "/page"}


def _bare(environ_: Any) -> Any:
    edited = {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0", "CONTENT_TYPE": ""}
    bare = _page(environ_) | edited
    bare.pop("HTTP_TRANSFER_ENCODING", None)
    return bare


def _fresh(_: Any) -> Any:
    return environ("GET", "/page")


# (id, environ of the sub-request, where it is made, its body)
WITHIN = [
    ("a copy with the same body, between the layers", dict, 2, BODY),
    ("a copy without a body, outside", _bare, 0, b""),
    ("a copy without a body, between the layers", _bare, 2, b""),
    ("a copy without a body, inside", _bare, 4, b""),
    ("a fresh environ, outside", _fresh, 0, b""),
    ("a fresh environ, between the layers", _fresh, 2, b""),
    ("a fresh environ, inside", _fresh, 4, b""),
]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize("row", cases(WITHIN, 7))
def test_a_request_within_a_request_leaves_the_outer_one_whole(row: Any, chunked: bool) -> None:
    _, make, place, body = row
    app = App()
    layers: list[Any] = [reader([], name="outer"), Protocol, reader([], name="inner"), Tenant]
    layers.insert(place, asking(make))
    request = environ("POST", "/", headers=JSON, body=BODY, chunked=chunked)
    sent = serve(stack(app, *layers), request)

    assert sent.error is None
    assert (sent.status, sent.body) == (200, BODY)
    assert app.bodies == [body, BODY]


def test_a_request_within_a_request_gets_the_same_id_in_a_copy_and_its_own_in_a_fresh_environ() -> None:
    for make, same in ((_bare, True), (_fresh, False)):
        app = App()
        run(stack(app, Protocol, asking(make), Tenant), environ("GET", "/"))
        inner, outer = (environ["bsguard.request_id"] for environ in app.environs)
        assert (inner == outer) == same


def test_an_app_may_ask_the_whole_stack_again_by_a_copy() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/page":
            return hello(environ, start_response)
        return guarded(_page(environ), start_response)

    guarded = stack(app, Protocol, Tenant)
    answer = run(guarded, environ("GET", "/"))

    assert answer.body == b"hello"
    assert len([name for name, _ in answer.headers if name == "X-Request-Id"]) == 1


def test_an_environ_used_twice_is_two_requests() -> None:
    events: list[Any] = []
    app = stack(hello, partial(Protocol, emit=events.append), Tenant)
    request = environ()
    ids = [run(app, request).header("X-Request-Id") for _ in range(2)]
    request["REQUEST_METHOD"] = "BREW"

    assert ids[0] != ids[1]
    assert run(app, request).status == 405
    assert [event.status for event in named(events, "request.finished")] == [200, 200, 405]


@pytest.mark.parametrize("read", [False, True], ids=["unread", "read by a layer"])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_an_environ_used_twice_has_its_stream_back(chunked: bool, read: bool) -> None:
    app = App()
    source = Counting(BODY)
    request = environ("POST", "/", headers=JSON if read else {}, body=BODY, chunked=chunked) | {"wsgi.input": source}
    guarded = stack(app, Protocol, Tenant)
    serve(guarded, request)
    assert request["wsgi.input"] is source

    source.seek(0)
    assert serve(guarded, request).status == 200
    assert app.bodies == [BODY, BODY]


def test_the_body_can_still_be_read_around_the_guard_until_the_response_is_closed() -> None:
    logged: list[bytes] = []

    def logging(app: Any) -> Any:
        def logged_call(environ: Any, start_response: Any) -> Any:
            chunks = app(environ, start_response)
            environ["wsgi.input"].seek(0)
            logged.append(environ["wsgi.input"].read())
            return chunks

        return logged_call

    serve(stack(hello, logging, Protocol), environ("POST", "/", headers=JSON, body=BODY))

    assert logged == [BODY]
