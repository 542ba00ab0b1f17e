"""The size of bodies: what is refused, what is read for that, and paths that stream."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ
from tests.wsgi.support import App, Breaking, Counting, Untouchable, cases, code_of, hello, reader, rules_of, serve

INSPECT, HARD = 2048, 8192
LIMITS: dict[str, Any] = {"INSPECT_BYTES_MAX": INSPECT, "BODY_BYTES_MAX": HARD}

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def quoted(size: int) -> bytes:
    """A JSON text of *size* bytes."""
    return b'"' + b"a" * (size - 2) + b'"'


# (id, media type, size, status declared, status chunked, rule declared, rule chunked, most bytes read when chunked)
SIZES = [
    ("JSON at the inspection limit", JSON, INSPECT, 200, 200, "", "", INSPECT),
    ("JSON a byte over it", JSON, INSPECT + 1, 413, 413, "body.size", "body.size", INSPECT + 1),
    ("JSON far over it", JSON, HARD - 1, 413, 413, "body.size", "body.size", INSPECT + 1),
    ("JSON over the hard maximum", JSON, HARD + 1, 413, 413, "protocol.body.size", "body.size", INSPECT + 1),
    ("a form over the inspection limit", FORM, INSPECT + 1, 200, 200, "", "", INSPECT + 1),
    ("a form at the hard maximum", FORM, HARD, 200, 200, "", "", HARD),
    ("a form a byte over it", FORM, HARD + 1, 413, 413, "protocol.body.size", "body.size", HARD + 1),
    ("a form far over it", FORM, HARD * 50, 413, 413, "protocol.body.size", "body.size", HARD + 1),
]


@pytest.mark.parametrize("row", cases(SIZES, 8))
def test_a_declared_body_over_a_limit_is_refused_unread(row: Any) -> None:
    _, media_type, size, status, _, rule, _, _ = row
    events: list[Any] = []
    data = quoted(size)
    source = Counting(data)
    request = environ("POST", "/", headers={"Content-Type": media_type}, body=data) | {"wsgi.input": source}
    app = App()
    sent = serve(Protocol(app, settings=LIMITS, emit=events.append), request)

    assert (sent.status, code_of(sent)) == (status, "BSE1119" if status == 413 else "")
    assert app.bodies == ([data] if status == 200 else [])
    assert source.taken == (size if status == 200 else 0)
    assert rule in [*rules_of(events), ""]
    assert bool(rules_of(events)) == bool(rule)


@pytest.mark.parametrize("piece", [1 << 30, 100])
@pytest.mark.parametrize("row", cases(SIZES, 8))
def test_a_chunked_body_over_a_limit_is_refused_when_the_limit_is_passed(row: Any, piece: int) -> None:
    _, media_type, size, _, status, _, rule, most = row
    events: list[Any] = []
    data = quoted(size)
    source = Counting(data, piece)
    request = environ("POST", "/", headers={"Content-Type": media_type}, body=data, chunked=True)
    app = App()
    sent = serve(Protocol(app, settings=LIMITS, emit=events.append), request | {"wsgi.input": source})

    assert (sent.status, code_of(sent)) == (status, "BSE1119" if status == 413 else "")
    assert app.bodies == ([data] if status == 200 else [])
    assert source.taken <= most
    assert rules_of(events) == ([rule] if rule else [])


def test_a_body_that_claims_more_than_anybody_has_is_refused_unread() -> None:
    source = Untouchable()
    request = environ("POST", "/", headers={"Content-Length": "9" * 15}) | {"wsgi.input": source}

    assert serve(Protocol(hello), request).status == 413
    assert not source.touched


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_the_smallest_limit_of_several_readers_refuses(chunked: bool) -> None:
    app = stack(App(), reader([], name="large", bytes_max=5000), reader([], name="small", bytes_max=1000))
    request = environ("POST", "/", body=b"x" * 2000, chunked=chunked)

    assert code_of(serve(app, request)) == "BSE1119"


# --- broken bodies --------------------------------------------------------------------------------------------------

# (id, how the body ends, whether it is chunked, rule)
BROKEN = [
    ("chunks that break at once", Breaking(b""), True, "body.broken"),
    ("chunks that break late", Breaking(b"a" * 1000, piece=10), True, "body.broken"),
    ("a declared body that breaks", Breaking(b'{"a":'), False, "body.broken"),
    ("a declared body that ends early", Counting(b'{"a":'), False, "body.incomplete"),
    ("a declared body that never comes", Counting(b""), False, "body.incomplete"),
]


@pytest.mark.parametrize("row", cases(BROKEN, 5))
def test_a_broken_body_is_refused_and_never_a_fault(row: Any) -> None:
    _, stream, chunked, rule = row
    stream.seek(0)
    events: list[Any] = []
    app = App()
    request = environ("POST", "/", headers={"Content-Type": JSON}, body=b"x" * 100, chunked=chunked)
    sent = serve(Protocol(app, emit=events.append), request | {"wsgi.input": stream})

    assert (sent.status, code_of(sent)) == (400, "BSE1120")
    assert rule in rules_of(events)
    assert app.calls == 0


def test_a_declared_body_that_breaks_unread_is_the_app_s_to_meet() -> None:
    stream = Breaking(b"a=")
    request = environ("POST", "/", headers={"Content-Type": FORM}, body=b"x" * 100) | {"wsgi.input": stream}
    sent = serve(Protocol(App()), request)

    assert sent.error is None
    assert sent.body == b"a="


# --- streaming paths ------------------------------------------------------------------------------------------------

STREAMING = {**LIMITS, "STREAMING_PATHS": ["/ingest/**"]}

# (id, path, whether it streams)
PATHS = [
    ("the path itself", "/ingest", True),
    ("below it", "/ingest/a/b", True),
    ("beside it", "/ingestion", False),
    ("above it", "/", False),
    ("in capitals", "/INGEST/a", False),
    ("escaped, which is the same path", "/%69ngest/a", True),
]


@pytest.mark.parametrize("row", cases(PATHS, 6))
def test_the_body_of_a_streaming_path_is_never_read_before_the_app(row: Any) -> None:
    _, path, streams = row
    taken: list[int] = []
    seen: list[bytes] = []
    data = quoted(1000)
    source = Counting(data, piece=10)
    app = App()

    def noting(environ: Any, start_response: Any) -> Any:
        taken.append(source.taken)
        return app(environ, start_response)

    layers = [partial(layer, settings=STREAMING) for layer in (Protocol, Tenant, reader(seen))]
    request = environ("POST", path, headers={"Content-Type": JSON}, body=data, chunked=True) | {"wsgi.input": source}
    sent = serve(stack(noting, *layers), request)

    assert sent.status == 200
    assert taken == [0 if streams else len(data)]
    assert (app.streams[0] is source) == streams
    assert app.bodies == [data]
    assert seen == ([] if streams else [data])


def test_the_head_of_a_streaming_path_is_judged_like_any_other() -> None:
    app = Protocol(hello, settings=STREAMING)
    framing = {"Transfer-Encoding": "chunked", "Content-Length": "2"}

    assert serve(app, environ("BREW", "/ingest")).status == 405
    assert serve(app, environ("POST", "/ingest", headers=framing)).status == 400
    assert serve(app, environ("POST", "/ingest", body=b"x" * (HARD + 1))).status == 413


def test_a_streaming_path_breaks_where_the_app_reads_it() -> None:
    stream = Breaking(b"abc")
    sent = serve(Protocol(App(), settings=STREAMING), environ("POST", "/ingest", chunked=True) | {"wsgi.input": stream})

    assert sent.error is stream.error
