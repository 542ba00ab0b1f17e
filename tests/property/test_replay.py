"""A body that was judged is read by the app as exactly the same bytes, whoever reads how, and wherever it breaks."""

from __future__ import annotations

import io
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from bsguard.core.body import SPOOL_MEMORY_BYTES_MAX, Body
from bsguard.core.errors import BodyError
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.testing import environ
from tests.property.support import looks

if TYPE_CHECKING:
    from collections.abc import Iterator

SPOOL = SPOOL_MEMORY_BYTES_MAX
MAX = 4 * SPOOL
#: Every byte, lines of odd lengths, and no period that a piece could be shifted by without being seen.
DATA = b"".join(bytes([number % 251]) * (number % 7) + (b"\n" if number % 3 == 0 else b"") for number in range(90_000))[
    :MAX
]

sizes = st.sampled_from(
    [0, 1, 2, 100, SPOOL - 1, SPOOL, SPOOL + 1, 2 * SPOOL - 1, 2 * SPOOL, 2 * SPOOL + 1]
) | st.integers(0, 300)
pieces = st.sampled_from([1 << 30, 4096, 65_535, 1000])
limits = st.sampled_from([None, 10, 1000, SPOOL - 1, SPOOL, SPOOL + 1, 2 * SPOOL, 3 * SPOOL])
numbers = st.sampled_from([1, 7, 100, 8192, 65_536, 1 << 20])

#: How an app reads: by method, with a number where it takes one.
steps = st.lists(
    st.tuples(st.sampled_from(["read", "readline", "readlines", "next"]), st.none() | st.just(-1) | numbers), max_size=8
)


class Server(io.RawIOBase):
    """A server's stream: gives at most so much at a time, counts, and may break after some bytes."""

    def __init__(self, data: bytes, piece: int, breaks_at: int | None = None) -> None:
        super().__init__()
        self._data = data if breaks_at is None else data[:breaks_at]
        self._at = 0
        self._piece = piece
        self._breaks = breaks_at is not None
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        size = min(self._piece, len(self._data) if size < 0 else size)
        found = self._data[self._at : self._at + size]
        self._at += len(found)
        if not found and size and self._breaks:
            raise ConnectionResetError("gone")
        self.taken += len(found)
        return found


def take(stream: Any, plan: list[tuple[str, int | None]]) -> list[Any]:
    """What the steps of a plan give, and at the end all that is left."""
    got: list[Any] = []
    for method, number in plan:
        if method == "next":
            got.append(next(iter(stream), b""))
        elif method == "readlines":  # what a hint does differs between streams of the standard library
            got.append(stream.readlines())
        else:
            got.append(getattr(stream, method)(*([] if number is None else [number])))
    got.append(stream.read())
    got.append(stream.read(1))
    return got


def sent(data: bytes, piece: int, chunked: bool, breaks_at: int | None = None, declared: int | None = None) -> Any:
    server = Server(data, piece, breaks_at)
    made = environ("POST", "/", chunked=chunked) | {"wsgi.input": server}
    if not chunked:
        made["CONTENT_LENGTH"] = str(len(data) if declared is None else declared)
    return made, server


@contextmanager
def opened(request: Any, bytes_max: int = MAX) -> Iterator[Body]:
    """The body of a request, closed at the end as the driver does it."""
    view, _ = Request.of(request, Settings(body_bytes_max=bytes_max))
    try:
        yield view.body
    finally:
        view.close()


def judge(body: Body, wanted: list[int | None]) -> None:
    """Read the body as layers do, each with a limit of its own; a failure is theirs to report."""
    for limit in wanted:
        with suppress(BodyError):
            if limit is None:
                body.load(MAX)
            else:
                body.read(limit)


@looks(60)
@given(sizes, st.booleans(), pieces, st.lists(limits, max_size=3), steps, st.booleans())
def test_every_way_to_read_gives_what_was_sent(
    size: int, chunked: bool, piece: int, wanted: list[int | None], plan: list[tuple[str, int | None]], follows: bool
) -> None:
    data = DATA[:size]
    request, server = sent(data + (b"GET /smuggled" if follows and not chunked else b""), piece, chunked, declared=size)
    with opened(request) as body:
        judge(body, wanted)
        body.rewind(request)
        if body.touched:
            assert take(request["wsgi.input"], plan) == take(io.BytesIO(data), plan)
            assert server.taken <= size
        else:
            assert request["wsgi.input"] is server


@looks(60)
@given(sizes, st.booleans(), pieces, st.lists(limits, min_size=1, max_size=3), st.integers(1, 3), numbers)
def test_a_body_is_replayed_again_to_each_reader_that_comes_after_a_rewind(
    size: int, chunked: bool, piece: int, wanted: list[int | None], times: int, number: int
) -> None:
    data = DATA[:size]
    request, _ = sent(data, piece, chunked)
    with opened(request) as body:
        body.load(MAX)
        for _ in range(times):
            judge(body, wanted)
            body.rewind(request)
            request["wsgi.input"].read(number)
        body.rewind(request)

        assert request["wsgi.input"].read() == data
        assert body.read(MAX) == data


@looks(60)
@given(sizes.filter(bool), st.booleans(), pieces, st.lists(limits, min_size=1, max_size=3), st.data())
def test_a_body_that_breaks_is_replayed_up_to_the_break_and_breaks_the_same(
    size: int, chunked: bool, piece: int, wanted: list[int | None], data: Any
) -> None:
    breaks_at = data.draw(st.integers(0, size - 1) | st.just(size - 1))
    number = data.draw(numbers)
    request, server = sent(DATA[:size], piece, chunked, breaks_at)
    got, broke = b"", False
    with opened(request) as body:
        judge(body, wanted)
        body.rewind(request)
        while not broke:
            try:
                found = request["wsgi.input"].read(min(number, max(breaks_at - len(got), 1)))
            except ConnectionResetError:
                broke = True
            else:
                assert found, "the break was lost"
                got += found

    assert got == DATA[:breaks_at]
    assert server.taken == breaks_at


@looks(60)
@given(sizes.filter(bool), pieces, st.integers(1, 1000), st.lists(limits, min_size=1, max_size=3), steps)
def test_a_body_that_ends_early_is_replayed_as_short_as_it_was(
    size: int, piece: int, missing: int, wanted: list[int | None], plan: list[tuple[str, int | None]]
) -> None:
    request, _ = sent(DATA[:size], piece, chunked=False, declared=size + missing)
    with opened(request) as body:
        judge(body, wanted)
        body.rewind(request)
        if body.touched:
            assert take(request["wsgi.input"], plan) == take(io.BytesIO(DATA[:size]), plan)
            assert body.failed


@looks(100)
@given(sizes, st.booleans(), pieces, st.lists(limits, min_size=1, max_size=4), st.integers(0, 2 * SPOOL))
def test_no_more_is_read_than_a_layer_asks_for_and_its_answer_is_right(
    size: int, chunked: bool, piece: int, wanted: list[int | None], hard: int
) -> None:
    data = DATA[:size]
    request, server = sent(data, piece, chunked)
    most = 0
    with opened(request, hard) as body:
        for limit in wanted:
            allowed = hard if limit is None else min(limit, hard)
            most = max(most, allowed)
            try:
                found = body.read(allowed)
            except BodyError:
                found = None
            assert found == (data if size <= allowed else None)
            assert server.taken <= most + 1
