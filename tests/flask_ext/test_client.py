"""Flask's test client works as it did before: in monitor mode nothing that a suite does gives another answer."""

from __future__ import annotations

import gc
import io
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from flask import g, request, session
from werkzeug.test import EnvironBuilder

from bsguard import BSGuard
from bsguard.testing import capture_events
from tests.flask_ext.support import ENFORCE, MONITOR, cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient


def _upload(client: FlaskClient) -> Any:
    files = {"file": (io.BytesIO(b"\x89PNG" * 30_000), "bild é.png"), "note": "text"}
    return client.post("/upload", data=files, content_type="multipart/form-data")


def _session(client: FlaskClient) -> Any:
    with client.session_transaction() as stored:
        stored["user"] = "bob"
    return client.get("/me")


def _builder(client: FlaskClient) -> Any:
    return client.open(EnvironBuilder("/form", method="PUT", data={"a": "1"}))


# (id, what a suite does with its client, status)
DOINGS: list[tuple[str, Callable[[FlaskClient], Any], int]] = [
    ("a GET", lambda client: client.get("/"), 200),
    ("a HEAD", lambda client: client.head("/"), 200),
    ("an OPTIONS", lambda client: client.options("/"), 200),
    ("a DELETE", lambda client: client.delete("/items/1"), 204),
    ("a POST without a body", lambda client: client.post("/"), 200),
    ("a form", lambda client: client.post("/form", data={"a": ["1", "2"], "text": "<b>é & ü</b>"}), 200),
    ("an upload", _upload, 200),
    ("JSON", lambda client: client.post("/json", json={"a": [1, None, "é"]}), 200),
    ("a PATCH with JSON", lambda client: client.patch("/json", json=[]), 200),
    ("large JSON", lambda client: client.post("/json", json=["x" * 1000] * 100), 200),
    ("very large JSON", lambda client: client.post("/json", json=["x" * 1000] * 1000), 200),
    ("JSON that is none", lambda client: client.post("/json", data="{", content_type="application/json"), 400),
    ("JSON with a doubled key", lambda c: c.post("/json", data='{"a":1,"a":2}', content_type="application/json"), 200),
    ("bytes", lambda client: client.post("/raw", data=b"\x00\xff" * 100), 200),
    ("a stream", lambda client: client.post("/raw", input_stream=io.BytesIO(b"abc"), content_length=3), 200),
    ("a body on a GET", lambda client: client.get("/", data=b"abc"), 200),
    ("a query", lambda client: client.get("/search", query_string={"q": ["a b", "é&="]}), 200),
    ("a path with a space", lambda client: client.get("/items/a b"), 200),
    ("a path with letters", lambda client: client.get("/items/café"), 200),
    ("an escaped path", lambda client: client.get("/items/caf%C3%A9%20au%20lait"), 200),
    ("an encoded slash", lambda client: client.get("/items/a%2Fb"), 200),
    ("no path", lambda client: client.get(""), 308),
    ("a page that is missing", lambda client: client.get("/nowhere"), 404),
    ("a method that is not taken", lambda client: client.post("/search"), 405),
    ("a method that nobody knows", lambda client: client.open("/", method="BREW"), 405),
    ("a redirect", lambda client: client.get("/login?user=eve"), 302),
    ("a redirect that is followed", lambda client: client.get("/login?user=eve", follow_redirects=True), 200),
    ("a session of its own making", _session, 200),
    ("basic credentials", lambda client: client.get("/who", auth=("ann", "secret")), 200),
    ("a bearer token", lambda client: client.get("/who", headers={"Authorization": "Bearer abc"}), 200),
    ("odd credentials", lambda client: client.get("/who", headers={"Authorization": "a b c, d"}), 200),
    ("another host", lambda client: client.get("/search", base_url="http://shop.test:8080/"), 200),
    ("HTTPS", lambda client: client.get("/where", base_url="https://shop.test/"), 200),
    ("another client", lambda client: client.get("/where", environ_base={"REMOTE_ADDR": "203.0.113.9"}), 200),
    ("an edited environ", lambda client: client.get("/", environ_overrides={"SERVER_PROTOCOL": "HTTP/9.9"}), 200),
    ("a proxy's headers", lambda client: client.get("/where", headers={"X-Forwarded-Proto": "https"}), 200),
    ("a method override", lambda client: client.post("/", headers={"X-HTTP-Method-Override": "DELETE"}), 200),
    ("a builder", _builder, 405),
    ("a streamed answer", lambda client: client.get("/stream"), 200),
    ("a buffered answer", lambda client: client.get("/stream", buffered=True), 200),
    ("chunks that nobody decodes", lambda c: c.post("/raw", data=b"x", headers={"Transfer-Encoding": "chunked"}), 200),
]


def told(answer: Any) -> tuple[Any, ...]:
    headers = [(name, value) for name, value in answer.headers if name != "X-Request-Id"]
    return answer.status, headers, answer.data, [past.status for past in answer.history]


@pytest.mark.parametrize("row", cases(DOINGS, 41))
def test_every_answer_is_what_it_was(row: Any, make_app: Any) -> None:
    bare, monitored = make_app(SECRET_KEY="k"), make_app(SECRET_KEY="k", **MONITOR)
    BSGuard(monitored)
    with row[1](bare.test_client()) as expected, row[1](monitored.test_client()) as answer:
        assert expected.status_code == row[2]
        assert told(answer) == told(expected)
        assert answer.headers["X-Request-Id"]


#: What such a suite does that no client on the network may: reported in monitor mode, refused when enforcing.
REFUSED = {
    "JSON that is none",
    "JSON with a doubled key",
    "very large JSON",
    "a body on a GET",
    "a path with a space",
    "a path with letters",
    "an encoded slash",
    "no path",
    "a method that nobody knows",
    "odd credentials",
    "another client",
    "an edited environ",
    "a proxy's headers",
    "a method override",
    "chunks that nobody decodes",
}


@pytest.mark.parametrize("row", cases(DOINGS, 41))
def test_alarms_are_raised_by_what_enforcing_refuses_and_nothing_else(row: Any, make_app: Any) -> None:
    monitored, enforcing = make_app(SECRET_KEY="k", **MONITOR), make_app(SECRET_KEY="k", **ENFORCE)
    BSGuard(monitored)
    BSGuard(enforcing)
    with capture_events() as events:
        row[1](monitored.test_client()).close()
    with row[1](enforcing.test_client()) as answer:
        refused = answer.is_json and answer.status_code >= 400 and answer.get_json().get("status") == "error"

    assert bool([event for event in events if hasattr(event, "rule")]) == (row[0] in REFUSED)
    assert refused == (row[0] in REFUSED)


def test_the_refused_are_all_in_the_table() -> None:
    assert {row[0] for row in DOINGS} >= REFUSED
    assert len(REFUSED) == 15


# --- what a suite looks at afterwards -------------------------------------------------------------------------------


@pytest.fixture
def app(make_app: Any) -> Flask:
    made: Flask = make_app(SECRET_KEY="k", TESTING=True, **MONITOR)
    BSGuard(made)
    return made


def test_the_context_is_kept_in_a_with_block(app: Flask) -> None:
    with app.test_client() as client:
        client.get("/")
        assert g.visited
        client.get("/login?user=eve")
        assert session["user"] == "eve"
        client.get("/search?q=1")
        assert request.args["q"] == "1"


def test_errors_reach_the_suite(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        app.test_client().get("/fail")

    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = app.test_client().get("/fail")
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"]


def test_functions_around_requests_run_once_each(app: Flask) -> None:
    ran: list[str] = []
    app.before_request(lambda: ran.append("before"))
    app.after_request(lambda response: ran.append("after") or response)
    app.teardown_request(lambda error: ran.append("teardown"))
    app.teardown_appcontext(lambda error: ran.append("context"))
    app.test_client().get("/")

    assert sorted(ran) == ["after", "before", "context", "teardown"]


def test_request_contexts_of_the_suite_s_own_work(app: Flask) -> None:
    with app.test_request_context("/search?q=1", method="POST", json={"a": 1}):
        assert app.preprocess_request() is None
        assert request.get_json() == {"a": 1}
        assert request.args["q"] == "1"


def test_several_clients_keep_their_sessions_apart(app: Flask) -> None:
    one, two = app.test_client(), app.test_client()
    one.get("/login?user=one")
    two.get("/login?user=two")

    assert (one.get("/me").text, two.get("/me").text, app.test_client().get("/me").text) == ("one", "two", "nobody")


def test_a_test_client_of_the_suite_s_own_class_works(app: Flask) -> None:
    from flask.testing import FlaskClient

    class Counting(FlaskClient):
        count = 0

        def open(self, *args: Any, **kwargs: Any) -> Any:
            Counting.count += 1
            return super().open(*args, **kwargs)

    app.test_client_class = Counting
    app.test_client().get("/")

    assert Counting.count == 1


def test_a_suite_that_closes_no_answer_gets_no_warnings_for_it(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client never closes a response by itself, and many suites run with ``-W error``."""
    import sys

    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hook: unraisable.append(hook.exc_value))
    client = app.test_client()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            assert client.post("/json", json=["x" * 1000] * 100).status_code == 200
        client.get("/").close()
        gc.collect()

    assert unraisable == []
