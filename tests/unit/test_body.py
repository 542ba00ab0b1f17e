"""The body object: read at most once, bounded, and handed on as the bytes that were judged."""

from __future__ import annotations

import gc
import io
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core import codes
from bsguard.core.body import SPOOL_MEMORY_BYTES_MAX
from bsguard.core.errors import BodyError
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.testing import environ
from tests.unit.support import table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.core.body import Body

MAX = 1 << 20
_open: list[Request] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def body_of(request: dict[str, Any], bytes_max: int) -> Body:
    """A body that is closed when the test is over."""
    _open.append(Request.of(request, Settings(body_bytes_max=bytes_max))[0])
    return _open[-1].body


class Stream(io.RawIOBase):
    """A server's stream that counts what was taken from it, and may break after some bytes."""

    def __init__(self, data: bytes, *, breaks: Exception | None = None) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._breaks = breaks
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._data.read(size)
        if not piece and size and self._breaks is not None:
            raise self._breaks
        self.taken += len(piece)
        return piece


def sent(stream: Any, *, length: int | str | None = None, chunked: bool = False, **more: Any) -> dict[str, Any]:
    made = environ("POST", "/", chunked=chunked, **more) | {"wsgi.input": stream}
    if length is not None:
        made["CONTENT_LENGTH"] = str(length)
    return made


def failure(body: Body, bytes_max: int = MAX) -> BodyError:
    with pytest.raises(BodyError) as caught:
        body.load(bytes_max)
    return caught.value


FRAMINGS: dict[str, tuple[dict[str, Any], bool, int, str]] = {
    "nothing said": ({}, False, 0, ""),
    "an empty length": ({"CONTENT_LENGTH": ""}, False, 0, ""),
    "no bytes": ({"CONTENT_LENGTH": "0"}, False, 0, ""),
    "some bytes": ({"CONTENT_LENGTH": "17"}, True, 17, ""),
    "leading zeros": ({"CONTENT_LENGTH": "0017"}, True, 17, ""),
    "chunks": ({"HTTP_TRANSFER_ENCODING": "chunked"}, True, 0, ""),
    "chunks in capitals": ({"HTTP_TRANSFER_ENCODING": " CHUNKED\t"}, True, 0, ""),
    "a sign": ({"CONTENT_LENGTH": "+17"}, True, 0, "Content-Length is not a plain number"),
    "a minus": ({"CONTENT_LENGTH": "-1"}, True, 0, "Content-Length is not a plain number"),
    "two lengths": ({"CONTENT_LENGTH": "17, 17"}, True, 0, "Content-Length is not a plain number"),
    "sixteen digits": ({"CONTENT_LENGTH": "1" * 16}, True, 0, "Content-Length is not a plain number"),
    "digits of another script": ({"CONTENT_LENGTH": "\xb2"}, True, 0, "Content-Length is not a plain number"),
    "a hexadecimal length": ({"CONTENT_LENGTH": "0x1"}, True, 0, "Content-Length is not a plain number"),
    "both": (
        {"CONTENT_LENGTH": "17", "HTTP_TRANSFER_ENCODING": "chunked"},
        True,
        17,
        "Content-Length beside Transfer-Encoding",
    ),
    "chunks and no bytes": (
        {"CONTENT_LENGTH": "0", "HTTP_TRANSFER_ENCODING": "chunked"},
        True,
        0,
        "Content-Length beside Transfer-Encoding",
    ),
    "another coding": ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, True, 0, "Transfer-Encoding is not just chunked"),
    "no coding": ({"HTTP_TRANSFER_ENCODING": ""}, True, 0, "Transfer-Encoding is not just chunked"),
    "chunks twice": ({"HTTP_TRANSFER_ENCODING": "chunked,chunked"}, True, 0, "Transfer-Encoding is not just chunked"),
    "chunks that the server leaves": (
        {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": False},
        True,
        0,
        "the server does not decode chunked bodies",
    ),
}


@pytest.mark.parametrize(("keys", "present", "length", "misframed"), table(19, FRAMINGS))
def test_the_framing_is_read_from_the_head(keys: dict[str, Any], present: bool, length: int, misframed: str) -> None:
    stream = Stream(b"x" * 40)
    body = body_of(environ("POST", "/") | keys | {"wsgi.input": stream}, MAX)

    assert (body.present, body.length, body.misframed) == (present, length, misframed)
    assert body.chunked is ("HTTP_TRANSFER_ENCODING" in keys)
    assert not body.touched
    assert stream.taken == 0


def test_a_body_whose_framing_is_broken_is_never_read() -> None:
    stream = Stream(b"x" * 40)
    body = body_of(sent(stream, length="1, 2"), MAX)

    assert failure(body).code is codes.INVALID_FRAMING
    assert failure(body).rule == "body.framing"
    assert stream.taken == 0


def test_a_body_that_is_not_there_is_empty() -> None:
    stream = Stream(b"GET /smuggled")
    body = body_of(sent(stream), MAX)
    body.load(MAX)

    assert body.read(10) == b""
    assert stream.taken == 0


def test_not_a_byte_more_than_declared_is_taken() -> None:
    stream = Stream(b"12345GET /smuggled")
    body = body_of(sent(stream, length=5), MAX)

    assert body.read(10) == b"12345"
    assert body.read(5) == b"12345"
    assert stream.taken == 5


def test_a_body_declared_over_a_limit_is_refused_without_reading() -> None:
    stream = Stream(b"x" * 100)
    body = body_of(sent(stream, length=100), 99)

    with pytest.raises(BodyError) as caught:
        body.read(98)
    assert caught.value.reason == "declared length is over 98 bytes"
    assert failure(body, 99).reason == "declared length is over 99 bytes"
    assert failure(body, 99).code is codes.BODY_TOO_LARGE
    assert stream.taken == 0


def test_a_chunked_body_is_read_one_byte_past_its_limit_at_most() -> None:
    stream = Stream(b"x" * 1000)
    body = body_of(sent(stream, chunked=True), MAX)

    assert failure(body, 100).rule == "body.size"
    assert stream.taken == 101


def test_a_chunked_body_of_exactly_the_limit_passes() -> None:
    body = body_of(sent(Stream(b"x" * 100), chunked=True), 100)

    assert body.read(100) == b"x" * 100


def test_reading_goes_on_where_a_smaller_limit_stopped_it() -> None:
    stream = Stream(bytes(range(256)) * 4)
    body = body_of(sent(stream, chunked=True), MAX)
    failure(body, 100)
    failure(body, 50)

    assert stream.taken == 101
    assert body.read(1024) == bytes(range(256)) * 4


def test_a_read_body_that_is_over_the_asked_limit_is_refused_every_time() -> None:
    body = body_of(sent(Stream(b"x" * 100), chunked=True), MAX)
    body.load(MAX)

    for _ in range(2):
        with pytest.raises(BodyError, match="longer than 99 bytes"):
            body.read(99)
    assert body.read(100) == b"x" * 100


def test_a_short_body_is_incomplete_and_stays_so() -> None:
    body = body_of(sent(Stream(b"123"), length=5), MAX)

    for _ in range(2):
        error = failure(body)
        assert (error.rule, error.code) == ("body.incomplete", codes.BODY_BROKEN)
        assert error.reason == "ended after 3 of 5 bytes"


@pytest.mark.parametrize("breaks", [OSError("c4nary7"), ValueError("c4nary7"), TimeoutError("c4nary7"), EOFError()])
def test_whatever_a_server_raises_is_a_broken_body(breaks: Exception) -> None:
    body = body_of(sent(Stream(b"123", breaks=breaks), chunked=True), MAX)
    error = failure(body)

    assert (error.rule, error.code) == ("body.broken", codes.BODY_BROKEN)
    assert error.reason == f"reading it failed with {type(breaks).__name__}"
    assert failure(body) is error


def test_an_untouched_body_is_left_as_it_is() -> None:
    stream = Stream(b"12345")
    request = sent(stream, length=5)
    body = body_of(request, MAX)
    body.rewind(request)

    assert request["wsgi.input"] is stream
    assert body.belongs_to(request)
    assert not body.touched


@pytest.mark.parametrize("size", [1, SPOOL_MEMORY_BYTES_MAX, SPOOL_MEMORY_BYTES_MAX + 1])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_loaded_body_is_replayed_as_often_as_it_is_rewound(size: int, chunked: bool) -> None:
    data = bytes(number % 251 for number in range(size))
    request = sent(Stream(data), length=None if chunked else size, chunked=chunked)
    body = body_of(request, MAX)
    body.load(MAX)
    for _ in range(3):
        body.rewind(request)
        assert request["wsgi.input"].read(1) == data[:1]
        assert request["wsgi.input"].read() == data[1:]
        assert request["wsgi.input"].read() == b""

    assert body.belongs_to(request)
    assert request["wsgi.input_terminated"] is True
    assert body.read(MAX) == data


def test_a_body_stopped_by_its_limit_is_replayed_with_its_unread_rest() -> None:
    data = b"line one\nline two\n" * 50
    request = sent(Stream(data), chunked=True)
    body = body_of(request, MAX)
    failure(body, 100)
    body.rewind(request)

    assert request["wsgi.input"].readline() == b"line one\n"
    assert request["wsgi.input"].read() == data[9:]
    with pytest.raises(BodyError, match="longer than 100 bytes"):
        body.load(MAX)


def test_a_declared_body_stopped_by_a_break_is_replayed_up_to_the_break() -> None:
    broken = ConnectionResetError("gone")
    request = sent(Stream(b"12345", breaks=broken), length=10)
    body = body_of(request, MAX)
    failure(body)
    body.rewind(request)

    assert request["wsgi.input"].read(5) == b"12345"
    with pytest.raises(ConnectionResetError) as caught:
        request["wsgi.input"].read(1)
    assert caught.value is broken


def test_a_short_declared_body_is_replayed_short() -> None:
    request = sent(Stream(b"123"), length=5)
    body = body_of(request, MAX)
    failure(body)
    body.rewind(request)

    assert request["wsgi.input"].read() == b"123"


def test_the_unread_rest_of_a_declared_body_ends_where_it_was_declared_to_end() -> None:
    class Hesitant(Stream):
        """Says once that it is at its end, and then goes on."""

        said = False

        def read(self, size: int = -1) -> bytes:
            if self.taken == 4 and not self.said:
                self.said = True
                return b""
            return super().read(size if self.said else min(size, 4))

    request = sent(Hesitant(b"1234567890GET /smuggled"), length=10)
    body = body_of(request, MAX)

    assert failure(body).rule == "body.incomplete"
    body.rewind(request)
    assert request["wsgi.input"].read() == b"1234567890"


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_that_cannot_be_kept_is_the_guards_failure_and_still_replayed_whole(
    monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    data = bytes(number % 251 for number in range(200_000))
    request = sent(Stream(data), length=None if chunked else len(data), chunked=chunked)
    body = body_of(request, MAX)
    error = failure(body)
    body.rewind(request)

    assert (error.rule, error.code) == ("body.spool", codes.GUARD_FAILED)
    assert request["wsgi.input"].read() == data


def test_a_body_is_kept_in_memory_up_to_its_bound_and_then_in_a_file_without_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    body_of(sent(Stream(b"x" * SPOOL_MEMORY_BYTES_MAX), chunked=True), MAX).load(MAX)
    assert failure(body_of(sent(Stream(b"x" * (SPOOL_MEMORY_BYTES_MAX + 1)), chunked=True), MAX)).rule == "body.spool"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    body_of(sent(Stream(b"x" * (SPOOL_MEMORY_BYTES_MAX + 1)), chunked=True), MAX).load(MAX)

    assert list(tmp_path.iterdir()) == []
    assert SPOOL_MEMORY_BYTES_MAX == 64 * 1024


@pytest.mark.parametrize("size", [100, 200_000])
def test_what_is_kept_is_freed_when_the_request_is_over(size: int) -> None:
    request = sent(Stream(b"x" * size), length=size)
    view, _ = Request.of(request, Settings())
    view.body.load(MAX)
    view.body.rewind(request)
    kept = request["wsgi.input"]
    view.close()

    assert kept.closed
    assert Request.of(request, Settings())[1], "an environ that is used again is another request"


def test_a_body_that_nobody_closes_is_freed_without_a_word() -> None:
    request = sent(Stream(b"x" * 200_000), length=200_000)
    Request.of(request, Settings())[0].body.load(MAX)
    request.clear()
    gc.collect()  # a warning here fails the test


def test_another_stream_in_the_environ_is_another_body() -> None:
    request = sent(Stream(b"12345"), length=5)
    body = body_of(request, MAX)
    request["wsgi.input"] = io.BytesIO(b"other")

    assert not body.belongs_to(request)


def test_when_a_request_is_over_the_environ_has_the_servers_stream_again() -> None:
    stream = Stream(b"12345")
    request = sent(stream, length=5)
    view, _ = Request.of(request, Settings())
    view.body.load(MAX)
    view.body.rewind(request)
    assert request["wsgi.input"] is not stream
    view.close()

    assert request["wsgi.input"] is stream
    assert not stream.closed


def test_a_stream_that_somebody_else_put_in_place_stays_there() -> None:
    request = sent(Stream(b"12345"), length=5)
    view, _ = Request.of(request, Settings())
    view.body.load(MAX)
    view.body.rewind(request)
    request["wsgi.input"] = other = io.BytesIO(b"other")
    view.close()

    assert request["wsgi.input"] is other
