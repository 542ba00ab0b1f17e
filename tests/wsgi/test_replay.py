"""What was read is handed on as exactly the same bytes, however the server gives them and the app takes them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, stack
from bsguard.testing import environ, run
from tests.wsgi.support import Counting, copying, hello, pieces, reader

if TYPE_CHECKING:
    from collections.abc import Callable

# Around the sizes where a body moves from memory to a file, and where the inspection limit lies.
SIZES = (1, 2, 65_535, 65_536, 65_537, 131_071, 131_072)


def _by_size(size: int) -> Callable[[Any], bytes]:
    def take(stream: Any) -> bytes:
        got = []
        while piece := stream.read(size):
            got.append(piece)
        return b"".join(got)

    return take


def _mixed(stream: Any) -> bytes:
    return stream.read(1) + stream.readline() + stream.read(10) + b"".join(stream)


TAKES: dict[str, Callable[[Any], bytes]] = {
    "all at once": lambda stream: stream.read(),
    "seven bytes": _by_size(7),
    "an odd kilobyte": _by_size(1021),
    "more than there is": _by_size(1 << 20),
    "lines": lambda stream: b"".join(iter(stream.readline, b"")),
    "short lines": lambda stream: b"".join(iter(lambda: stream.readline(100), b"")),
    "a list of lines": lambda stream: b"".join(stream.readlines()),
    "as an iterator": lambda stream: b"".join(stream),
    "mixed": _mixed,
}


def data_of(size: int) -> bytes:
    """Bytes of every value, with lines, that nobody can put together wrongly without being seen."""
    return b"".join(pieces(bytes(range(256)) * (size // 256 + 1) + b"\n", 251))[:size]


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_the_app_gets_exactly_the_bytes_that_were_judged(take: str, chunked: bool) -> None:
    ran = 0
    for size, piece in itertools.product(SIZES, (1 << 30, 4096)):
        data, seen, got = data_of(size), [], []

        def app(environ: Any, start_response: Any, got: list[bytes] = got) -> list[bytes]:
            got.append(TAKES[take](environ["wsgi.input"]))
            got.append(environ["wsgi.input"].read(10))
            return hello(environ, start_response)

        request = environ("POST", "/", body=data, chunked=chunked) | {"wsgi.input": Counting(data, piece)}
        answer = run(reader(seen)(app), request)

        assert answer.status == 200
        assert seen == [data]
        assert got == [data, b""], (size, piece)
        ran += 1

    assert ran == len(SIZES) * 2 == 14


def test_a_server_that_gives_one_byte_at_a_time_is_waited_for() -> None:
    data = data_of(3000)
    seen: list[bytes] = []
    request = environ("POST", "/", body=data) | {"wsgi.input": Counting(data, piece=1)}

    run(reader(seen)(hello), request)

    assert seen == [data]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_what_describes_the_body_is_left_as_it_was(chunked: bool) -> None:
    request = environ("POST", "/", headers={"Content-Type": "application/json"}, body=b"{}", chunked=chunked)
    before = {key: request.get(key) for key in ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING")}
    after: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        after.append({key: environ.get(key) for key in before})
        after.append(environ["wsgi.input_terminated"])
        return hello(environ, start_response)

    run(Protocol(app), request)

    assert after == [before, True]


def test_a_pipelined_request_behind_the_body_is_not_touched() -> None:
    source = Counting(b'{"a": 1}GET / HTTP/1.1\r\n')
    seen: list[bytes] = []
    request = environ("POST", "/", body=b'{"a": 1}') | {"wsgi.input": source}
    run(stack(hello, reader(seen), Protocol), request)

    assert seen == [b'{"a": 1}']
    assert source.taken == len(b'{"a": 1}')


@pytest.mark.parametrize("between", [(), (copying,)], ids=["fused", "interrupted by a copy"])
def test_a_body_may_be_read_again_and_again(between: Any) -> None:
    got: list[bytes] = []

    def rereading(app: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Any:
            got.append(environ["wsgi.input"].read())
            return app(environ, start_response)

        return middleware

    layers = (reader([]), *between, rereading, reader([]), *between, rereading, reader([]))

    def app(environ: Any, start_response: Any) -> list[bytes]:
        got.append(environ["wsgi.input"].read())
        return hello(environ, start_response)

    run(stack(app, *layers), environ("POST", "/", body=b"same"))

    assert got == [b"same"] * 3


def test_an_app_may_send_the_body_back_through_the_file_wrapper() -> None:
    from wsgiref.util import FileWrapper

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return environ["wsgi.file_wrapper"](environ["wsgi.input"])

    for size in (10, 100_000):
        data = data_of(size)
        request = environ("POST", "/", body=data, **{"wsgi.file_wrapper": FileWrapper})

        assert run(reader([])(app), request).body == data


def test_an_app_may_stream_the_body_back() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        while piece := environ["wsgi.input"].read(1000):
            yield piece

    data = data_of(100_000)

    assert run(reader([])(app), environ("POST", "/", body=data)).body == data
