"""Whatever the application answers goes out as it is, and the layers observe what really happened."""

from __future__ import annotations

import io
import sys
from functools import partial
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from bsguard import Protocol, Tenant, stack
from bsguard.testing import environ
from tests.wsgi.support import cases, named, observer, passing, serve

OK = [("Content-Type", "text/plain")]


class Chunks:
    """A response that counts what is done with it."""

    def __init__(self, *chunks: bytes, error: Exception | None = None, close_error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self._close_error = close_error
        self.closed = 0
        self.taken = 0

    def __iter__(self) -> Any:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed += 1
        if self._close_error is not None:
            raise self._close_error


def answering(response: Any, status: str = "200 OK") -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, OK)
        return response

    return app


def watched(app: Any, seen: list[Any], events: list[Any] | None = None, between: Any = ()) -> Any:
    """*app* behind two layers with observers on both sides of *between*."""
    emit = (lambda event: None) if events is None else events.append
    layers = (observer(seen, name="outer"), Protocol, *between, Tenant, observer(seen, name="inner"))
    return stack(app, *(partial(layer, emit=emit) if isinstance(layer, type) else layer for layer in layers))


WAYS = {"fused": (), "interrupted": (passing,)}
every_way = pytest.mark.parametrize("way", WAYS)

SHAPES = [
    ("a list", lambda: [b"one ", b"two"]),
    ("a tuple", lambda: (b"one ", b"two")),
    ("a generator", lambda: (chunk for chunk in (b"one ", b"two"))),
    ("an iterator", lambda: iter([b"one ", b"two"])),
    ("empty chunks among others", lambda: [b"", b"one ", b"", b"two", b""]),
    ("an object with close", lambda: Chunks(b"one ", b"two")),
    ("a file", lambda: io.BytesIO(b"one two")),
    ("a file wrapper", lambda: FileWrapper(io.BytesIO(b"one two"))),
]


@every_way
@pytest.mark.parametrize("row", cases(SHAPES, 8))
def test_a_response_of_any_shape_goes_out_as_it_is(row: Any, way: str) -> None:
    seen: list[Any] = []
    sent = serve(watched(answering(row[1]()), seen, between=WAYS[way]), environ())

    assert (sent.line, sent.body) == ("200 OK", b"one two")
    assert [head.status for head in seen] == [200, 200]


@pytest.mark.parametrize("response", [[], (), iter(())], ids=["a list", "a tuple", "an iterator"])
def test_an_empty_response_is_one_too(response: Any) -> None:
    seen: list[Any] = []
    sent = serve(watched(answering(response, "204 No Content"), seen), environ())

    assert (sent.status, sent.body) == (204, b"")
    assert [head.status for head in seen] == [204, 204]


@every_way
def test_what_is_returned_has_no_length_whatever_it_wraps(way: str) -> None:
    returned = watched(answering([b"one"]), [], between=WAYS[way])(environ(), lambda *_: None)

    assert not hasattr(returned, "__len__")
    returned.close()


@every_way
def test_a_file_wrapper_is_handed_on_untouched(way: str) -> None:
    seen: list[Any] = []
    events: list[Any] = []
    response = FileWrapper(io.BytesIO(b"file"))
    request = environ(**{"wsgi.file_wrapper": FileWrapper})
    sent = serve(watched(answering(response), seen, events, WAYS[way]), request)

    assert sent.returned is response
    assert sent.body == b"file"
    assert response.filelike.closed
    assert [head.status for head in seen] == [200, 200]
    assert [event.status for event in named(events, "request.finished")] == [200]


# --- close ----------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("take", [None, 0, 1])
def test_close_is_called_once(way: str, take: int | None) -> None:
    response = Chunks(b"one", b"two")
    serve(watched(answering(response), [], between=WAYS[way]), environ(), take=take)

    assert response.closed == 1


def test_a_server_that_closes_twice_closes_the_response_once() -> None:
    response = Chunks(b"one")
    events: list[Any] = []
    returned = watched(answering(response), [], events)(environ(), lambda *_: None)
    returned.close()
    returned.close()

    assert response.closed == 1
    assert len(named(events, "request.finished")) == 1


@every_way
def test_a_generator_is_closed_where_it_stands(way: str) -> None:
    said: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", OK)
        try:
            yield b"one"
            yield b"two"
        finally:
            said.append("closed")

    sent = serve(watched(app, [], between=WAYS[way]), environ(), take=1)

    assert sent.body == b"one"
    assert said == ["closed"]


@every_way
def test_a_close_that_raises_is_the_server_s_to_meet_and_the_request_is_finished(way: str) -> None:
    seen: list[Any] = []
    events: list[Any] = []
    response = Chunks(b"one", close_error=ValueError("cannot close"))
    with pytest.raises(ValueError, match="cannot close"):
        serve(watched(answering(response), seen, events, WAYS[way]), environ())

    assert [head.status for head in seen] == [200, 200]
    assert len(named(events, "request.finished")) == 1


def test_nothing_is_taken_from_a_response_before_the_server_takes_it() -> None:
    response = Chunks(b"one", b"two")
    returned = watched(answering(response), [])(environ(), lambda *_: None)
    assert response.taken == 0

    chunks = iter(returned)
    assert next(chunks) == b"one"
    assert response.taken == 1
    returned.close()


def test_the_observers_see_the_end_only_at_the_end() -> None:
    seen: list[Any] = []
    returned = watched(answering(Chunks(b"one")), seen)(environ(), lambda *_: None)
    list(returned)
    assert seen == []

    returned.close()
    assert [head.status for head in seen] == [200, 200]


# --- write ----------------------------------------------------------------------------------------------------------


@every_way
def test_write_can_be_called(way: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("201 Created", OK)
        write(b"one ")
        write(b"two ")
        return [b"three"]

    seen: list[Any] = []
    sent = serve(watched(app, seen, between=WAYS[way]), environ())

    assert (sent.status, sent.body) == (201, b"one two three")
    assert sent.header("X-Request-Id")
    assert [head.status for head in seen] == [201, 201]


# --- the true status ------------------------------------------------------------------------------------------------


def late(environ: Any, start_response: Any) -> Any:
    start_response("202 Accepted", OK)
    yield b"late"


def restarting(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)
    try:
        raise ValueError("after all")
    except ValueError:
        start_response("503 Later", OK, sys.exc_info())
    return [b"sorry"]


def restarting_too_late(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)
    yield b"one"
    try:
        raise ValueError("after all")
    except ValueError:
        start_response("503 Later", OK, sys.exc_info())
    yield b"never"


def starting_twice(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)
    start_response("201 Created", OK)
    return [b"never"]


def raising(environ: Any, start_response: Any) -> Any:
    raise ValueError("before")


def raising_after_start(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)
    raise ValueError("after")


def raising_after_write(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)(b"one")
    raise ValueError("after")


def raising_in_first_chunk(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)
    return Chunks(error=ValueError("at once"))


def raising_midway(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", OK)
    return Chunks(b"one", error=ValueError("midway"))


def raising_lazily(environ: Any, start_response: Any) -> Any:
    raise ValueError("before")
    yield b"never"


def never_starting(environ: Any, start_response: Any) -> Any:
    return []


# (id, application, chunks the client takes, status on the wire, statuses that observers may see)
STATUSES = [
    ("a plain answer", answering([b"x"], "404 Not Found"), None, 404, {404}),
    ("a late start", late, None, 202, {202}),
    ("a second start with the error", restarting, None, 503, {503}),
    ("a second start that comes too late", restarting_too_late, None, 200, {200}),
    ("an error before the start", raising, None, 500, {500}),
    ("an error after the start", raising_after_start, None, 500, {500}),
    # What an iterable raises passes by unseen: wrapping every chunk would cost every response.
    ("an error in the first chunk", raising_in_first_chunk, None, 500, {200, 500}),
    # Nor is it kept whether ``write`` sent anything before the error.
    ("an error after the first byte", raising_after_write, None, 200, {200, 500}),
    ("an error midway", raising_midway, None, 200, {200}),
    ("an error in a generator before the start", raising_lazily, None, 500, {0, 500}),
    ("no start at all", never_starting, None, 0, {0}),
    ("a client that goes away at once", answering(Chunks(b"a", b"b")), 0, 0, {200}),
    ("a client that goes away midway", answering(Chunks(b"a", b"b")), 1, 200, {200}),
]


@every_way
@pytest.mark.parametrize("row", cases(STATUSES, 13))
def test_observers_and_events_see_the_status_that_was_sent(row: Any, way: str) -> None:
    _, app, take, wire, true = row
    seen: list[Any] = []
    events: list[Any] = []
    sent = serve(watched(app, seen, events, WAYS[way]), environ(), take=take)

    assert sent.status == wire
    assert len(seen) == 2
    assert {head.status for head in seen} <= true
    assert {head.refused_by for head in seen} == {""}
    assert {event.status for event in named(events, "request.finished")} <= true
    assert len(named(events, "request.finished")) == 1


@every_way
def test_a_second_start_without_an_error_is_the_app_s_fault_and_stays_one(way: str) -> None:
    sent = serve(watched(starting_twice, [], between=WAYS[way]), environ())

    assert isinstance(sent.error, AssertionError)
    assert sent.status == 500


@every_way
def test_observers_see_the_headers_of_the_app(way: str) -> None:
    seen: list[Any] = []
    serve(watched(answering([b"x"]), seen, between=WAYS[way]), environ())

    assert all(("Content-Type", "text/plain") in head.headers for head in seen)


def test_observers_see_who_refused() -> None:
    seen: list[Any] = []
    events: list[Any] = []
    serve(watched(answering([b"x"]), seen, events), environ("BREW", "/"))
    serve(watched(answering([b"x"]), seen, events, WAYS["interrupted"]), environ("BREW", "/"))

    assert [(head.status, head.refused_by) for head in seen] == [(405, "protocol")] * 3  # the inner group saw nothing
    assert [event.refused_by for event in named(events, "request.finished")] == ["protocol", "protocol"]


def test_an_outer_group_sees_that_an_inner_one_refused() -> None:
    seen: list[Any] = []
    app = stack(answering([b"x"]), observer(seen), passing, Protocol)
    sent = serve(app, environ("BREW", "/"))

    assert sent.status == 405
    assert [(head.status, head.refused_by) for head in seen] == [(405, "protocol")]
