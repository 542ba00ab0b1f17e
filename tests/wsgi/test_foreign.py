"""Other people's middlewares between, around and inside the layers, doing what middlewares do."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ, run
from tests.wsgi.support import (
    API,
    SURFACES,
    App,
    cases,
    code_of,
    copying,
    hello,
    named,
    reader,
    rules_of,
    serve,
)

JSON = {"Content-Type": "application/json"}


def editing(**edits: Any) -> Any:
    """A middleware that edits the environ; None removes a key."""

    def middleware(app: Any) -> Any:
        def edited(environ: Any, start_response: Any) -> Any:
            for key, value in edits.items():
                environ.pop(key, None) if value is None else environ.update({key: value})
            return app(environ, start_response)

        return edited

    return middleware


# --- edits of the head ----------------------------------------------------------------------------------------------

PLACED = {"SURFACES": SURFACES}

# (id, edits in between, the layer inside, request, code of the answer)
EDITS = [
    ("a path into the API", {"PATH_INFO": "/v1/x"}, Tenant, ("GET", "/x", API), ""),
    ("a path out of the API", {"PATH_INFO": "/x"}, Tenant, ("GET", "/v1/x", API), "BSE1001"),
    ("a mount point", {"SCRIPT_NAME": "/v1", "PATH_INFO": "/x"}, Tenant, ("GET", "/v1/x", API), ""),
    ("a declared host", {"HTTP_HOST": API}, Tenant, ("GET", "/v1/x", "evil.test"), ""),
    ("an undeclared host", {"HTTP_HOST": "evil.test"}, Tenant, ("GET", "/v1/x", API), "BSE1002"),
    ("a path that was never sent", {"PATH_INFO": "/admin"}, Protocol, ("GET", "/v1/x", API), "BSE1114"),
    ("a query that nobody may send", {"QUERY_STRING": "a b"}, Protocol, ("GET", "/v1/x", API), "BSE1114"),
    ("a query", {"QUERY_STRING": "a=b"}, Protocol, ("GET", "/v1/x", API), ""),
    ("a method", {"REQUEST_METHOD": "BREW"}, Protocol, ("GET", "/v1/x", API), "BSE1102"),
    ("a header too many", {"HTTP_EXPECT": "tea"}, Protocol, ("GET", "/v1/x", API), "BSE1112"),
    ("a header fewer", {"HTTP_EXPECT": None}, Protocol, ("GET", "/v1/x", API, {"Expect": "tea"}), ""),
    ("a media type", {"CONTENT_TYPE": "text/html, a"}, Protocol, ("POST", "/v1/x", API), "BSE1107"),
]


@pytest.mark.parametrize("outside", [(), (copying,)], ids=["in place", "in a copy"])
@pytest.mark.parametrize("row", cases(EDITS, 12))
def test_the_layers_inside_judge_what_is_there_now(row: Any, outside: Any) -> None:
    _, edits, inside, (method, path, host, *more), code = row
    outer = partial(reader([], name="outer"), settings=PLACED)
    app = stack(hello, outer, *outside, editing(**edits), partial(inside, settings=PLACED))
    headers = {"Host": host, **(more[0] if more else {})}

    assert code_of(run(app, environ(method, path, headers=headers))) == code


def test_the_app_sees_every_edit() -> None:
    app = App()
    edits = {"PATH_INFO": "/y", "QUERY_STRING": "b=1", "REMOTE_ADDR": "198.51.100.1", "HTTP_X_ADDED": "1"}
    run(stack(app, Protocol, editing(**edits), Tenant), environ("GET", "/x?a=1"))

    assert {key: app.environs[0][key] for key in edits} == edits


def test_what_is_judged_outside_is_what_was_sent() -> None:
    assert run(stack(hello, Protocol, editing(REQUEST_METHOD="GET")), environ("BREW", "/")).status == 405


@pytest.mark.parametrize("between", [(), (copying,)], ids=["in place", "in a copy"])
def test_the_client_stays_who_it_was(between: Any) -> None:
    events: list[Any] = []
    layers = [
        partial(Tenant, emit=events.append),
        *between,
        editing(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="127.0.0.1"),
        partial(Protocol, emit=events.append),
    ]
    answer = run(stack(hello, *layers), environ("GET", "/", peer="203.0.113.9"))

    assert answer.status == 403
    assert {event.client for event in events if hasattr(event, "client")} == {"203.0.113.9"}


def test_an_identity_header_is_stripped_where_the_tenant_layer_stands() -> None:
    app = App()
    run(stack(app, editing(HTTP_X_ACCOUNT_ID="mine"), Tenant), environ())
    run(stack(app, Tenant, editing(HTTP_X_ACCOUNT_ID="mine")), environ("GET", "/", headers={"X-Account-Id": "yours"}))

    assert [environ.get("HTTP_X_ACCOUNT_ID") for environ in app.environs] == [None, "mine"]


def test_proxy_fix_between_the_layers_changes_no_verdict() -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    settings = {"TRUSTED_PROXIES": ["10.0.0.0/8"], "SURFACES": SURFACES}
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": API}
    protocol, tenant = (partial(layer, settings=settings) for layer in (Protocol, Tenant))
    app = App()
    for layers in ((protocol, ProxyFix, tenant), (ProxyFix, protocol, tenant), (protocol, tenant, ProxyFix)):
        stacked = stack(app, *layers)
        assert run(stacked, environ("GET", "/v1/x", headers=headers, peer="10.0.0.1")).status == 200
        assert run(stacked, environ("GET", "/v1/x", headers=headers, peer="203.0.113.9")).status == 403

    assert [environ["REMOTE_ADDR"] for environ in app.environs] == ["203.0.113.9"] * 3


# --- answers --------------------------------------------------------------------------------------------------------


def test_a_middleware_that_answers_by_itself_is_left_alone() -> None:
    events: list[Any] = []
    app = App()

    def short(_app: Any) -> Any:
        return hello

    answer = run(stack(app, partial(Protocol, emit=events.append), short, Tenant), environ())

    assert answer.body == b"hello"
    assert answer.header("X-Request-Id")
    assert app.calls == 0
    assert [event.status for event in named(events, "request.finished")] == [200]


def test_a_middleware_that_turns_errors_into_answers_hides_them_from_the_outer_layers_only() -> None:
    outer: list[Any] = []

    def failing(environ: Any, start_response: Any) -> Any:
        raise ValueError("x")

    def catching(app: Any) -> Any:
        def caught(environ: Any, start_response: Any) -> Any:
            try:
                return app(environ, start_response)
            except ValueError:
                start_response("502 Bad Gateway", [])
                return [b"caught"]

        return caught

    sent = serve(stack(failing, partial(Protocol, emit=outer.append), catching, Tenant), environ())

    assert (sent.status, sent.body) == (502, b"caught")
    assert [event.status for event in named(outer, "request.finished")] == [502]


def test_a_middleware_may_change_an_answer_and_a_refusal() -> None:
    def stamping(app: Any) -> Any:
        def stamped(environ: Any, start_response: Any) -> Any:
            def starting(status: str, headers: Any, exc_info: Any = None) -> Any:
                return start_response(status, [*headers, ("X-Stamp", "1")])

            return [chunk.upper() for chunk in app(environ, starting)]

        return stamped

    app = stack(hello, Tenant, stamping, Protocol)

    assert (run(app, environ()).body, run(app, environ()).header("X-Stamp")) == (b"HELLO", "1")
    refused = run(app, environ("BREW", "/"))
    assert (refused.status, refused.header("X-Stamp")) == (405, "1")


# --- bodies ---------------------------------------------------------------------------------------------------------


class Wrapped:
    """A stream around the one that was there: what counts, limits or logs uploads."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.taken = 0

    def read(self, *size: int) -> bytes:
        got = self._stream.read(*size)
        self.taken += len(got)
        return got


def wrapping(app: Any) -> Any:
    def wrapped(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"] = Wrapped(environ["wsgi.input"])
        return app(environ, start_response)

    return wrapped


def buffering(app: Any) -> Any:
    """Reads the whole body and puts another stream in its place."""

    def buffered(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or -1)))
        return app(environ, start_response)

    return buffered


def replacing(app: Any) -> Any:
    def replaced(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"] = io.BytesIO(b'{"new": 1}')
        environ["CONTENT_LENGTH"] = "10"
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return app(environ, start_response)

    return replaced


def skipping(app: Any) -> Any:
    """Reads two bytes and leaves it at that."""

    def skipped(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read(2)
        return app(environ, start_response)

    return skipped


OLD, NEW = b'{"old": true}', b'{"new": 1}'

# (id, middleware in between, whether a layer outside reads, whether one inside does, the body from there on)
BODIES = [
    ("wrapped, nobody reads", wrapping, False, False, OLD),
    ("wrapped, read inside", wrapping, False, True, OLD),
    ("wrapped, read outside", wrapping, True, False, OLD),
    ("wrapped, read on both sides", wrapping, True, True, OLD),
    ("buffered, nobody reads", buffering, False, False, OLD),
    ("buffered, read inside", buffering, False, True, OLD),
    ("buffered, read outside", buffering, True, False, OLD),
    ("buffered, read on both sides", buffering, True, True, OLD),
    ("replaced, nobody reads", replacing, False, False, NEW),
    ("replaced, read inside", replacing, False, True, NEW),
    ("replaced, read outside", replacing, True, False, NEW),
    ("replaced, read on both sides", replacing, True, True, NEW),
    ("read in part, read outside before", skipping, True, False, OLD),
    ("read in part, read on both sides", skipping, True, True, OLD),
]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize("copied", [(), (copying,)], ids=["in place", "in a copy"])
@pytest.mark.parametrize("row", cases(BODIES, 14))
def test_the_app_and_the_layers_inside_get_one_body(row: Any, copied: Any, chunked: bool) -> None:
    _, middleware, outside, inside, expected = row
    seen: list[bytes] = []
    app = App()
    outer = reader([], name="outer") if outside else Tenant
    inner = reader(seen, name="inner") if inside else Tenant
    request = environ("POST", "/", headers=JSON, body=OLD, chunked=chunked)
    sent = serve(stack(app, outer, *copied, middleware, inner), request)

    assert sent.status == 200
    assert app.bodies == [expected]
    assert seen == ([expected] if inside else [])


def test_a_replaced_body_is_judged_anew() -> None:
    def spoiling(app: Any) -> Any:
        def spoilt(environ: Any, start_response: Any) -> Any:
            environ["wsgi.input"] = io.BytesIO(b'{"a":1,"a":2}')
            environ["CONTENT_LENGTH"] = "13"
            return app(environ, start_response)

        return spoilt

    request = environ("POST", "/", headers=JSON, body=OLD)

    assert code_of(run(stack(hello, Protocol, spoiling, Protocol), request)) == "BSE1121"


def test_a_body_that_somebody_read_from_before_any_layer_is_incomplete() -> None:
    refused = serve(stack(App(), skipping, Protocol), environ("POST", "/", headers=JSON, body=OLD))
    app = App()
    events: list[Any] = []
    monitored = partial(Protocol, mode="monitor", emit=events.append)
    passed = serve(stack(app, skipping, monitored), environ("POST", "/", headers=JSON, body=OLD))

    assert (refused.status, code_of(refused)) == (400, "BSE1120")
    assert (passed.status, app.bodies, rules_of(events)) == (200, [OLD[2:]], ["body.incomplete"])
